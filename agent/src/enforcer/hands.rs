//! Limits that were set by hand, as they stand in the pinned map `HANDS`: they outlive the agent.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{BitsPerSecond, ByHand, Numbers, Tasks};
use crate::kernel::{Error, records::Records};

/// All of them, by account.
#[derive(Debug)]
pub struct Hands {
    records: Records,
    by_account: BTreeMap<u64, ByHand>,
}

/// As it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    pids: Option<u64>,
    egress: Option<u64>,
    ingress: Option<u64>,
    dry_run: bool,
    by: String,
    /// Seconds since 1970.
    until: Option<u64>,
}

impl Hands {
    /// Those that are written down.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn open(records: Records) -> Result<Self, Error> {
        let read = |(account, text): (u64, String)| {
            Some((account, serde_json::from_str::<Stored>(&text).ok()?.into()))
        };
        let by_account = records.all()?.into_iter().filter_map(read).collect();
        Ok(Self { records, by_account })
    }

    /// What was set for an account.
    #[must_use]
    pub fn get(&self, account: u64) -> Option<&ByHand> {
        self.by_account.get(&account)
    }

    /// Whether nothing was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_account.is_empty()
    }

    /// Forgets what was set for accounts that are not there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn keep(&mut self, is_there: impl Fn(u64) -> bool) -> Result<(), Error> {
        let gone: Vec<u64> = self.by_account.keys().copied().filter(|account| !is_there(*account)).collect();
        for account in gone {
            self.records.delete(account)?;
            self.by_account.remove(&account);
        }
        Ok(())
    }

    /// Sets it; nothing at all forgets it.
    ///
    /// # Errors
    /// The map is full, or the kernel's: nothing changed.
    pub fn put(&mut self, account: u64, hand: ByHand) -> Result<(), Error> {
        if hand.numbers.is_empty() {
            self.records.delete(account)?;
            self.by_account.remove(&account);
            return Ok(());
        }
        let text = serde_json::to_string(&Stored::from(&hand))
            .map_err(|error| Error::Refused(format!("a limit by hand: {error}")))?;
        self.records.put(account, &text)?;
        self.by_account.insert(account, hand);
        Ok(())
    }

    /// Forgets what is over; gives that.
    ///
    /// # Errors
    /// The kernel's.
    pub fn expire(&mut self, now: SystemTime) -> Result<Vec<(u64, ByHand)>, Error> {
        let is_over = |hand: &ByHand| hand.until.is_some_and(|until| until <= now);
        let over: Vec<(u64, ByHand)> = self
            .by_account
            .iter()
            .filter(|(_, hand)| is_over(hand))
            .map(|(account, hand)| (*account, hand.clone()))
            .collect();
        for (account, _) in &over {
            self.records.delete(*account)?;
            self.by_account.remove(account);
        }
        Ok(over)
    }
}

impl From<&ByHand> for Stored {
    fn from(hand: &ByHand) -> Self {
        let ByHand { numbers: Numbers { pids, egress, ingress }, dry_run, by, until } = hand;
        let seconds = |time: &SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            pids: pids.map(|pids| pids.get().into()),
            egress: egress.map(BitsPerSecond::bits),
            ingress: ingress.map(BitsPerSecond::bits),
            dry_run: *dry_run,
            by: by.clone(),
            until: until.as_ref().map(seconds),
        }
    }
}

impl From<Stored> for ByHand {
    fn from(stored: Stored) -> Self {
        let Stored { pids, egress, ingress, dry_run, by, until } = stored;
        let rate = |bits: Option<u64>| bits.and_then(|bits| BitsPerSecond::new(bits).ok());
        Self {
            numbers: Numbers {
                pids: pids.and_then(|pids| Tasks::new(pids).ok()),
                egress: rate(egress),
                ingress: rate(ingress),
            },
            dry_run,
            by,
            until: until.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BitsPerSecond, ByHand, Duration, Numbers, Stored, Tasks, UNIX_EPOCH};

    #[test]
    fn what_was_set_comes_back_as_it_was() {
        let hand = ByHand {
            numbers: Numbers {
                pids: Some(Tasks::new(50).unwrap()),
                egress: Some(BitsPerSecond::new(10_000_000).unwrap()),
                ingress: None,
            },
            dry_run: true,
            by: "uid 0".into(),
            until: Some(UNIX_EPOCH + Duration::from_secs(2_000_000_000)),
        };
        let text = serde_json::to_string(&Stored::from(&hand)).unwrap();
        assert_eq!(ByHand::from(serde_json::from_str::<Stored>(&text).unwrap()), hand);
    }
}
