//! What the book keeps of an account and of a cgroup, and what it asks to be done. Data only.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::snapshot::{Identity, Workload};
use crate::{inventory::Stored, runtimes::Proposal};

/// What must be done. Each is safe to do again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the runtimes' files who the container of a cgroup is.
    Ask {
        /// The cgroup.
        cgroup: u32,
        /// Its path.
        path: Vec<u8>,
        /// What the path looks like.
        proposals: Vec<Proposal>,
    },
    /// The same, later.
    AskLater(u32, Duration),
    /// Write down who an account or workload is.
    Name(u64, Stored),
    /// Write down whose a cgroup is.
    Own(u32, u64),
    /// Forget whose a cgroup was that left nothing.
    Disown(u32),
    /// Add the row of a dead cgroup to a sum, and forget whose it was.
    Fold(u32, u64),
}

/// One account.
#[derive(Debug)]
pub struct Entry {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// Its cgroup's path from the hierarchy's root.
    pub path: Vec<u8>,
    /// The workload it counts for, once that is settled.
    pub workload: Option<Workload>,
    /// When its last cgroup went; `None` while it has one.
    pub died: Option<SystemTime>,
    /// Whether a page was handed out since it died.
    pub shown: bool,
    /// Its cgroups that have a directory.
    pub(super) live: usize,
}

impl Entry {
    /// Writes down who this is, as what workload it counts, and when it died.
    pub(super) fn name(&self, key: u64) -> Action {
        let identity = Box::new(Identity::clone(&self.identity));
        Action::Name(key, Stored::Account(identity, self.workload.clone(), self.died))
    }
}

/// One cgroup.
#[derive(Debug)]
pub struct Member {
    /// Its path from the hierarchy's root.
    pub path: Vec<u8>,
    /// Whose it is; `None` until a name is found.
    pub account: Option<u64>,
    /// Its directory is gone.
    pub removed: bool,
    /// It is gone for good, and waits for its name to be folded.
    pub(super) released: bool,
    /// How often it was asked about.
    pub(super) asked: usize,
}
