//! Where maps and links outlive the agent: `<bpffs>/plimsoll/v<layout>/{maps,links,programs,veths}`, and who may use them.
//! Never loads a program. Names hold no dots: bpffs refuses them.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg, OFlag},
    sys::statfs::{BPF_FS_MAGIC, fstatfs, statfs},
};
use plimsoll_common::LAYOUT;

use super::{Error, shapers::SHAPERS, veths::VETHS};

/// Kinds of pins, one directory each.
const KINDS: [&str; 5] = ["maps", "links", "programs", VETHS, SHAPERS];

/// The directory of all pins, locked: one agent at a time.
#[derive(Debug)]
pub struct Pins {
    root: PathBuf,
    _lock: Flock<File>,
}

impl Pins {
    /// Makes `<bpffs>/plimsoll` where it is missing, and locks it. One that is not root's alone is moved aside if that
    /// is wished: a bpf filesystem is everybody's to make directories in.
    ///
    /// # Errors
    /// `bpffs` is no bpf filesystem, the directory is not root's alone, or another agent holds the lock.
    pub fn lock(bpffs: &Path, takeover: bool) -> Result<Self, Error> {
        let root = Self::root(bpffs)?;
        match Self::lock_directory(root.clone()) {
            Err(Error::Foreign { .. }) if takeover => {
                let aside = bpffs.join(aside_name("plimsoll_aside"));
                fs::rename(&root, &aside).map_err(Error::pin("move pins to", &aside))?;
                Self::lock_directory(root)
            }
            result => result,
        }
    }

    fn lock_directory(root: PathBuf) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o700).create(&root) {
            Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::pin("create", &root)(source));
            }
            _ => {}
        }
        let foreign = |reason: &str| Error::Foreign { path: root.clone(), reason: reason.to_owned() };
        // A link would lead root to a directory of somebody's choice, to remove and create in it.
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let directory = File::options().read(true).custom_flags(flags.bits()).open(&root);
        let directory = directory.map_err(|source| match source.raw_os_error() {
            Some(libc::ELOOP | libc::ENOTDIR) => foreign("it is no directory"),
            _ => Error::pin("open", &root)(source),
        })?;
        let kind = fstatfs(&directory).map_err(Error::pin("look at", &root))?;
        if kind.filesystem_type() != BPF_FS_MAGIC {
            return Err(foreign("something else is mounted there"));
        }
        let owner = directory.metadata().map_err(Error::pin("look at", &root))?;
        if owner.uid() != 0 || owner.mode() & 0o077 != 0 || !owner.is_dir() {
            let reason =
                format!("owner {} and mode {:o} instead of root's alone", owner.uid(), owner.mode() & 0o7777);
            return Err(Error::Foreign { path: root, reason });
        }
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            // `plimsoll cleanup` may have removed it between our look and our lock, and another agent made it anew.
            Ok(_) if !is_still(&root, &owner) => Self::lock_directory(root),
            Ok(lock) => Ok(Self { root, _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(Error::Locked {
                holder: holder(&owner).unwrap_or_else(|| "pid unknown".into()),
                path: root,
            }),
            Err((_, errno)) => Err(Error::pin("lock", root)(errno)),
        }
    }

    /// `<bpffs>/plimsoll`, once `bpffs` is known to be one.
    fn root(bpffs: &Path) -> Result<PathBuf, Error> {
        let is_one = match statfs(bpffs) {
            Ok(kind) => kind.filesystem_type() == BPF_FS_MAGIC,
            Err(Errno::ENOENT | Errno::ENOTDIR) => false,
            Err(errno) => return Err(Error::pin("look at", bpffs)(errno)),
        };
        if !is_one {
            let path = bpffs.display();
            return Err(Error::Refused(format!(
                "{path} is no bpf filesystem: `mount -t bpf bpf {path}`, or run with --no-pin"
            )));
        }
        Ok(bpffs.join("plimsoll"))
    }

    /// The pins of this layout, whether they exist or not.
    #[must_use]
    pub fn current(&self) -> PathBuf {
        self.root.join(format!("v{LAYOUT}"))
    }

    /// Sets of pins of older layouts, the oldest first, each with its layout.
    ///
    /// # Errors
    /// There is one of a newer layout, or the kernel's.
    pub fn older(&self) -> Result<Vec<(u32, PathBuf)>, Error> {
        let entries = fs::read_dir(&self.root).map_err(Error::pin("read", &self.root))?;
        let layout = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix('v')?.parse::<u32>().ok();
        let mut layouts: Vec<u32> = entries.flatten().filter_map(layout).collect();
        layouts.sort_unstable();
        if let Some(newer) = layouts.last().filter(|layout| **layout > LAYOUT) {
            return Err(Error::Newer { path: self.root.join(format!("v{newer}")) });
        }
        layouts.retain(|layout| *layout != LAYOUT);
        Ok(layouts.into_iter().map(|layout| (layout, self.root.join(format!("v{layout}")))).collect())
    }

    /// Removes a set that nothing is left in, whole or not at all: a half removed one would be taken for damaged.
    ///
    /// # Errors
    /// The kernel's.
    pub fn discard(&self, set: &Path) -> Result<(), Error> {
        let discarded = self.root.join("discarded");
        remove(&discarded)?;
        fs::rename(set, &discarded).map_err(Error::pin("rename pins to", &discarded))?;
        remove(&discarded)
    }

    /// An empty place to build a new set in. What a killed start left there is removed: it never counted for anybody.
    ///
    /// # Errors
    /// The kernel's.
    pub fn stage(&self) -> Result<PathBuf, Error> {
        let stage = self.root.join("stage");
        remove(&stage)?;
        remove(&self.root.join("discarded"))?;
        for kind in KINDS {
            let directory = stage.join(kind);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(Error::pin("create", &directory))?;
        }
        Ok(stage)
    }

    /// Makes the staged set the current one, in one step.
    ///
    /// # Errors
    /// The kernel's.
    pub fn commit(&self, stage: &Path) -> Result<PathBuf, Error> {
        let current = self.current();
        fs::rename(stage, &current).map_err(Error::pin("rename pins to", &current))?;
        Ok(current)
    }

    /// Moves a set out of the way, as it is.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_aside(&self, set: &Path) -> Result<PathBuf, Error> {
        let aside = self.root.join(aside_name("aside"));
        fs::rename(set, &aside).map_err(Error::pin("move pins to", &aside))?;
        Ok(aside)
    }
}

