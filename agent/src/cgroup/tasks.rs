//! The pids controller of one cgroup, of v1 or v2: its limit of tasks, how many there are, and how often it was hit. Does what
//! it is told; decides nothing.

use std::{fs, path::PathBuf};

use super::{
    Hierarchy, Max, TaskError, directory, hierarchy::has_local_events, max::MOST, opened::Opened,
    watch::Watch,
};

/// Since cgroup2 of 6.12: hits of this cgroup's own limit.
const OWN_HITS: &str = "pids.events.local";
/// Hits, in older kernels forks refused.
const HITS: &str = "pids.events";

/// The tasks of a cgroup, held: another cgroup that gets its path is not touched.
#[derive(Debug)]
pub struct Tasks {
    pub(super) cgroup: Opened,
    pub(super) hierarchy: Hierarchy,
}

/// How often a limit was hit, since the cgroup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    /// How often.
    pub count: u64,
    /// What was counted.
    pub counting: Counting,
}

/// What a kernel counts as a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Forks refused by the limit of this very cgroup, in it or anywhere below: `pids.events.local` (cgroup2, kernel >= 6.12).
    OwnLimit,
    /// Forks refused to processes of this very cgroup, not of those below, by its own limit or one above: `pids.events`.
    OwnForks,
}

/// The limit that counts for a cgroup: the lowest of its own and those above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The limit.
    pub max: Max,
    /// The path of the cgroup that has it; the nearest where several have the same.
    pub path: Vec<u8>,
}

impl Tasks {
    /// Holds the cgroup at `path` if it is the one with that id. `hierarchy` is the one that has the pids controller
    /// ([`super::Hierarchies::pids`]), and `id` that of the cgroup there ([`super::id_of`]): on a hybrid host cgroup2 has another
    /// of the same path.
    ///
    /// # Errors
    /// It is gone, or another one is there.
    pub fn open(hierarchy: &Hierarchy, path: &[u8], id: u64) -> Result<Self, TaskError> {
        let cgroup = Opened::open(&hierarchy.mount, path, id)?;
        Ok(Self { cgroup, hierarchy: hierarchy.clone() })
    }

    /// Its own limit.
    ///
    /// # Errors
    /// It is gone, or has no pids controller.
    pub fn max(&self) -> Result<Max, TaskError> {
        self.cgroup.parsed("pids.max", Max::parse)
    }

    /// Sets its own limit. Nothing ends where more are there; no fork is allowed then.
    ///
    /// # Errors
    /// It is gone or has no pids controller, the number is above 4,194,304, or the kernel's.
    pub fn set_max(&self, max: Max) -> Result<(), TaskError> {
        if let Max::Number(wanted) = max
            && wanted > MOST
        {
            return Err(TaskError::TooMany { path: self.cgroup.shown(), wanted, most: MOST });
        }
        self.cgroup.write("pids.max", &max.to_string())
    }

    /// Tasks in it and below, zombies included.
    ///
    /// # Errors
    /// It is gone, or has no pids controller.
    pub fn current(&self) -> Result<u64, TaskError> {
        self.cgroup.parsed("pids.current", number)
    }

    /// How often its limit was hit.
    ///
    /// # Errors
    /// It is gone, or has no pids controller.
    pub fn hits(&self) -> Result<Hits, TaskError> {
        let own = match self.cgroup.parsed(OWN_HITS, parse_hits) {
            Ok(count) => Some(count),
            Err(TaskError::NotSupported { .. }) => None,
            Err(error) => return Err(error),
        };
        let of_limit = |count| Ok(Hits { count, counting: Counting::OwnLimit });
        if let Some(count) = own.filter(|count| *count > 0) {
            return of_limit(count);
        }
        let count = self.cgroup.parsed(HITS, parse_hits)?;
        // None of its own, but some: of limits below, unless the mount has the old way of counting.
        if own.is_some() && (count == 0 || !has_local_events(&self.hierarchy.mount)) {
            return of_limit(0);
        }
        Ok(Hits { count, counting: Counting::OwnForks })
    }

    /// Waits for hits from now on.
    ///
    /// # Errors
    /// It is gone, or has no pids controller.
    pub fn watch(&self) -> Result<Watch, TaskError> {
        let file = if self.cgroup.has(OWN_HITS) { OWN_HITS } else { HITS };
        Watch::open(&self.cgroup, file)
    }

    /// Whether a limit above may refuse its forks, too. Those are read by their paths.
    #[must_use]
    pub fn is_below_a_limit(&self) -> bool {
        above(self.cgroup.path()).any(|path| self.max_at(path).is_some_and(|max| max != Max::None))
    }

    /// The limit of a cgroup above; the root has none.
    fn max_at(&self, path: &[u8]) -> Option<Max> {
        let file: PathBuf = directory(&self.hierarchy.mount, path).join("pids.max");
        Max::parse(&fs::read(file).ok()?)
    }

    /// The limit that counts for it. Those above are read by their paths.
    ///
    /// # Errors
    /// It is gone, or has no pids controller.
    pub fn effective(&self) -> Result<Effective, TaskError> {
        let mut lowest = Effective { max: self.max()?, path: self.cgroup.path().to_vec() };
        for path in above(self.cgroup.path()) {
            if let Some(max) = self.max_at(path).filter(|max| *max < lowest.max) {
                lowest = Effective { max, path: path.to_vec() };
            }
        }
        Ok(lowest)
    }
}

/// The paths above one, the nearest first, without the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
    slashes.filter_map(|(slash, _)| path.get(..slash)).filter(|parent| !parent.is_empty())
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// The number in the line `max 12`; others may be added.
fn parse_hits(text: &[u8]) -> Option<u64> {
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.strip_prefix(b"max ")).find_map(number)
}

#[cfg(test)]
mod tests;
