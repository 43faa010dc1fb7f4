//! Task limits: `pids.max`, within what the runtime set unless told otherwise.

use super::{
    super::{
        decide::Desired,
        record::{Path, Place, Record},
    },
    Doer, Held, Look, NotHeld,
};
use crate::cgroup::{Effective, Freezer, Max, TaskError, Tasks, directory, id_of, printable};

impl Doer {
    fn tasks(&self, cgroup: u64, path: &[u8]) -> Result<Tasks, NotHeld> {
        let pids = self.pids.as_ref().ok_or_else(|| NotHeld("this host has no pids controller".into()))?;
        Tasks::open(pids, path, cgroup).map_err(|error| NotHeld(error.to_string()))
    }

    pub(super) fn hold_tasks(&mut self, cgroup: u64, desired: &Desired) -> Result<Held, NotHeld> {
        let error = |error: TaskError| NotHeld(error.to_string());
        let Desired { wanted, path, .. } = desired;
        let tasks = self.tasks(cgroup, path)?;
        let now = number(tasks.max().map_err(error)?);
        let (before, was) = match self.done.get(&Place::Tasks(cgroup)) {
            // Ours is no runtime's.
            Some(record @ Record::Tasks { before, .. }) if record.is_ours(now) => (*before, now),
            _ => (now, None),
        };
        let ours = desired.within(before);
        self.note(Record::Tasks {
            cgroup,
            path: Path::from(path.as_slice()),
            before,
            ours,
            was,
            wanted: *wanted,
        })?;
        tasks.set_max(Max::Number(ours)).map_err(error)?;
        let lower = (ours < *wanted).then(|| format!("the runtime's own limit is lower: {ours}"));
        let Effective { max, path: above } = tasks.effective().map_err(error)?;
        let is_above = above != *path;
        let degraded = match number(max) {
            Some(max) if is_above => Some(format!("that of {} is lower: {max}", printable(&above))),
            _ => lower,
        };
        Ok(Held { method: "pids.max", degraded })
    }

    pub(super) fn undo_tasks(&mut self, record: &Record) -> Result<Option<String>, String> {
        let Record::Tasks { cgroup, path, before, .. } = record else { return Ok(None) };
        let Some(pids) = &self.pids else { return Ok(None) };
        let tasks = match Tasks::open(pids, path.bytes(), *cgroup) {
            Err(error) if is_gone(&error) => return Ok(None),
            tasks => tasks.map_err(|error| error.to_string())?,
        };
        let now = tasks.max().map_err(|error| error.to_string())?;
        let is_as_before = number(now) == *before; // killed before anything was done
        if !record.is_ours(number(now)) {
            let told = format!("pids.max is {now} by somebody else's hand, and stays so");
            return Ok((!is_as_before).then_some(told));
        }
        tasks.set_max(before.map_or(Max::None, Max::Number)).map_err(|error| error.to_string())?;
        Ok(None)
    }

    pub(super) fn look_at_tasks(&mut self, record: &Record) -> Result<Look, NotHeld> {
        let Record::Tasks { cgroup, path, ours, .. } = record else { return Ok(Look::Same) };
        let Some(pids) = &self.pids else { return Ok(Look::Gone) };
        let max = match Tasks::open(pids, path.bytes(), *cgroup).and_then(|tasks| tasks.max()) {
            Err(error) if is_gone(&error) => return Ok(Look::Gone),
            max => max.map_err(|error| NotHeld(error.to_string()))?,
        };
        if number(max) == Some(*ours) {
            return Ok(Look::Same);
        }
        Ok(Look::Changed(format!("pids.max was {ours} and is {max}")))
    }
}

impl Doer {
    /// Freezes a container at its line; somebody has to thaw it.
    ///
    /// # Errors
    /// It is gone, it has no freezer, or the kernel's.
    pub fn freeze(&mut self, path: &[u8]) -> Result<(), NotHeld> {
        let error = |error: TaskError| NotHeld(error.to_string());
        let place = directory(&self.freezer, path);
        let cgroup = id_of(&place).map_err(|error| NotHeld(format!("{}: {error}", place.display())))?;
        let freezer = Freezer::open(&self.freezer, path, cgroup).map_err(error)?;
        // One that somebody else froze is not ours to thaw.
        if freezer.state().map_err(error)?.is_asked {
            return Ok(());
        }
        self.note(Record::Frozen { cgroup, path: Path::from(path) })?;
        freezer.freeze().map_err(error)
    }

    pub(super) fn thaw(&mut self, cgroup: u64, path: &[u8]) -> Result<Option<String>, String> {
        match Freezer::open(&self.freezer, path, cgroup).and_then(|freezer| freezer.thaw()) {
            Err(error) if !is_gone(&error) => Err(error.to_string()),
            _ => Ok(None),
        }
    }

    pub(super) fn look_at_frozen(&mut self, cgroup: u64, path: &[u8]) -> Result<Look, NotHeld> {
        match Freezer::open(&self.freezer, path, cgroup).and_then(|freezer| freezer.state()) {
            Ok(state) if state.is_asked => Ok(Look::Same),
            Err(error) if !is_gone(&error) => Err(NotHeld(error.to_string())),
            // Or somebody thawed it, which was to be done.
            _ => Ok(Look::Gone),
        }
    }
}

/// The cgroup that was changed is no more, whether or not its path has another one by now.
const fn is_gone(error: &TaskError) -> bool {
    matches!(error, TaskError::Gone { .. } | TaskError::Replaced { .. })
}

const fn number(max: Max) -> Option<u64> {
    match max {
        Max::Number(number) => Some(number),
        Max::None => None,
    }
}
