//! Counters that a load's processes share, across fork and exec: one page of a file, mapped by each of them.

use std::{
    fs::{File, OpenOptions},
    ops::{Add, Sub},
    os::fd::{AsRawFd as _, FromRawFd as _},
    path::Path,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// What happened in one cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Processes born.
    pub forks: u64,
    /// Threads born beside the first of each process.
    pub thread_creations: u64,
    /// Programs executed.
    pub execs: u64,
    /// Processes that ended with status 0.
    pub exits_ok: u64,
    /// Processes that ended with another status.
    pub exits_error: u64,
    /// Processes that a signal ended.
    pub exits_signal: u64,
}

impl Counts {
    /// Processes that ended, for whatever reason.
    #[must_use]
    pub fn exits(&self) -> u64 {
        self.exits_ok + self.exits_error + self.exits_signal
    }
}

impl Add for Counts {
    type Output = Self;

    /// What happened in both.
    fn add(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_add)
    }
}

impl Sub for Counts {
    type Output = Self;

    /// What happened between two states; 0 where the second is behind.
    fn sub(self, before: Self) -> Self {
        self.zip(before, u64::saturating_sub)
    }
}

impl Counts {
    /// One state with what may be in flight on top of each kind.
    #[must_use]
    pub fn plus_each(self, more: u64) -> Self {
        self.zip(self, |count, _| count + more)
    }

    fn zip(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        let Self { forks, thread_creations, execs, exits_ok, exits_error, exits_signal } = self;
        Self {
            forks: join(forks, other.forks),
            thread_creations: join(thread_creations, other.thread_creations),
            execs: join(execs, other.execs),
            exits_ok: join(exits_ok, other.exits_ok),
            exits_error: join(exits_error, other.exits_error),
            exits_signal: join(exits_signal, other.exits_signal),
        }
    }
}

/// One counter.
#[repr(transparent)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, SeqCst);
    }

    fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

/// The counters of one cgroup.
#[repr(C)]
pub(super) struct Counters {
    pub(super) forks: Counter,
    pub(super) thread_creations: Counter,
    pub(super) execs: Counter,
    pub(super) exits_ok: Counter,
    pub(super) exits_error: Counter,
    pub(super) exits_signal: Counter,
}

impl Counters {
    pub(super) fn counts(&self) -> Counts {
        let Self { forks, thread_creations, execs, exits_ok, exits_error, exits_signal } = self;
        Counts {
            forks: forks.get(),
            thread_creations: thread_creations.get(),
            execs: execs.get(),
            exits_ok: exits_ok.get(),
            exits_error: exits_error.get(),
            exits_signal: exits_signal.get(),
        }
    }
}

/// Which of a load's cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The one that the load runs in.
    Source,
    /// The one that `into` puts its children into.
    Target,
}

/// What the file holds.
#[repr(C)]
struct Page {
    source: Counters,
    target: Counters,
    stop: AtomicBool,
}

/// The counters of a load's cgroups; never unmapped.
#[derive(Debug)]
pub struct Tally {
    file: File,
    page: NonNull<Page>,
}

// SAFETY: the page is only ever read and written by atomic operations.
unsafe impl Sync for Tally {}

impl Tally {
    /// New counters, all 0, in `path` or, without one, in memory. The file stays open across exec.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let file = match path {
            Some(path) => OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path),
            // SAFETY: the name is a C string; a file descriptor that is returned is ours alone.
            None => unsafe {
                match libc::memfd_create(c"tally".as_ptr(), 0) {
                    -1 => Err(std::io::Error::last_os_error()),
                    fd => Ok(File::from_raw_fd(fd)),
                }
            },
        };
        let file = file.context("make the counters file")?;
        file.set_len(size_of::<Page>() as u64).context("size the counters file")?;
        // SAFETY: plain call on a file descriptor that is open.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
        Self::map(file)
    }

    /// The counters that a load writes into a file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Self::map(file.with_context(|| format!("open the counters file {}", path.display()))?)
    }

    /// The counters that the process before the exec used.
    pub(super) fn inherit(number: i32) -> Result<Self> {
        // SAFETY: the number was handed over by the program's former image, nothing else uses it here.
        Self::map(unsafe { File::from_raw_fd(number) })
    }

    fn map(file: File) -> Result<Self> {
        let (size, access) = (size_of::<Page>(), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping at a place that the kernel chooses; nobody shortens the file.
        let page =
            unsafe { libc::mmap(std::ptr::null_mut(), size, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if page == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error()).context("map the counters file");
        }
        let page = NonNull::new(page.cast()).context("map the counters file at address 0")?;
        Ok(Self { file, page })
    }

    /// What happened so far in the cgroup of the load.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.of(Place::Source).counts()
    }

    /// Everything that happened so far, in all cgroups of the load.
    #[must_use]
    pub fn events(&self) -> u64 {
        let places = [Place::Source, Place::Target].map(|place| self.of(place).counts());
        places
            .iter()
            .map(|counts| counts.forks + counts.thread_creations + counts.execs + counts.exits())
            .sum()
    }

    /// The counters of one cgroup.
    pub(super) fn of(&self, place: Place) -> &Counters {
        match place {
            Place::Source => &self.page().source,
            Place::Target => &self.page().target,
        }
    }

    /// Tells the workers to do no more.
    pub(super) fn stop(&self) {
        self.page().stop.store(true, SeqCst);
    }

    /// Whether the workers were told to do no more.
    pub(super) fn stopped(&self) -> bool {
        self.page().stop.load(SeqCst)
    }

    fn page(&self) -> &Page {
        // SAFETY: mapped for as long as the process lives, aligned to a page; made of zeros and written only here.
        unsafe { self.page.as_ref() }
    }

    /// The number to hand to [`Tally::inherit`] after an exec.
    pub(super) fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }
}
