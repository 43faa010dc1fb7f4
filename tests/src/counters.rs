//! What the kernel itself has counted at an interface.

use std::{fs, path::PathBuf, thread, time::Duration};

use anyhow::{Context as _, Result};

use crate::wait;

/// How long nothing passes before it is at rest.
const REST: Duration = Duration::from_millis(5);

/// Counters of an interface: bytes and packets received, bytes and packets transmitted.
pub type Counters = [u64; 4];

/// What the host's end of a pair has counted, as the container sees it; the kernel's own numbers.
pub fn outside(interface: &str) -> Result<Counters> {
    let folder = PathBuf::from("/sys/class/net").join(interface).join("statistics");
    let read = |name: &str| -> Result<u64> {
        let text = fs::read_to_string(folder.join(name)).with_context(|| format!("read {name}"))?;
        text.trim().parse().context("a counter")
    };
    Ok([read("tx_bytes")?, read("tx_packets")?, read("rx_bytes")?, read("rx_packets")?])
}

/// The same, once nothing passes.
pub fn at_rest(interface: &str) -> Result<Counters> {
    let mut last = outside(interface)?;
    wait::until("nothing passes", || {
        thread::sleep(REST);
        let now = outside(interface)?;
        Ok((std::mem::replace(&mut last, now) == now).then_some(now))
    })
}

/// Names of what an interface counts, as the page has them: `container_network_*_total`.
pub const NAMES: [&str; 8] = [
    "receive_bytes",
    "receive_packets",
    "receive_errors",
    "receive_packets_dropped",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errors",
    "transmit_packets_dropped",
];

/// What an interface has counted in the namespace of a process, in the order of [`NAMES`].
pub fn inside(pid: u32, interface: &str) -> Result<[u64; 8]> {
    let path = format!("/proc/{pid}/net/dev");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'));
    let line = line.with_context(|| format!("no {interface} in {path}"))?;
    let counted = line.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let places = [0, 1, 2, 3, 8, 9, 10, 11].map(|place: usize| counted.get(place).copied());
    places.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.try_into().ok()).context("its counters")
}
