//! What is kept of network traffic: per port, which is one interface of one account, and per veth pair while it lives.

use crate::traffic::{Count, Traffic};

/// What passed a port in one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// What the kernel programs counted.
    pub traffic: Traffic,
    /// What the interface counted and they did not see: from before they were attached, or where they cannot be.
    pub uncounted: Count,
    /// Bad packets.
    pub errors: u64,
    /// Packets without room, or that nobody wanted.
    pub dropped: u64,
}

const _: () = assert!(size_of::<Flow>() == 8 * Flow::WORDS);

/// Both directions, at the places that [`crate::traffic::Direction`] gives.
pub type Flows = [Flow; 2];

/// Sum of what passed a port and is not counted any more elsewhere.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The account or workload it belongs to.
    pub account: u64,
    /// 1 while what the account's sockets count belongs to it too.
    pub by_sockets: u64,
    /// The interface's name in the container, ended by a zero byte; empty: what sockets of dead cgroups counted, and the
    /// sum of a workload.
    pub interface: [u8; NAME],
    /// The sum. It may hold the complement of what is counted elsewhere and is not the port's.
    pub flows: Flows,
}

const _: () = assert!(size_of::<Port>() == 8 * (4 + 2 * Flow::WORDS));

/// A veth pair whose host's end is counted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Veth {
    /// Its port; 0 while nobody's.
    pub port: u64,
    /// 1: the programs count it. 0: only the interface does. 2: the programs do, and of what the container receives the
    /// interface knows how much got past a queue, or a drop, behind them.
    pub counted: u64,
    /// What the interface had counted beyond what the programs did.
    pub offset: [Count; 2],
    /// What is to be added to what is counted there now.
    pub base: Flows,
}

const _: () = assert!(size_of::<Veth>() == 8 * (6 + 2 * Flow::WORDS));

// SAFETY: integers only, no padding (their sizes are asserted above).
#[cfg(feature = "user")]
unsafe impl aya::Pod for Port {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Veth {}

/// Bytes of an interface's name, `IFNAMSIZ`.
pub const NAME: usize = 16;

impl From<Traffic> for Flow {
    /// What the kernel programs counted, alone.
    fn from(traffic: Traffic) -> Self {
        Self { traffic, ..Self::ZERO }
    }
}

impl Flow {
    /// 64-bit words of it.
    pub const WORDS: usize = Traffic::WORDS + 4;

    /// Nothing.
    pub const ZERO: Self =
        Self { traffic: Traffic::ZERO, uncounted: Count { bytes: 0, packets: 0 }, errors: 0, dropped: 0 };

    /// Its words, in the order of their places.
    pub fn words(&self) -> impl Iterator<Item = u64> {
        let Self { traffic, uncounted, errors, dropped } = *self;
        let classes = traffic.classes.into_iter().flat_map(|count| [count.bytes, count.packets]);
        classes.chain([traffic.headers, uncounted.bytes, uncounted.packets, errors, dropped])
    }

    /// All that passed.
    #[must_use]
    pub fn total(&self) -> Count {
        self.traffic.total().plus(self.uncounted)
    }

    /// The sum of two; wraps.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            traffic: self.traffic.plus(&other.traffic),
            uncounted: self.uncounted.plus(other.uncounted),
            errors: self.errors.wrapping_add(other.errors),
            dropped: self.dropped.wrapping_add(other.dropped),
        }
    }

    /// What makes a sum with it nothing.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self {
            traffic: self.traffic.complement(),
            uncounted: self.uncounted.complement(),
            errors: self.errors.wrapping_neg(),
            dropped: self.dropped.wrapping_neg(),
        }
    }
}

/// The sum of two, direction by direction.
#[must_use]
pub fn plus(one: &Flows, other: &Flows) -> Flows {
    let ([receive, transmit], [more_received, more_transmitted]) = (one, other);
    [receive.plus(more_received), transmit.plus(more_transmitted)]
}

/// Key of a port in pinned maps.
#[must_use]
pub fn port_key(account: u64, interface: &[u8]) -> u64 {
    crate::key::key(&[b"port", &account.to_le_bytes(), interface])
}

#[cfg(test)]
mod tests {
    use super::{Count, Flow};

    #[test]
    fn a_complement_undoes() {
        let mut flow =
            Flow { uncounted: Count { bytes: 7, packets: 1 }, errors: 2, dropped: 3, ..Flow::ZERO };
        flow.traffic.classes[4] = Count { bytes: 9, packets: 2 };
        flow.traffic.headers = 5;
        assert_eq!(flow.total(), Count { bytes: 16, packets: 3 });
        assert_eq!(flow.plus(&flow.complement()), Flow::ZERO);
    }
}