/// Removes every pin of ours in `bpffs`, those moved aside too, and so every program and map. `false`: there was none.
///
/// # Errors
/// An agent runs, or the kernel's.
pub fn remove_all(bpffs: &Path) -> Result<bool, Error> {
    let root = Pins::root(bpffs)?;
    let lock = match root.exists().then(|| Pins::lock_directory(root.clone())).transpose() {
        Err(Error::Foreign { .. }) => None, // nobody's agent works in it
        lock => lock?,
    };
    let entries = fs::read_dir(bpffs).map_err(Error::pin("read", bpffs))?;
    let ours = |name: &str| name == "plimsoll" || name.starts_with("plimsoll_aside_");
    let found: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(ours))
        .map(|entry| entry.path())
        .collect();
    found.iter().try_for_each(|path| remove(path))?;
    drop(lock);
    Ok(!found.is_empty())
}

/// Every set of pins of ours in `bpffs`: of this layout, of others, and those moved aside.
#[must_use]
pub fn sets(bpffs: &Path) -> Vec<PathBuf> {
    let inside = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let ours = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("plimsoll"))
    };
    let roots: Vec<PathBuf> = inside(bpffs).into_iter().filter(ours).collect();
    let mut sets: Vec<PathBuf> = roots.iter().flat_map(|root| inside(root)).chain(roots.clone()).collect();
    sets.retain(|set| set.join("maps").is_dir());
    sets.sort();
    sets
}

/// Whether what is at `path` is the file that was looked at.
fn is_still(path: &Path, found: &fs::Metadata) -> bool {
    fs::symlink_metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (found.dev(), found.ino()))
}

/// `prefix_<seconds since 1970>`.
fn aside_name(prefix: &str) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{prefix}_{seconds}")
}

/// Removes a directory with all in it; one that is not there is gone already.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::pin("remove", path)(source))
        }
        _ => Ok(()),
    }
}

/// The set of pins of this layout in `bpffs`, whether it is there or not.
#[must_use]
pub fn current(bpffs: &Path) -> PathBuf {
    bpffs.join("plimsoll").join(format!("v{LAYOUT}"))
}

/// What is pinned in `bpffs`, in words. Changes nothing.
///
/// # Errors
/// `bpffs` is no bpf filesystem.
pub fn look(bpffs: &Path) -> Result<String, Error> {
    let root = Pins::root(bpffs)?;
    let current = root.join(format!("v{LAYOUT}"));
    Ok(if current.is_dir() {
        format!("programs and counts are pinned in {}", current.display())
    } else {
        format!("nothing is pinned yet; a run will pin in {}", current.display())
    })
}

/// The agent that runs with the pins in `bpffs`, if there is one: `pid 123 (plimsoll)`.
#[must_use]
pub fn user(bpffs: &Path) -> Option<String> {
    holder(&fs::metadata(bpffs.join("plimsoll")).ok()?)
}

/// `pid 123 (plimsoll)`: who holds a flock on `directory`.
fn holder(directory: &fs::Metadata) -> Option<String> {
    let (major, minor) = (libc::major(directory.dev()), libc::minor(directory.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", directory.ino());
    let pid = lock_holder(&fs::read_to_string("/proc/locks").ok()?, &place)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("pid {pid} ({})", name.trim()))
}

/// The pid in a line `1: FLOCK ADVISORY WRITE 123 00:1f:456 0 EOF` whose device and inode are `place`.
fn lock_holder(locks: &str, place: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "FLOCK").skip(3);
        let pid = words.next()?.parse().ok()?;
        (words.next()? == place).then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use super::lock_holder;

    #[test]
    fn a_lock_names_its_holder() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 00:1f:99 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 123 00:1f:99 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 124 00:1f:99 0 EOF\n";
        assert_eq!(lock_holder(locks, "00:1f:99"), Some(123));
        assert_eq!(lock_holder(locks, "00:2f:99"), None);
        assert_eq!(lock_holder("garbage FLOCK", "00:1f:99"), None);
    }
}
