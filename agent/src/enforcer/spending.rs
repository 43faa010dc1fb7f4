//! What limits held back until now: sums that go on over restarts of the agent and of containers. In the pinned map `SPENT`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use plimsoll_common::{key::key, names::SPENT_WORDS};

use super::record::Place;
use crate::{
    kernel::{Error, records::Spent},
    ledger::limits::{Counts, Passed, What},
};

/// What a place tells: it only grows while the place is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Bytes and packets that passed.
    pub passed: Passed,
    /// Packets that found no room.
    pub dropped: u64,
    /// How often something had to wait.
    pub delayed: u64,
    /// Forks that were refused.
    pub hits: u64,
}

/// All sums.
#[derive(Debug)]
pub struct Spending {
    map: Spent,
    sums: BTreeMap<u64, Sum>,
}

#[derive(Debug, Clone, Default)]
struct Sum {
    counts: Counts,
    /// What places it was read at last, and what they told together.
    places: u64,
    last: Reading,
    /// The same, one by one; not known after a restart of the agent.
    each: BTreeMap<Place, Reading>,
    /// Since when nothing is limited that it is of.
    idle: Option<Instant>,
}

/// How long a sum is kept that nothing adds to: longer than a container takes to start again, and than a dead one is shown.
const IDLE: Duration = Duration::from_mins(20);

/// The key of a sum.
#[must_use]
pub fn sum_key(account: u64, what: What) -> u64 {
    key(&[b"spent", what.as_str().as_bytes(), &account.to_le_bytes()])
}

impl Spending {
    /// The sums that another agent wrote down.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn open(map: Spent) -> Result<Self, Error> {
        let sums = map.all()?.into_iter().map(|(key, words)| (key, Sum::from(words))).collect();
        Ok(Self { map, sums })
    }

    /// What came of a limit.
    #[must_use]
    pub fn counts(&self, key: u64) -> Counts {
        self.sums.get(&key).map(|sum| sum.counts).unwrap_or_default()
    }

    /// Counts what a place tells from here on only: what it tells now came before it was limited.
    pub fn begin(&mut self, key: u64, place: Place, now: Reading) {
        let sum = self.sums.entry(key).or_default();
        (sum.places, sum.last, sum.each) = (places_key([place].iter()), now, BTreeMap::from([(place, now)]));
    }

    /// Adds what the places of a limit told since they were read last; gives that. One of `all` that told nothing this time
    /// goes on later from where it was.
    pub fn read(&mut self, key: u64, all: &[Place], now: &BTreeMap<Place, Reading>) -> Reading {
        let sum = self.sums.entry(key).or_default();
        let places = places_key(now.keys());
        let together = now.values().fold(Reading::default(), |sum, one| sum.plus(one));
        let more = if sum.places == places {
            together.since(&sum.last)
        } else {
            let before = |place| sum.each.get(place).copied().unwrap_or_default();
            let each = now.iter().map(|(place, reading)| reading.since(&before(place)));
            each.fold(Reading::default(), |sum, one| sum.plus(&one))
        };
        (sum.places, sum.last) = (places, together);
        sum.each.extend(now);
        sum.each.retain(|place, _| all.contains(place));
        let Counts { passed, dropped, delayed, hits, .. } = &mut sum.counts;
        passed.bytes += more.passed.bytes;
        passed.packets += more.passed.packets;
        dropped.packets += more.dropped;
        *delayed += more.delayed;
        *hits += more.hits;
        more
    }

    /// Adds time at the line, and times that it was gone over.
    pub fn spend(&mut self, key: u64, at_line_ms: u64, violations: u64) {
        let counts = &mut self.sums.entry(key).or_default().counts;
        counts.at_line_ms += at_line_ms;
        counts.violations += violations;
    }

    /// Writes a sum down.
    ///
    /// # Errors
    /// The map is full, or the kernel's.
    pub fn write(&mut self, key: u64) -> Result<(), Error> {
        match self.sums.get(&key) {
            Some(sum) => self.map.put(key, &sum.words()),
            None => Ok(()),
        }
    }

    /// Forgets all other sums, after a while.
    ///
    /// # Errors
    /// The kernel's.
    pub fn keep(&mut self, keys: &BTreeSet<u64>) -> Result<(), Error> {
        let now = Instant::now();
        let mut gone = Vec::new();
        for (key, sum) in &mut self.sums {
            if keys.contains(key) {
                sum.idle = None;
            } else if now.duration_since(*sum.idle.get_or_insert(now)) >= IDLE {
                gone.push(*key);
            }
        }
        for key in gone {
            self.sums.remove(&key);
            self.map.delete(key)?;
        }
        Ok(())
    }
}

