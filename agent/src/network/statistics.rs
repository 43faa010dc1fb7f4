//! What passed a qdisc or a class, and what did not.

use super::attributes::{attribute, u32_at, u64_at};

/// `TCA_STATS_BASIC`, `include/uapi/linux/gen_stats.h`.
const BASIC: u16 = 1;
/// `TCA_STATS_QUEUE`
const QUEUE: u16 = 3;
/// `TCA_STATS_PKT64`, where the packets are more than 32 bits hold (kernel >= 5.5).
const PACKETS: u16 = 8;

/// Counters since a qdisc or class was made. Those of 32 bits begin again at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Bytes that left it.
    pub bytes: u64,
    /// Packets that left it: the parts into which a tbf cut a GSO packet; an htb cuts none.
    pub packets: u64,
    /// Packets that it, or a queue below it, threw away.
    pub drops: u32,
    /// How often it had to wait for its rate: a wait may be for one packet or, with a queue, be asked for again.
    pub overlimits: u32,
    /// How often the interface gave a packet back.
    pub requeues: u32,
    /// Packets that wait now.
    pub queued_packets: u32,
    /// Bytes that wait now.
    pub queued_bytes: u32,
}

impl Statistics {
    /// From the attributes in `TCA_STATS2`; what is not told is 0.
    pub(super) fn decode(told: &[u8]) -> Self {
        let basic = attribute(told, BASIC).unwrap_or_default();
        let queue = attribute(told, QUEUE).unwrap_or_default();
        let of_queue = |word: usize| u32_at(queue, word * 4).unwrap_or_default();
        let packets = attribute(told, PACKETS).and_then(|bytes| u64_at(bytes, 0));
        Self {
            bytes: u64_at(basic, 0).unwrap_or_default(),
            packets: packets.unwrap_or_else(|| u32_at(basic, 8).unwrap_or_default().into()),
            queued_packets: of_queue(0),
            queued_bytes: of_queue(1),
            drops: of_queue(2),
            requeues: of_queue(3),
            overlimits: of_queue(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::attributes::Attributes, BASIC, PACKETS, QUEUE, Statistics};

    #[test]
    fn counters_stand_in_their_places() {
        let basic = [&7_000_000_000_u64.to_ne_bytes()[..], &5_u32.to_ne_bytes(), &[0; 4]].concat();
        let queue = [1_u32, 1_514, 2, 3, 4].map(u32::to_ne_bytes).concat();
        let told = Attributes::default().with(BASIC, &basic).with(QUEUE, &queue);
        let wanted = Statistics {
            bytes: 7_000_000_000,
            packets: 5,
            drops: 2,
            overlimits: 4,
            requeues: 3,
            queued_packets: 1,
            queued_bytes: 1_514,
        };
        assert_eq!(Statistics::decode(told.bytes()), wanted);
        let many = told.with(PACKETS, &(1_u64 << 33).to_ne_bytes());
        assert_eq!(Statistics::decode(many.bytes()), Statistics { packets: 1 << 33, ..wanted });
        assert_eq!(Statistics::decode(&[]), Statistics::default());
    }
}
