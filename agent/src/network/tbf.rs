//! A token bucket filter: the qdisc that holds a limit at an interface. Pure.

use super::{
    Bucket,
    attributes::{Attributes, attribute, u32_at, u64_at},
    bucket::{RATE_SPEC, told_rate},
};

/// `TCA_TBF_PARMS`, `include/uapi/linux/pkt_sched.h`.
const PARAMETERS: u16 = 1;
/// `TCA_TBF_RATE64`
const BIG_RATE: u16 = 4;
/// `TCA_TBF_BURST`, in bytes; without it the kernel takes the ticks of the parameters, and drops a packet as long as the
/// burst that they were computed from.
const BURST: u16 = 6;

/// How long a packet waits at most, in milliseconds, where no queue below chooses which to drop.
const LATENCY: u32 = 50;

/// What a tbf lets pass, and what may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tbf {
    /// What passes.
    pub bucket: Bucket,
    /// Bytes that may wait in its own queue; with another queue below it, without effect.
    pub limit_bytes: u32,
}

impl Tbf {
    /// What holds a limit at an interface of that MTU. What came in a burst waits 50 ms.
    #[must_use]
    pub fn for_limit(bits_per_second: u64, mtu: u32) -> Self {
        let bucket = Bucket::for_limit(bits_per_second, mtu);
        Self { bucket, limit_bytes: bucket.bytes_in(LATENCY).saturating_add(bucket.burst_bytes) }
    }

    /// Whether a kernel that was given this one would tell `told` of it. Putting the same again is not free: it fills the
    /// bucket.
    #[must_use]
    pub fn is_told_as(&self, told: &Self) -> bool {
        self.bucket.is_told_as(&told.bucket) && self.limit_bytes == told.limit_bytes
    }

    /// As `struct tc_tbf_qopt` and what goes beside it.
    pub(super) fn encode(&self) -> Attributes {
        let Self { bucket, limit_bytes } = self;
        let no_peak = [0; RATE_SPEC];
        let [limit, buffer, mtu] = [*limit_bytes, bucket.ticks(), 0].map(u32::to_ne_bytes);
        let parameters = [&bucket.rate_spec()[..], &no_peak, &limit, &buffer, &mtu].concat();
        let options = Attributes::default()
            .with(PARAMETERS, &parameters)
            .with(BURST, &bucket.burst_bytes.to_ne_bytes());
        match bucket.big_rate() {
            Some(rate) => options.with(BIG_RATE, &rate),
            None => options,
        }
    }

    /// What the kernel tells of one.
    pub(super) fn decode(options: &[u8]) -> Option<Self> {
        let parameters = attribute(options, PARAMETERS)?;
        let big = attribute(options, BIG_RATE).and_then(|bytes| u64_at(bytes, 0));
        let rate = told_rate(parameters, big)?;
        let (limit_bytes, ticks) = (u32_at(parameters, 24)?, u32_at(parameters, 28)?);
        Some(Self { bucket: Bucket::of_ticks(rate, ticks), limit_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, Bucket, Tbf, attribute, u32_at};

    #[test]
    fn queues_last_50_ms() {
        // bit/s -> bytes
        let rows = [
            (1_000_000, 6_218 + 4_000),
            (10_000_000, 62_187 + 5_000),
            (100_000_000, 621_875 + 50_000),
            (1_000_000_000, 6_218_750 + 500_000),
            (10_000_000_000, 62_187_500 + 5_000_000),
            (1_000_000_000_000, u32::MAX),
        ];
        for (limit, limit_bytes) in rows {
            let bucket = Bucket::for_limit(limit, 1_500);
            assert_eq!(Tbf::for_limit(limit, 1_500), Tbf { bucket, limit_bytes }, "{limit}");
        }
    }

    #[test]
    fn what_is_sent_is_understood_again() {
        for limit in [1_000_000, 10_000_000_000, 100_000_000_000] {
            let tbf = Tbf::for_limit(limit, 1_500);
            let told = Tbf::decode(tbf.encode().bytes()).unwrap();
            assert!(tbf.is_told_as(&told), "{tbf:?} {told:?}");
            let burst = attribute(tbf.encode().bytes(), BURST).map(|bytes| u32_at(bytes, 0));
            assert_eq!(burst, Some(Some(tbf.bucket.burst_bytes)), "as it is, not in ticks");
            assert!(!tbf.is_told_as(&Tbf { limit_bytes: told.limit_bytes + 1, ..told }));
        }
        assert_eq!(Tbf::decode(&[]), None);
        assert_eq!(Tbf::decode(&[8, 0, 1, 0, 0, 0, 0, 0]), None);
    }
}
