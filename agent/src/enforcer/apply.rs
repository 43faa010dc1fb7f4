//! The one place that changes something on the host: holds a limit, looks whether it is still held, puts it back. Each act's
//! undo is written down before it, and forgotten after it was undone.

mod shape;
mod tasks;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    decide::{Action, Desired},
    record::{Place, Record},
};
use crate::{
    cgroup::Hierarchy,
    kernel::{Error, records::Records, shapers::Shapers},
    network::{Requests, ShapingError},
};

/// How a limit is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// By what: `pids.max`, `tbf`, `ifb`.
    pub method: &'static str,
    /// What is not as good as elsewhere.
    pub degraded: Option<String>,
}

/// Why something was not done, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotHeld(pub String);

/// Whether a limit is still as it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is.
    Same,
    /// What it was set on is gone.
    Gone,
    /// Somebody changed it: in words, how.
    Changed(String),
}

/// Acts.
pub struct Doer {
    requests: Requests,
    shapers: Shapers,
    undo: Records,
    /// The hierarchy of the pids controller, where there is one.
    pids: Option<Hierarchy>,
    /// Where the freezer of containers is.
    freezer: PathBuf,
    /// What was done and is not undone.
    pub done: BTreeMap<Place, Record>,
}

impl Doer {
    /// One that goes on from what another agent wrote down.
    ///
    /// # Errors
    /// Pins are missing, or the kernel's.
    pub fn open(set: &Path, pids: Option<Hierarchy>, freezer: PathBuf) -> anyhow::Result<Self> {
        let undo = Records::undo(set)?;
        let records = undo.all()?.into_iter().filter_map(|(_, text)| Record::parse(&text));
        let done = records.map(|record| (record.place(), record)).collect();
        Ok(Self { requests: Requests::open()?, shapers: Shapers::open(set)?, undo, pids, freezer, done })
    }

    /// Does it; of a limit, how it is held.
    ///
    /// # Errors
    /// Why not; what was begun is undone.
    pub fn act(&mut self, action: &Action) -> Result<Option<Held>, NotHeld> {
        match action {
            Action::Undo(record) => self.undo(record).map(|()| None),
            Action::Hold(place, desired) => self.hold(*place, desired).map(Some),
        }
    }

    fn hold(&mut self, place: Place, desired: &Desired) -> Result<Held, NotHeld> {
        let held = match place {
            Place::Tasks(cgroup) => self.hold_tasks(cgroup, desired),
            Place::Ingress(ifindex) => self.hold_ingress(ifindex, desired.wanted),
            Place::Egress(ifindex) => self.hold_egress(ifindex, desired.wanted),
            Place::Frozen(_) => Err(NotHeld("nothing is frozen by itself".into())),
        };
        // What was held before at another line is held no more: half of it may be changed.
        if held.is_err()
            && let Some(record) = self.done.get(&place).cloned()
        {
            let _not_undone = self.undo(&record); // then it is still written down, and tried again
        }
        held
    }

    /// Puts everything back as it was, as far as it still is what we made it.
    ///
    /// # Errors
    /// Somebody changed it since, or the kernel's: it stays as it is, and is forgotten in the first case.
    pub fn undo(&mut self, record: &Record) -> Result<(), NotHeld> {
        let undone = match record {
            Record::Tasks { .. } => self.undo_tasks(record),
            Record::Ingress { ifindex, .. } => self.undo_ingress(*ifindex),
            Record::Egress { ifindex, makes_hook, .. } => self.undo_egress(*ifindex, *makes_hook),
            Record::Frozen { cgroup, path } => self.thaw(*cgroup, path.bytes()),
        };
        match undone {
            Ok(told) => {
                self.forget(record.place())?;
                told.map_or(Ok(()), |told| Err(NotHeld(told)))
            }
            Err(error) => Err(NotHeld(error)),
        }
    }

    /// Whether what was done there is still so.
    ///
    /// # Errors
    /// The kernel's.
    pub fn look(&mut self, record: &Record) -> Result<Look, NotHeld> {
        match record {
            Record::Tasks { .. } => self.look_at_tasks(record),
            Record::Ingress { ifindex, wanted } => self.look_at_ingress(*ifindex, *wanted),
            Record::Egress { ifindex, wanted, .. } => self.look_at_egress(*ifindex, *wanted),
            Record::Frozen { cgroup, path } => self.look_at_frozen(*cgroup, path.bytes()),
        }
    }

    /// Removes what is ours by its name and was written down nowhere: what is left when pins were removed by hand.
    ///
    /// # Errors
    /// The kernel's.
    pub fn sweep(&mut self) -> Result<u64, NotHeld> {
        self.sweep_ifbs().map_err(not_held)
    }

    /// Writes down how an act is undone, before it.
    fn note(&mut self, record: Record) -> Result<(), NotHeld> {
        let text = record.text().ok_or_else(|| {
            NotHeld(format!("its cgroup's path is too long to be written down: {} bytes", Records::room()))
        })?;
        self.undo.put(record.place().key(), &text).map_err(not_written)?;
        self.done.insert(record.place(), record);
        Ok(())
    }

    fn forget(&mut self, place: Place) -> Result<(), NotHeld> {
        self.undo.delete(place.key()).map_err(not_written)?;
        self.done.remove(&place);
        Ok(())
    }

    /// The question to the kernel.
    pub fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn not_written(error: Error) -> NotHeld {
    NotHeld(format!("how it is undone cannot be written down: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn not_held(error: ShapingError) -> NotHeld {
    NotHeld(error.to_string())
}
