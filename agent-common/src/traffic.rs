//! Bytes and packets as the kernel programs count them, by address family and protocol.

/// What passed of one class.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Bytes as the interface counts them: Ethernet header included, of a GSO packet one header.
    pub bytes: u64,
    /// Packets as the interface counts them: a GSO packet is one.
    pub packets: u64,
}

/// What passed in one direction. The classes add up to all of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// By [`Class`].
    pub classes: [Count; CLASSES],
    /// Bytes of headers that the segments of GSO packets have beyond one each: what a wire would see more.
    pub headers: u64,
}

const _: () = assert!(size_of::<Traffic>() == 8 * Traffic::WORDS);

// SAFETY: integers only, no padding (its size is asserted above).
#[cfg(feature = "user")]
unsafe impl aya::Pod for Traffic {}

/// What one lane of CPUs saw at an interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// What passed.
    pub traffic: Traffic,
    /// The cgroup whose socket sent the first packet that had one: whose the interface is, if nobody is left to ask.
    pub cgroup: u64,
}

const _: () = assert!(size_of::<Lane>() == 8 * (Traffic::WORDS + 1));

// SAFETY: integers only, no padding (its size is asserted above).
#[cfg(feature = "user")]
unsafe impl aya::Pod for Lane {}

/// Which way, seen from the container.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the container.
    Receive = 0,
    /// Out of it.
    Transmit = 1,
}

/// Address family and protocol of a packet.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// IPv4, TCP.
    Tcp4 = 0,
    /// IPv4, UDP.
    Udp4 = 1,
    /// IPv4, ICMP.
    Icmp4 = 2,
    /// IPv4, another protocol.
    Other4 = 3,
    /// IPv6, TCP.
    Tcp6 = 4,
    /// IPv6, UDP.
    Udp6 = 5,
    /// IPv6, `ICMPv6`.
    Icmp6 = 6,
    /// IPv6, another protocol.
    Other6 = 7,
    /// Neither: ARP ...
    Other = 8,
}

/// How many classes there are.
pub const CLASSES: usize = 9;

/// `IPPROTO_*`, include/uapi/linux/in.h.
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

impl Class {
    /// All of them, in the order of their places, with the values of the labels `family` and `protocol`.
    pub const ALL: [(Self, &'static str, &'static str); CLASSES] = [
        (Self::Tcp4, "ipv4", "tcp"),
        (Self::Udp4, "ipv4", "udp"),
        (Self::Icmp4, "ipv4", "icmp"),
        (Self::Other4, "ipv4", "other"),
        (Self::Tcp6, "ipv6", "tcp"),
        (Self::Udp6, "ipv6", "udp"),
        (Self::Icmp6, "ipv6", "icmp"),
        (Self::Other6, "ipv6", "other"),
        (Self::Other, "other", "other"),
    ];

    /// The class of an IPv4 packet by its protocol.
    #[must_use]
    #[inline]
    pub const fn ipv4(protocol: u8) -> Self {
        match protocol {
            TCP => Self::Tcp4,
            UDP => Self::Udp4,
            ICMP => Self::Icmp4,
            _ => Self::Other4,
        }
    }

    /// The class of an IPv6 packet by its last next header.
    #[must_use]
    #[inline]
    pub const fn ipv6(protocol: u8) -> Self {
        match protocol {
            TCP => Self::Tcp6,
            UDP => Self::Udp6,
            ICMP6 => Self::Icmp6,
            _ => Self::Other6,
        }
    }
}

impl Lane {
    /// Nothing.
    pub const ZERO: Self = Self { traffic: Traffic::ZERO, cgroup: 0 };
}

impl Traffic {
    /// 64-bit words of it.
    pub const WORDS: usize = 2 * CLASSES + 1;
    /// Nothing.
    pub const ZERO: Self = Self { classes: [Count { bytes: 0, packets: 0 }; CLASSES], headers: 0 };

    /// All classes together.
    #[must_use]
    pub fn total(&self) -> Count {
        self.classes.iter().fold(Count::default(), |sum, count| sum.plus(*count))
    }

    /// What makes a sum with it nothing.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut complement = *self;
        for count in &mut complement.classes {
            *count = count.complement();
        }
        complement.headers = self.headers.wrapping_neg();
        complement
    }

    /// The sum of two; wraps.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (place, count) in sum.classes.iter_mut().zip(other.classes) {
            *place = place.plus(count);
        }
        sum.headers = sum.headers.wrapping_add(other.headers);
        sum
    }
}

impl Count {
    /// What makes a sum with it nothing.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self { bytes: self.bytes.wrapping_neg(), packets: self.packets.wrapping_neg() }
    }

    /// The sum of two; wraps.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.wrapping_add(other.bytes),
            packets: self.packets.wrapping_add(other.packets),
        }
    }
}

/// Key of a row that a program at a veth counts in: several per interface and direction, so that CPUs do not wait for
/// each other.
#[must_use]
#[inline]
pub const fn lane_key(ifindex: u32, direction: Direction, lane: u32) -> u64 {
    (ifindex as u64) << 32 | (lane as u64) << 1 | direction as u64
}

/// Rows of one interface and direction at most.
pub const MAX_LANES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::{Class, Count, Direction, Traffic, lane_key};

    #[test]
    fn classes_stand_at_their_places() {
        for (place, (class, ..)) in Class::ALL.iter().enumerate() {
            assert_eq!(*class as usize, place);
        }
    }

    #[test]
    fn a_protocol_has_a_class_per_family() {
        let table = [
            (6, Class::Tcp4, Class::Tcp6),
            (17, Class::Udp4, Class::Udp6),
            (1, Class::Icmp4, Class::Other6),
            (58, Class::Other4, Class::Icmp6),
            (47, Class::Other4, Class::Other6),
        ];
        for (protocol, four, six) in table {
            assert_eq!((Class::ipv4(protocol), Class::ipv6(protocol)), (four, six), "{protocol}");
        }
    }

    #[test]
    fn a_sum_wraps_as_a_complement_does() {
        let mut before = Traffic::ZERO;
        before.classes[0] = Count { bytes: 5_u64.wrapping_neg(), packets: 1_u64.wrapping_neg() };
        let mut now = Traffic::ZERO;
        now.classes[0] = Count { bytes: 7, packets: 1 };
        now.headers = 3;
        let sum = now.plus(&before);
        assert_eq!((sum.total(), sum.headers), (Count { bytes: 2, packets: 0 }, 3));
    }

    #[test]
    fn lanes_of_interfaces_and_directions_differ() {
        let keys = [
            lane_key(1, Direction::Receive, 0),
            lane_key(1, Direction::Transmit, 0),
            lane_key(1, Direction::Receive, 1),
            lane_key(2, Direction::Receive, 0),
        ];
        assert_eq!(keys, [1 << 32, 1 << 32 | 1, 1 << 32 | 2, 2 << 32]);
    }
}
