//! What the task iterator prints for every process: the kernel's truth beside our word.

/// One process.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the kernel says now: its cgroup and live threads; 0 of a process that is over and was not waited for yet.
    pub kernel: u64,
    /// Our word in `PROC`; 0 where there was none and no room to make one.
    pub ours: u64,
    /// Its thread group id.
    pub tgid: u32,
    /// Written out padding, 0.
    pub pad: u32,
}

const _: () = assert!(size_of::<Seen>() == Seen::SIZE);

impl Seen {
    /// Bytes of one record.
    pub const SIZE: usize = 24;
}
