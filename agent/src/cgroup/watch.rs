//! Waits until a cgroup's limit of tasks is hit.

use std::{
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt as _,
    },
};

use nix::fcntl::OFlag;

use super::{TaskError, opened::Opened};

/// The file of hits of a cgroup, open. Its descriptor has `POLLPRI` when there were hits since [`Self::heed`], at most every
/// 10 ms. On v1 newer kernels wake nobody (6.12 does, 6.18 does not): there [`super::Tasks::hits`] is to be asked from time to time.
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
        watch.heed()?;
        Ok(watch)
    }

    /// Has only later hits wake. To be called before the hits are counted: one that comes between the two wakes once too often.
    ///
    /// # Errors
    /// The cgroup is gone.
    pub fn heed(&self) -> Result<(), TaskError> {
        // The kernel compares with what was read last.
        self.file.read_at(&mut [0; 256], 0).map(drop).map_err(|source| match source.raw_os_error() {
            Some(libc::ENODEV) => TaskError::Gone { path: self.shown.clone() },
            _ => self.refused("read", source),
        })
    }

    /// Waits for hits, that long at most; whether there were some, which are heeded then.
    ///
    /// # Errors
    /// The cgroup is gone, or the kernel's.
    #[cfg(test)]
    pub fn wait(&self, patience: std::time::Duration) -> Result<bool, TaskError> {
        use nix::{
            errno::Errno,
            poll::{PollFd, PollFlags, PollTimeout, poll},
        };

        let mut files = [PollFd::new(self.file.as_fd(), PollFlags::POLLPRI)];
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut files, timeout) {
            Ok(0) | Err(Errno::EINTR) => Ok(false),
            Ok(_) => self.heed().map(|()| true),
            Err(errno) => Err(self.refused("wait for", errno.into())),
        }
    }

    fn refused(&self, what: &'static str, source: std::io::Error) -> TaskError {
        TaskError::Refused { path: self.shown.clone(), what, file: self.name, source }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
