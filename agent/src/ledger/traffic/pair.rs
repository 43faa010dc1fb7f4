//! One veth pair: what passed it, by its programs, by its interface, and by what was written down of both.

use std::time::Instant;

use plimsoll_common::{
    port::{Flow, Flows, Veth, plus},
    traffic::{Count, Direction},
};

use crate::{
    inventory::wires::Reading,
    kernel::traffic::{Both, Seen},
    network::Counters,
};

/// Values of [`Veth::counted`].
const NOT: u64 = 0;
const BY_PROGRAMS: u64 = 1;
const HELD: u64 = 2;

/// A veth pair.
#[derive(Debug)]
pub(super) struct Pair {
    /// What is written down of it.
    pub veth: Veth,
    /// Its account and the name that it has there.
    pub owner: Option<(u64, String)>,
    /// What its interfaces said last.
    pub reading: Option<Reading>,
    /// When it appeared.
    pub since: Instant,
    /// Its account has no cgroup any more.
    pub is_forsaken: bool,
    /// What was written down of the interface's own counters.
    seen: Seen,
}

impl Pair {
    /// One that was not read yet.
    pub(super) fn new(veth: &Veth, owner: Option<(u64, String)>, since: Instant) -> Self {
        Self { veth: *veth, owner, reading: None, since, is_forsaken: false, seen: Seen::default() }
    }

    /// One that another agent wrote down, with what its interfaces had counted then: it may be gone.
    pub(super) fn restore(
        veth: &Veth,
        owner: Option<(u64, String)>,
        seen: Option<&Seen>,
        since: Instant,
    ) -> Self {
        let mut pair = Self::new(veth, owner, since);
        if let Some(seen) = seen {
            let name = pair.owner.as_ref().map(|(_, name)| name.clone()).unwrap_or_default();
            pair.reading = Some(read_back(seen, name));
            pair.seen = *seen;
        }
        pair
    }

    /// Whether programs count it.
    pub(super) const fn is_counted(&self) -> bool {
        self.veth.counted != NOT
    }

    /// The programs see more than the container receives: a queue behind them holds it back, or the kernel drops some of
    /// it. Until now both counted the same, so the sum goes on with what the interface counts. `false`: that is known.
    pub(super) fn hold(&mut self) -> bool {
        if self.veth.counted != BY_PROGRAMS {
            return false;
        }
        let place = Direction::Receive as usize;
        let uncounted = &mut self.veth.base[place].uncounted;
        *uncounted = uncounted.plus(self.veth.offset[place].complement());
        self.veth.counted = HELD;
        true
    }

    /// Its interfaces were read: what of it is to be written down, if that changed. Where programs count all, only errors
    /// and drops are.
    pub(super) fn saw(&mut self, reading: Reading) -> Option<Seen> {
        let seen = write_down(&reading, self.veth.counted == BY_PROGRAMS);
        self.reading = Some(reading);
        let is_new = self.seen != seen;
        self.seen = seen;
        is_new.then_some(seen)
    }

    /// What passed it and is in no port yet.
    pub(super) fn passed(&self, counted: Option<&Both>) -> Flows {
        let mut flows = self.veth.base;
        let counted = counted.copied().unwrap_or_default();
        if self.is_counted() {
            flows = plus(&flows, &counted.map(Flow::from));
        }
        let Some(reading) = &self.reading else { return flows };
        for (place, flow) in flows.iter_mut().enumerate() {
            if let Some(uncounted) = self.by_interface(place, count(&reading.outside[place]), &counted) {
                flow.uncounted = uncounted;
            }
            if let Some((_, inside)) = &reading.inside {
                flow.errors = flow.errors.wrapping_add(inside[place].errors);
                flow.dropped = flow.dropped.wrapping_add(inside[place].dropped);
            }
        }
        flows
    }

    /// The same of one that is gone; `last` is what its interface had counted in the end.
    pub(super) fn passed_in_all(&mut self, counted: &Both, last: Option<[Counters; 2]>) -> Flows {
        if last.as_ref().is_some_and(drops) {
            self.hold();
        }
        let mut flows = self.passed(Some(counted));
        for (place, last) in last.iter().flatten().map(count).enumerate() {
            // The end of its pair makes an interface forget what it had received.
            let before = self.reading.as_ref().map(|reading| count(&reading.outside[place]));
            let last = before.filter(|before| before.bytes > last.bytes).unwrap_or(last);
            let seen = counted[place].total().plus(self.veth.offset[place]);
            flows[place].uncounted = self.by_interface(place, last, counted).unwrap_or_else(|| {
                flows[place].uncounted.plus(Count {
                    bytes: last.bytes.saturating_sub(seen.bytes),
                    packets: last.packets.saturating_sub(seen.packets),
                })
            });
        }
        flows
    }

    /// What no program saw in that direction, where the sum is what the interface counts.
    fn by_interface(&self, place: usize, outside: Count, counted: &Both) -> Option<Count> {
        let base = self.veth.base[place].uncounted.plus(outside);
        match self.veth.counted {
            NOT => Some(base),
            HELD if place == Direction::Receive as usize => {
                Some(base.plus(counted[place].total().complement()))
            }
            _ => None,
        }
    }
}

/// Whether the interface dropped some of what the container was to receive, behind our programs.
pub(super) fn drops(outside: &[Counters; 2]) -> bool {
    outside[Direction::Receive as usize].dropped > 0
}

fn count(counters: &Counters) -> Count {
    Count { bytes: counters.bytes, packets: counters.packets }
}

/// `without_counts`: bytes and packets are known otherwise.
fn write_down(reading: &Reading, without_counts: bool) -> Seen {
    let [received, transmitted] = reading.outside;
    let [bad_received, bad_transmitted] =
        reading.inside.as_ref().map_or_else(Default::default, |(_, inside)| *inside);
    let counts = [received.bytes, received.packets, transmitted.bytes, transmitted.packets];
    let [rb, rp, tb, tp] = if without_counts { [0; 4] } else { counts };
    let [(re, rd), (te, td)] =
        [bad_received, bad_transmitted].map(|counters| (counters.errors, counters.dropped));
    [rb, rp, tb, tp, re, rd, te, td]
}

fn read_back(&[rb, rp, tb, tp, re, rd, te, td]: &Seen, name: String) -> Reading {
    let counted = |bytes, packets| Counters { bytes, packets, ..Counters::default() };
    let bad = |errors, dropped| Counters { errors, dropped, ..Counters::default() };
    Reading {
        ifindex: 0,
        is_queued: false,
        outside: [counted(rb, rp), counted(tb, tp)],
        inside: Some((name, [bad(re, rd), bad(te, td)])),
    }
}
