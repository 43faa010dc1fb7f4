//! What the tests take from the machine.

use std::fs::File;
use std::io::Read as _;
use std::slice;

use crate::needs::{Need, Present};
use crate::{shell, vm};

const HERE: [Need; 10] = [
    command("dockerd", "real containers", &["docker.io"]),
    command("docker", "real containers", &["docker.io"]),
    command("containerd", "real containers", &["containerd"]),
    command("runc", "containers without dockerd", &["runc"]),
    command("prometheus", "scraping and drawing what the agent tells", &["prometheus"]),
    command("promtool", "checking metrics and alerts", &["prometheus"]),
    command("stress-ng", "load", &["stress-ng"]),
    command("curl", "reading what the agent tells", &["curl"]),
    command("ip", "networks of containers", &["iproute2"]),
    Need {
        what: "a static busybox",
        why: "the image of the test containers",
        present: Present::Asked(has_static_busybox),
        packages: &["busybox-static"],
    },
];

const fn command(name: &'static str, why: &'static str, packages: &'static [&'static str]) -> Need {
    Need { what: name, why, present: Present::Command(name), packages }
}

/// What the tests on this machine take.
pub fn for_native() -> &'static [Need] {
    &HERE
}

/// What the virtual machines take, which run the same tests.
pub fn for_guests() -> Vec<Need> {
    vm::needs().iter().map(|need| command(need.program, need.why, slice::from_ref(&need.package))).collect()
}

/// A static program names no loader at its start.
fn has_static_busybox() -> bool {
    let mut start = [0; 4096];
    let read = shell::find("busybox").and_then(|path| File::open(path).ok()?.read(&mut start).ok());
    read.is_some() && !names_loader(&start)
}

fn names_loader(start: &[u8]) -> bool {
    start.windows(4).any(|bytes| bytes == b"/ld-")
}
