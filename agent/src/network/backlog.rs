//! Packets that an interface has counted and nothing else has seen yet.

use std::{fs, io};

/// Where the kernel tells of its queues, a line per CPU; since 5.10 with their lengths.
const SOFTNET: &str = "/proc/net/softnet_stat";
/// The column of the length.
const LENGTH: usize = 11;

/// Whether a packet waits on some CPU between the interface that received it and the rest of the kernel.
///
/// # Errors
/// /proc is not mounted.
pub fn packets_wait() -> io::Result<bool> {
    Ok(fs::read_to_string(SOFTNET)?.lines().any(|line| waiting(line) > 0))
}

fn waiting(line: &str) -> u32 {
    line.split_whitespace().nth(LENGTH).and_then(|length| u32::from_str_radix(length, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::waiting;

    #[test]
    fn a_length_is_hexadecimal_and_may_be_missing() {
        assert_eq!(waiting("0011 0 0 0 0 0 0 0 0 0 0 0000001f 00000001 0 0"), 31);
        assert_eq!(waiting("0011 0 0 0 0 0 0 0 0 0 0"), 0);
        assert_eq!(waiting(""), 0);
    }
}
