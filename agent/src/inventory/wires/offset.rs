//! What an interface had counted before its programs did, from readings of both.

use plimsoll_common::traffic::{Count, Traffic};

use super::as_the_container_sees;
use crate::{
    kernel::veths::Veths,
    network::{Requests, packets_wait},
};

/// Readings at moments when no packet waited that are enough.
const SURE: u32 = 2;
/// Readings between which packets passed that are enough under a load without such moments.
const MOVED: u32 = 20;
/// How often an interface is read for one offset at most: packets wait for long where other work has all CPUs.
const TRIES: u32 = 1_500;

/// A measurement under way.
///
/// A packet passes the interface's counter and the program one after the other, so one reading may see it in one of
/// them: of some consistent ones the least is right where the counter comes first, the greatest where the program does.
#[derive(Debug, Default)]
pub(super) struct Offset {
    found: [Vec<Count>; 2],
    sure: u32,
    moved: u32,
    tries: u32,
    last: Option<[Traffic; 2]>,
}

/// How far a measurement is.
pub(super) enum Progress {
    /// What the interface had counted beyond what the programs did; received and transmitted by the container.
    Found([Count; 2]),
    /// One more reading is needed, a while later.
    Again,
}

impl Offset {
    /// Reads once. Of an interface that is gone the offset is nothing: its last counters are about to be heard.
    pub(super) fn read(
        &mut self,
        ifindex: u32,
        veths: &Veths,
        requests: &mut Requests,
    ) -> anyhow::Result<Progress> {
        let before = veths.traffic(ifindex)?;
        self.moved += u32::from(self.last.replace(before).is_some_and(|last| last != before));
        self.tries += 1;
        let nothing = Progress::Found([Count::default(); 2]);
        let Some(link) = requests.link(ifindex, None)? else { return Ok(nothing) };
        let between = packets_wait()?;
        let after = veths.traffic(ifindex)?;
        let outside = as_the_container_sees(&link);
        if outside.iter().all(|counted| counted.packets == 0) {
            return Ok(nothing); // nothing passed before the programs were there
        }
        let mut still = true;
        for (place, found) in self.found.iter_mut().enumerate() {
            let (seen, counted) = (before[place].total(), outside[place]);
            if seen == after[place].total() {
                let counted = Count { bytes: counted.bytes, packets: counted.packets };
                found.push(counted.plus(seen.complement()));
            } else {
                still = false;
            }
        }
        // Whatever the interface had counted then was counted by the programs before, or it would wait now.
        self.sure += u32::from(still && !between);
        let is_enough = self.sure >= SURE
            || self.tries >= TRIES
            || (self.moved >= MOVED && self.found.iter().all(|found| !found.is_empty()));
        Ok(if is_enough { Progress::Found(self.best()) } else { Progress::Again })
    }

    /// Programs that saw more than the interface counted saw what was dropped behind them: that is no offset.
    fn best(&self) -> [Count; 2] {
        let signed = |count: &&Count| count.bytes.cast_signed();
        let [received, transmitted] = &self.found;
        let best = [received.iter().max_by_key(signed), transmitted.iter().min_by_key(signed)];
        best.map(|best| best.filter(|best| signed(best) > 0).copied().unwrap_or_default())
    }
}
