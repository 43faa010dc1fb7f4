//! Which addresses tell that a connection never leaves its network namespace.

/// Whether a connection between two IPv4 addresses, as they stand in memory, goes over loopback: to 127/8, or to the
/// address that it comes from.
#[must_use]
#[inline]
pub const fn is_loopback4(remote: u32, local: u32) -> bool {
    remote.to_ne_bytes()[0] == 127 || (remote != 0 && remote == local)
}

/// `::ffff:127.x.x.x` without its last three bytes.
const MAPPED_127: u64 = 0xff_ff7f;

/// Whether a connection between two IPv6 addresses, as halves in memory, goes over loopback: to `::1`, to a mapped
/// 127/8, or to the address that it comes from.
#[must_use]
#[inline]
pub const fn is_loopback6(remote: [u64; 2], local: [u64; 2]) -> bool {
    let [high, low] = remote;
    let last = u64::from_be(low);
    let is_own = high == local[0] && low == local[1] && high | low != 0;
    is_own || (high == 0 && (last == 1 || last >> 24 == MAPPED_127))
}

#[cfg(test)]
mod tests {
    use super::{is_loopback4, is_loopback6};

    #[test]
    fn an_ipv4_connection_is_known_by_its_ends() {
        let number = |address: [u8; 4]| u32::from_ne_bytes(address);
        let table = [
            ([127, 0, 0, 1], [127, 0, 0, 1], true),
            ([127, 9, 9, 9], [10, 0, 0, 1], true),
            ([10, 0, 0, 1], [10, 0, 0, 1], true),
            ([10, 0, 0, 2], [10, 0, 0, 1], false),
            ([0, 0, 0, 0], [0, 0, 0, 0], false),
            ([1, 0, 0, 127], [10, 0, 0, 1], false),
        ];
        for (remote, local, expected) in table {
            assert_eq!(is_loopback4(number(remote), number(local)), expected, "{remote:?} from {local:?}");
        }
    }

    #[test]
    fn an_ipv6_connection_is_known_by_its_ends() {
        let halves = |address: &str| {
            let bytes = address.parse::<core::net::Ipv6Addr>().unwrap().octets();
            let (halves, _) = bytes.as_chunks();
            [0, 1].map(|half| u64::from_ne_bytes(halves[half]))
        };
        let table = [
            ("::1", "::1", true),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true),
            ("::ffff:127.1.2.3", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.2", "::ffff:10.0.0.1", false),
            ("fd00::1", "fd00::1", true),
            ("fd00::2", "fd00::1", false),
            ("::", "::", false),
            ("::7f00:1", "fd00::1", false),
        ];
        for (remote, local, expected) in table {
            assert_eq!(is_loopback6(halves(remote), halves(local)), expected, "{remote} from {local}");
        }
    }
}