fn places_key<'a>(places: impl Iterator<Item = &'a Place>) -> u64 {
    places.fold(1, |key, place| key.rotate_left(7) ^ place.key())
}

impl Reading {
    fn plus(&self, other: &Self) -> Self {
        Self {
            passed: Passed {
                bytes: self.passed.bytes + other.passed.bytes,
                packets: self.passed.packets + other.passed.packets,
            },
            dropped: self.dropped + other.dropped,
            delayed: self.delayed + other.delayed,
            hits: self.hits + other.hits,
        }
    }

    /// What came since; of a place that began anew, all.
    fn since(&self, before: &Self) -> Self {
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Self {
            passed: Passed {
                bytes: since(self.passed.bytes, before.passed.bytes),
                packets: since(self.passed.packets, before.passed.packets),
            },
            dropped: since(self.dropped, before.dropped),
            delayed: since(self.delayed, before.delayed),
            hits: since(self.hits, before.hits),
        }
    }
}

impl Sum {
    fn words(&self) -> [u64; SPENT_WORDS] {
        let Counts { passed, dropped, delayed, hits, at_line_ms, violations } = self.counts;
        let Reading { passed: last, dropped: last_dropped, delayed: last_delayed, hits: last_hits } =
            self.last;
        [
            passed.bytes,
            passed.packets,
            dropped.packets,
            delayed,
            hits,
            at_line_ms,
            violations,
            self.places,
            last.bytes,
            last.packets,
            last_dropped,
            last_delayed,
            last_hits,
            0,
        ]
    }
}

impl From<[u64; SPENT_WORDS]> for Sum {
    fn from(words: [u64; SPENT_WORDS]) -> Self {
        let [bytes, packets, dropped, delayed, hits, at_line_ms, violations, places, lb, lp, ld, ly, lh, _] =
            words;
        Self {
            counts: Counts {
                passed: Passed { bytes, packets },
                dropped: Passed { bytes: 0, packets: dropped },
                delayed,
                hits,
                at_line_ms,
                violations,
            },
            places,
            last: Reading { passed: Passed { bytes: lb, packets: lp }, dropped: ld, delayed: ly, hits: lh },
            each: BTreeMap::new(),
            idle: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Passed, Place, Reading, Sum};

    fn reading(bytes: u64) -> Reading {
        Reading { passed: Passed { bytes, packets: bytes / 100 }, dropped: 1, delayed: 2, hits: 3 }
    }

    #[test]
    fn a_sum_comes_back_as_it_was() {
        let sum = Sum {
            places: 7,
            last: reading(500),
            counts: super::Counts { hits: 4, at_line_ms: 5, violations: 6, ..Default::default() },
            each: BTreeMap::new(),
            idle: None,
        };
        let back = Sum::from(sum.words());
        assert_eq!((back.counts, back.places, back.last), (sum.counts, sum.places, sum.last));
    }

    #[test]
    fn a_place_that_begins_anew_is_counted_from_nothing() {
        assert_eq!(reading(500).since(&reading(200)).passed.bytes, 300);
        assert_eq!(reading(100).since(&reading(200)).passed.bytes, 100);
        assert_ne!(
            super::places_key([Place::Egress(1)].iter()),
            super::places_key([Place::Egress(2)].iter())
        );
    }
}
