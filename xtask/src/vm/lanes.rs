//! How many guests run side by side on this machine.

use std::num::NonZero;
use std::thread;

use super::boot::MEMORY_MIB;

/// QEMU's own memory and the pages of a guest's disk, on top of the guest's memory.
const OVERHEAD_MIB: u64 = 512;

/// Guests that this machine has room for now, at least one; one where it does not tell.
pub fn lanes() -> usize {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    room(thread::available_parallelism().map_or(1, NonZero::get), available_mib(&meminfo))
}

/// A guest keeps one CPU busy, however many it has itself.
fn room(cpus: usize, available_mib: u64) -> usize {
    let by_memory = usize::try_from(available_mib / (MEMORY_MIB + OVERHEAD_MIB)).unwrap_or(usize::MAX);
    cpus.min(by_memory).max(1)
}

fn available_mib(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(0, |kib| kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_run_side_by_side_where_cpus_and_memory_allow() {
        for (cpus, mib, lanes) in [(2, 24_000, 2), (2, 4_000, 1), (8, 8_000, 2), (1, 24_000, 1), (2, 0, 1)] {
            assert_eq!(room(cpus, mib), lanes, "{cpus} CPUs, {mib} MiB");
        }
    }

    #[test]
    fn available_memory_is_read_in_mib() {
        assert_eq!(available_mib("MemTotal: 1 kB\nMemAvailable:   4194304 kB\n"), 4096);
    }
}
