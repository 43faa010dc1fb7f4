//! The daemons of container runtimes that run on the host, by their processes.

use std::{fs, path::Path};

use super::propose;

/// Docker's.
pub const DOCKERD: &str = "dockerd";
/// All whose end, or want of processes, all their containers would notice.
pub const ALL: [&str; 6] = [DOCKERD, "containerd", "crio", "podman", "kubelet", "k3s-server"];

/// The processes of the host's daemons with these names.
pub fn running(names: &[&str]) -> impl Iterator<Item = u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_one(*pid, names))
}

/// `comm` first: whatever else is read of another process can wait for its memory lock.
fn is_one(pid: u32, names: &[&str]) -> bool {
    let proc = format!("/proc/{pid}");
    let proc: &Path = proc.as_ref();
    let is_named = fs::read(proc.join("comm"))
        .is_ok_and(|comm| names.iter().any(|name| name.as_bytes() == comm.trim_ascii_end()));
    is_named && is_roots(proc) && is_hosts(proc)
}

/// Anybody can call a process dockerd: the host's sees the files that we or init see. One inside
/// a container speaks of other directories. Where its mounts may not be looked at, its cgroups tell whether it is in one.
fn is_hosts(proc: &Path) -> bool {
    let mounts = |proc: &Path| fs::read_link(proc.join("ns/mnt")).ok();
    let ours = ["/proc/self", "/proc/1"].map(|proc| mounts(proc.as_ref()));
    mounts(proc).map_or_else(|| is_outside_containers(proc), |its| ours.contains(&Some(its)))
}

/// Whether root started it: a set-uid program that somebody else started has his real user id.
fn is_roots(proc: &Path) -> bool {
    let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.is_some_and(|ids| ids.split_whitespace().all(|id| id == "0"))
}

fn is_outside_containers(proc: &Path) -> bool {
    let path = |line: &[u8]| line.splitn(3, |byte| *byte == b':').nth(2).map(<[u8]>::to_vec);
    fs::read(proc.join("cgroup")).is_ok_and(|cgroups| {
        cgroups.split(|byte| *byte == b'\n').filter_map(path).all(|path| propose(&path).is_none())
    })
}
