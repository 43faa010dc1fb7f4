//! Waits until a cgroup's limit of tasks is hit.

use std::{
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt as _,
    },
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{TaskError, opened::Opened, tasks::parse_hits};

/// A file of hits, open. Its descriptor has `POLLPRI` when a hit was added since [`Self::count`], at most every 10 ms; whoever
/// wants to be sure asks again from time to time. Wakes on v1 and v2.
#[derive(Debug)]
pub struct Watch {
    file: File,
    name: &'static str,
    shown: String,
}

impl Watch {
    pub(super) fn open(cgroup: &Opened, name: &'static str) -> Result<Self, TaskError> {
        let file = cgroup.file(name, OFlag::O_RDONLY)?;
        let watch = Self { file, name, shown: cgroup.shown() };
        watch.count()?; // what the kernel compares with
        Ok(watch)
    }

    /// What the file says now; only a change of that is to be compared with another, as [`super::Tasks::hits`] may read another
    /// file.
    ///
    /// # Errors
    /// The cgroup is gone.
    pub fn count(&self) -> Result<u64, TaskError> {
        let path = || self.shown.clone();
        let mut text = [0; 256];
        let length = self.file.read_at(&mut text, 0).map_err(|source| match source.raw_os_error() {
            Some(libc::ENODEV) => TaskError::Gone { path: path() },
            _ => TaskError::Refused { path: path(), what: "read", file: self.name, source },
        })?;
        let text = text.get(..length).unwrap_or_default();
        let unclear = || TaskError::Unclear { path: path(), file: self.name, text: super::printable(text) };
        parse_hits(text).ok_or_else(unclear)
    }

    /// Waits that long at most; whether there is something to count.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&self, patience: Duration) -> Result<bool, TaskError> {
        let mut files = [PollFd::new(self.file.as_fd(), PollFlags::POLLPRI)];
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut files, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(TaskError::Refused {
                path: self.shown.clone(),
                what: "wait for",
                file: self.name,
                source: errno.into(),
            }),
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
