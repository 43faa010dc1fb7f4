//! What became of limits: every change and every hit, with who and why. In memory, bounded; each entry is logged, too.

mod entry;
mod filter;

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use tokio::sync::watch;

pub use self::{
    entry::{Container, Entry, Kind, MAX_TEXT, Note, Who},
    filter::Filter,
};

/// Entries that are kept; the oldest make room.
pub const ENTRIES: usize = 4_096;

/// What is kept.
#[derive(Debug)]
struct Ring {
    began: SystemTime,
    /// The sequence of the last entry; 0: there was none.
    last: u64,
    /// Their sequences follow each other, the last is `last`.
    entries: VecDeque<Arc<Entry>>,
}

/// The end that writes. There is one.
#[derive(Debug)]
pub struct Journal {
    ring: watch::Sender<Ring>,
}

/// An end that reads. Clones read the same journal, also what was written before.
#[derive(Debug, Clone)]
pub struct JournalReader {
    ring: watch::Receiver<Ring>,
}

/// What a reader found.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What was asked for, the oldest first.
    pub entries: Vec<Arc<Entry>>,
    /// Entries between where the reader was and the first that is kept: they made room, whatever they were about.
    pub lost: u64,
    /// Where the reader is now: look after this next time.
    pub last: u64,
    /// When this journal began: sequences count from there.
    pub began: SystemTime,
}

impl Journal {
    /// A journal that is empty, and a reader of it.
    #[must_use]
    pub fn new(began: SystemTime) -> (Self, JournalReader) {
        let ring = Ring { began, last: 0, entries: VecDeque::new() };
        let (ring, reads) = watch::channel(ring);
        (Self { ring }, JournalReader { ring: reads })
    }

    /// Writes an entry, logs it, and wakes whoever waits for more.
    pub fn write(&mut self, at: SystemTime, note: Note) {
        let entry = note.entry(self.ring.borrow().last + 1, at);
        tracing::info!("{entry}");
        self.ring.send_modify(|ring| ring.push(Arc::new(entry)));
    }
}

impl JournalReader {
    /// What was written after `after`, as far as it is kept and the filter wants it. `None`: all.
    ///
    /// An `after` that no entry has had yet is of another agent's journal: all is new then.
    #[must_use]
    pub fn look(&self, after: Option<u64>, filter: &Filter) -> Look {
        self.ring.borrow().look(after, filter)
    }

    /// Waits until there is an entry after `after`. `false`: there never will be.
    pub async fn more(&mut self, after: u64) -> bool {
        self.ring.wait_for(|ring| ring.last > after).await.is_ok()
    }
}

impl Ring {
    fn push(&mut self, entry: Arc<Entry>) {
        self.last = entry.sequence;
        if self.entries.len() >= ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    fn look(&self, after: Option<u64>, filter: &Filter) -> Look {
        let after = after.filter(|after| *after <= self.last);
        let before = self.entries.front().map_or(self.last, |first| first.sequence - 1);
        let lost = after.map_or(0, |after| before.saturating_sub(after));
        let seen = after.unwrap_or_default().saturating_sub(before);
        let entries = self.entries.iter().skip(usize::try_from(seen).unwrap_or(usize::MAX));
        let entries = entries.filter(|entry| filter.wants(entry)).cloned().collect();
        Look { entries, lost, last: self.last, began: self.began }
    }
}

#[cfg(test)]
mod tests;
