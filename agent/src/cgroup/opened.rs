//! A cgroup held by its directory: what is read and written is of that very cgroup, whatever is renamed, removed or made anew
//! at its path.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};

use super::{directory, printable};

/// Why something was not done with a cgroup's tasks.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The cgroup was removed.
    #[error("cgroup {path}: it is gone")]
    Gone {
        /// Its path.
        path: String,
    },
    /// Another cgroup has that path now.
    #[error("cgroup {path}: another one has its place, with the id {found} instead of {wanted}")]
    Replaced {
        /// Its path.
        path: String,
        /// The id of the one that was meant.
        wanted: u64,
        /// The id of the one that is there.
        found: u64,
    },
    /// This cgroup has no such file: the kernel is older, the controller is not enabled there, or it is the root.
    #[error("cgroup {path}: it has no {file}")]
    NotSupported {
        /// Its path.
        path: String,
        /// The file.
        file: &'static str,
    },
    /// A limit that the kernel would refuse.
    #[error("cgroup {path}: pids.max is {most} at most, not {wanted}")]
    TooMany {
        /// Its path.
        path: String,
        /// The limit.
        wanted: u64,
        /// The most that the kernel takes.
        most: u64,
    },
    /// A file says something that cannot be understood.
    #[error("cgroup {path}: {file} says {text:?}")]
    Unclear {
        /// Its path.
        path: String,
        /// The file.
        file: &'static str,
        /// What it says.
        text: String,
    },
    /// It is not to be killed: this process or process 1 is in it.
    #[error("cgroup {path}: process {pid} is in it, which is not to be killed")]
    Protected {
        /// Its path.
        path: String,
        /// The process.
        pid: u32,
    },
    /// Processes that were killed have not ended in time.
    #[error("cgroup {path}: {left} processes are still there")]
    StillThere {
        /// Its path.
        path: String,
        /// How many.
        left: usize,
    },
    /// Anything else that the kernel refused.
    #[error("cgroup {path}: {what} {file}: {source}")]
    Refused {
        /// Its path.
        path: String,
        /// What was tried.
        what: &'static str,
        /// With which file.
        file: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A cgroup, held.
#[derive(Debug)]
pub(super) struct Opened {
    directory: File,
    path: Vec<u8>,
}

impl Opened {
    /// Holds the cgroup at `path` below a mount if it is the one with that id: the inode number of its directory in that
    /// hierarchy.
    pub(super) fn open(mount: &Path, path: &[u8], id: u64) -> Result<Self, TaskError> {
        let place = directory(mount, path);
        let (path, shown) = (path.to_vec(), printable(path));
        let refused = |source: io::Error| match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV) => TaskError::Gone { path: shown.clone() },
            _ => TaskError::Refused { path: shown.clone(), what: "open", file: "its directory", source },
        };
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let directory = OpenOptions::new().read(true).custom_flags(flags).open(&place).map_err(refused)?;
        let found = directory.metadata().map_err(refused)?;
        // What is mounted over it is another file system.
        let is_of_mount = mount.metadata().map_err(refused)?.dev() == found.dev();
        if found.ino() != id || !is_of_mount {
            return Err(TaskError::Replaced { path: shown, wanted: id, found: found.ino() });
        }
        Ok(Self { directory, path })
    }

    /// Its path in the hierarchy when it was opened.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The same for people.
    pub(super) fn shown(&self) -> String {
        printable(&self.path)
    }

    /// Its directory, as a path that leads to this very one.
    pub(super) fn link(&self) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        format!("/proc/self/fd/{}/.", self.directory.as_raw_fd()).into()
    }

    /// All of one of its files.
    pub(super) fn read(&self, file: &'static str) -> Result<Vec<u8>, TaskError> {
        let mut text = Vec::new();
        let mut opened = self.file(file, OFlag::O_RDONLY)?;
        opened.read_to_end(&mut text).map_err(|source| self.refused("read", file, source))?;
        Ok(text)
    }

    /// One of its files, understood.
    pub(super) fn parsed<T>(
        &self,
        file: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, TaskError> {
        let text = self.read(file)?;
        parse(&text).ok_or_else(|| TaskError::Unclear { path: self.shown(), file, text: printable(&text) })
    }

    /// Writes one of its files.
    pub(super) fn write(&self, file: &'static str, text: &str) -> Result<(), TaskError> {
        let mut opened = self.file(file, OFlag::O_WRONLY)?;
        opened.write_all(text.as_bytes()).map_err(|source| self.refused("write", file, source))
    }

    /// One of its files, opened.
    pub(super) fn file(&self, file: &'static str, access: OFlag) -> Result<File, TaskError> {
        let opened = self.try_open(file, access);
        opened.map(File::from).map_err(|source| self.refused("open", file, source))
    }

    /// Whether it has such a file.
    pub(super) fn has(&self, file: &str) -> bool {
        self.try_open(file, OFlag::O_PATH).is_ok()
    }

    fn try_open(&self, file: &str, access: OFlag) -> io::Result<std::os::fd::OwnedFd> {
        let flags = access | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.directory, file, flags, Mode::empty())?)
    }

    fn refused(&self, what: &'static str, file: &'static str, source: io::Error) -> TaskError {
        let path = self.shown();
        match source.raw_os_error() {
            Some(libc::ENODEV) => TaskError::Gone { path },
            // Every cgroup has this one.
            Some(libc::ENOENT) if !self.has("cgroup.procs") => TaskError::Gone { path },
            Some(libc::ENOENT) => TaskError::NotSupported { path, file },
            _ => TaskError::Refused { path, what, file, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::{Opened, TaskError};
    use crate::cgroup::id_of;

    #[test]
    fn only_the_cgroup_that_is_meant_is_written() {
        let mount = tempfile::tempdir().unwrap();
        let place = mount.path().join("a");
        let make = || {
            fs::create_dir(&place).unwrap();
            fs::write(place.join("cgroup.procs"), "").unwrap();
            fs::write(place.join("pids.max"), "max\n").unwrap();
            id_of(&place).unwrap()
        };
        let id = make();
        let opened = Opened::open(mount.path(), b"/a", id).unwrap();
        fs::rename(&place, mount.path().join("old")).unwrap();
        let other = make();
        opened.write("pids.max", "7").unwrap();
        assert_eq!(fs::read_to_string(place.join("pids.max")).unwrap(), "max\n");
        assert_eq!(
            opened.read("pids.max").unwrap(),
            b"7ax
",
            "written over what was there"
        );
        let error = Opened::open(mount.path(), b"/a", id).unwrap_err();
        assert!(matches!(error, TaskError::Replaced { found, .. } if found == other), "{error}");
        assert!(matches!(Opened::open(mount.path(), b"/b", id), Err(TaskError::Gone { .. })));
    }

    #[test]
    fn no_link_is_followed_and_no_file_made() {
        let mount = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("pids.max"), "max\n").unwrap();
        symlink(elsewhere.path(), mount.path().join("link")).unwrap();
        let id = id_of(elsewhere.path()).unwrap();
        assert!(matches!(Opened::open(mount.path(), b"/link", id), Err(TaskError::Refused { .. })));

        let place = mount.path().join("a");
        fs::create_dir(&place).unwrap();
        symlink(elsewhere.path().join("pids.max"), place.join("pids.max")).unwrap();
        let opened = Opened::open(mount.path(), b"/a", id_of(&place).unwrap()).unwrap();
        assert!(matches!(opened.write("pids.max", "7"), Err(TaskError::Refused { .. })));
        assert_eq!(fs::read_to_string(elsewhere.path().join("pids.max")).unwrap(), "max\n");
        assert!(matches!(opened.write("pids.min", "7"), Err(TaskError::Gone { .. })), "no cgroup at all");
        fs::write(place.join("cgroup.procs"), "").unwrap();
        let error = opened.write("pids.min", "7").unwrap_err();
        assert!(matches!(error, TaskError::NotSupported { file: "pids.min", .. }), "{error}");
        assert!(!place.join("pids.min").exists());
    }
}
