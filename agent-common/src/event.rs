//! What the kernel programs tell through the ring buffer. Counts never travel here, only "look again".

/// Longest cgroup path that an event carries; a longer one is found by its id in the hierarchy.
pub const PATH_LEN: usize = 512;

/// What happened to a cgroup.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Made. The only kind that carries a path.
    Mkdir = 1,
    /// Its directory was removed; the cgroup may live on until released.
    Rmdir = 2,
    /// Gone: nothing can be counted for it any more.
    Release = 3,
    /// Has tasks now (value 1) or has none (value 0).
    Populated = 4,
    /// Is frozen now (value 1) or runs (value 0). cgroup2's freezer only.
    Frozen = 5,
    /// Executed its first program (value: the process).
    FirstExec = 6,
    /// The OOM killer chose a process of it (value: its pid).
    Oom = 7,
}

impl Kind {
    /// The kind that a number stands for.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Mkdir,
            2 => Self::Rmdir,
            3 => Self::Release,
            4 => Self::Populated,
            5 => Self::Frozen,
            6 => Self::FirstExec,
            7 => Self::Oom,
            _ => return None,
        })
    }
}

/// One event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Counts up by one per event, taken before room was asked for: a hole is a lost event.
    pub sequence: u64,
    /// `CLOCK_MONOTONIC`, ns.
    pub time_ns: u64,
    /// The whole id of the cgroup.
    pub cgroup: u64,
    /// A [`Kind`].
    pub kind: u32,
    /// See [`Kind`].
    pub value: u32,
}

const _: () = assert!(size_of::<Event>() == 32);

/// An event of kind [`Kind::Mkdir`], with the path.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Mkdir {
    /// The event.
    pub event: Event,
    /// Path from the root of the hierarchy, ended by a zero byte, cut at [`PATH_LEN`].
    pub path: [u8; PATH_LEN],
}

const _: () = assert!(size_of::<Mkdir>() == 32 + PATH_LEN);
