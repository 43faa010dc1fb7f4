//! How fast and in what portions something may pass: the token bucket that tbf and htb share. Pure.

use super::attributes::u32_at;

/// Nanoseconds of a tick, in which the kernel takes and tells how long a bucket takes to fill: `PSCHED_TICKS2NS(1)`,
/// `include/net/pkt_sched.h`, the second word of /proc/net/psched.
const TICK: u128 = 64;
const SECOND: u128 = 1_000_000_000;
/// `TC_LINKLAYER_ETHERNET`: with it the kernel computes times itself, and takes no table of them (since 3.8).
const ETHERNET: u8 = 1;

/// Bytes of `struct tc_ratespec`.
pub(super) const RATE_SPEC: usize = 12;

/// A rate and the most that passes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Bytes per second, with the Ethernet header of each packet.
    pub bytes_per_second: u64,
    /// Bytes that pass at once after a pause. A tbf drops packets that are longer.
    pub burst_bytes: u32,
}

impl Bucket {
    /// What holds a limit at an interface of that MTU: 99.5 % of it, which leaves no second above; 4 ms at once, but no less
    /// than 4,000 bytes, nor than a packet.
    #[must_use]
    pub fn for_limit(bits_per_second: u64, mtu: u32) -> Self {
        /// Two frames of Ethernet and some: with 99.5 % of 1 Mbit/s that is 102.7 % in a second at most.
        const LEAST: u32 = 4_000;
        /// An Ethernet header and two VLAN tags.
        const HEADERS: u32 = 22;
        let bytes_per_second = u128::from(bits_per_second) * 995 / 8_000;
        let four_ms = u128::from(bits_per_second) / 2_000;
        Self {
            bytes_per_second: u64::try_from(bytes_per_second).unwrap_or(u64::MAX).max(1),
            burst_bytes: saturated(four_ms).max(LEAST).max(mtu.saturating_add(HEADERS)),
        }
    }

    /// Bytes that come in some milliseconds at this rate.
    #[must_use]
    pub fn bytes_in(&self, milliseconds: u32) -> u32 {
        saturated(u128::from(self.bytes_per_second) * u128::from(milliseconds) / 1_000)
    }

    /// Whether a kernel that was given this one would tell `told` of it: it rounds the burst to ticks.
    #[must_use]
    pub fn is_told_as(&self, told: &Self) -> bool {
        let Self { bytes_per_second, burst_bytes } = *told;
        // A tick, a nanosecond and one part in 2^31 are lost on the way, and a byte is gained by rounding up.
        let of_time = u128::from(self.bytes_per_second) * (TICK + 2) / SECOND;
        let tolerance = of_time + 2 + (u128::from(self.burst_bytes) >> 30);
        bytes_per_second == self.bytes_per_second
            && u128::from(burst_bytes.abs_diff(self.burst_bytes)) <= tolerance
    }

    /// How long the bucket takes to fill, in ticks.
    pub(super) fn ticks(&self) -> u32 {
        saturated(u128::from(self.burst_bytes) * SECOND / (u128::from(self.bytes_per_second.max(1)) * TICK))
    }

    /// The burst that takes so many ticks at that rate.
    pub(super) fn of_ticks(bytes_per_second: u64, ticks: u32) -> Self {
        let bytes = (u128::from(ticks) * TICK * u128::from(bytes_per_second)).div_ceil(SECOND);
        Self { bytes_per_second, burst_bytes: saturated(bytes) }
    }

    /// As `struct tc_ratespec`; a rate that is too big for it goes beside it.
    pub(super) fn rate_spec(&self) -> [u8; RATE_SPEC] {
        let rate = u32::try_from(self.bytes_per_second).unwrap_or(u32::MAX).to_ne_bytes();
        // cell_log, linklayer, overhead, cell_align, mpu, rate
        let [a, b, c, d] = rate;
        [0, ETHERNET, 0, 0, 0, 0, 0, 0, a, b, c, d]
    }

    /// The rate that goes beside a `struct tc_ratespec`.
    pub(super) fn big_rate(&self) -> Option<[u8; 8]> {
        (self.bytes_per_second > u64::from(u32::MAX)).then(|| self.bytes_per_second.to_ne_bytes())
    }
}

/// The rate in a `struct tc_ratespec`, unless a big one is told beside it.
pub(super) fn told_rate(spec: &[u8], big: Option<u64>) -> Option<u64> {
    big.or_else(|| u32_at(spec, 8).map(u64::from))
}

fn saturated(number: u128) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Bucket, TICK, told_rate};

    #[test]
    fn buckets_hold_limits() {
        // (bit/s, MTU) -> (byte/s, burst)
        let rows = [
            (1_000_000, 1_500, 124_375, 4_000),
            (10_000_000, 1_500, 1_243_750, 5_000),
            (12_000_000, 1_500, 1_492_500, 6_000),
            (12_002_000, 1_500, 1_492_748, 6_001),
            (100_000_000, 1_500, 12_437_500, 50_000),
            (1_000_000_000, 1_500, 124_375_000, 500_000),
            (10_000_000_000, 1_500, 1_243_750_000, 5_000_000),
            (100_000_000_000, 9_000, 12_437_500_000, 50_000_000),
            (1_000_000, 9_000, 124_375, 9_022),
            (1_000_000, 65_535, 124_375, 65_557),
            (100_000_000, 65_535, 12_437_500, 65_557),
            (8, 1_500, 1, 4_000),
            (0, 0, 1, 4_000),
            (u64::MAX, u32::MAX, 2_294_313_794_167_625_482, u32::MAX),
        ];
        for (limit, mtu, bytes_per_second, burst_bytes) in rows {
            let wanted = Bucket { bytes_per_second, burst_bytes };
            assert_eq!(Bucket::for_limit(limit, mtu), wanted, "{limit} {mtu}");
        }
    }

    #[test]
    fn a_bucket_survives_ticks_within_its_tolerance_and_another_does_not() {
        for exponent in 3..12 {
            for lead in [1, 3, 7] {
                let bucket = Bucket::for_limit(lead * 10_u64.pow(exponent), 1_500);
                let told = Bucket::of_ticks(bucket.bytes_per_second, bucket.ticks());
                assert!(bucket.is_told_as(&told), "{bucket:?} {told:?}");
                let faster = Bucket { bytes_per_second: told.bytes_per_second + 1, ..told };
                assert!(!bucket.is_told_as(&faster));
                for other in [told.burst_bytes / 10 * 9, told.burst_bytes / 10 * 11] {
                    assert!(!bucket.is_told_as(&Bucket { burst_bytes: other, ..told }), "{bucket:?} {other}");
                }
            }
        }
    }

    #[test]
    fn rates_beyond_32_bits_go_beside_the_specification() {
        let small = Bucket::for_limit(34_000_000_000, 1_500);
        assert_eq!(small.big_rate(), None);
        assert_eq!(told_rate(&small.rate_spec(), None), Some(small.bytes_per_second));
        let big = Bucket::for_limit(40_000_000_000, 1_500);
        assert_eq!(big.big_rate().map(u64::from_ne_bytes), Some(4_975_000_000));
        assert_eq!(told_rate(&big.rate_spec(), None), Some(u64::from(u32::MAX)));
        assert_eq!(told_rate(&big.rate_spec(), Some(4_975_000_000)), Some(4_975_000_000));
        assert_eq!(told_rate(&[0; 8], None), None);
    }

    #[test]
    fn a_tick_is_as_long_as_the_kernel_says() {
        let words = fs::read_to_string("/proc/net/psched").unwrap();
        let tick = u128::from_str_radix(words.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(tick, TICK);
    }
}
