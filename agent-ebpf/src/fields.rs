//! The only place that touches kernel pointers. Every offset comes from the running kernel's BTF, by name; the verifier
//! sees it as a constant and refuses one that hits no member.

use aya_ebpf::Global;
use plimsoll_common::{kernel_fields, row::Exit};

macro_rules! globals {
    ($($global:ident: $structure:ident.$member:ident,)*) => {
        $(#[unsafe(no_mangle)] static $global: Global<u32> = Global::new(0);)*
    };
}
kernel_fields!(globals);

#[unsafe(no_mangle)]
static HIERARCHY_ID: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static CSS_SET_PIDS: Global<u32> = Global::new(0);

/// `SIGNAL_GROUP_EXIT`, include/linux/sched/signal.h: the same value since 2.6.
const GROUP_EXIT: u32 = 4;

/// `PF_EXITING`, include/linux/sched.h: the same value since 2.6.
const EXITING: u32 = 4;

/// Reads a member of type `T` at `offset` of what `base` points to.
///
/// # Safety
/// `base` is a pointer that the verifier knows the type of, `offset` a global filled from BTF.
#[inline(always)]
unsafe fn member<T: Copy>(base: *const u8, offset: &Global<u32>) -> T {
    // SAFETY: the verifier checks the access against the kernel's own type and makes faults read as 0.
    unsafe { core::ptr::read_volatile(base.add(offset.load() as usize).cast()) }
}

/// A `struct task_struct *` that the kernel gave as a BTF pointer.
#[derive(Clone, Copy)]
pub struct Task(pub *const u8);

impl Task {
    /// Its own id.
    #[inline(always)]
    pub fn pid(self) -> u32 {
        // SAFETY: a BTF pointer and an offset of `task_struct`.
        unsafe { member(self.0, &TASK_PID) }
    }

    /// The id of its process.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        // SAFETY: as above.
        unsafe { member(self.0, &TASK_TGID) }
    }

    /// The cgroup it is in, in the hierarchy that is counted.
    #[inline(always)]
    pub fn cgroup(self) -> u64 {
        // SAFETY: BTF pointers all the way, each offset of the struct it is used on.
        unsafe {
            let set: *const u8 = member(self.0, &TASK_CGROUPS);
            let cgroup = if HIERARCHY_ID.load() == 0 {
                member(set, &CSS_SET_DFL_CGRP)
            } else {
                let pids: *const u8 = member(set, &CSS_SET_PIDS);
                member(pids, &CSS_CGROUP)
            };
            Cgroup(cgroup).id()
        }
    }

    /// Live threads of its process, as the kernel counts them (`signal->live`).
    #[inline(always)]
    pub fn live_threads(self) -> u32 {
        // SAFETY: BTF pointers, offsets of their structs; `live` is an `atomic_t`, one int.
        unsafe { member(member(self.0, &TASK_SIGNAL), &SIGNAL_LIVE) }
    }

    /// Whether it is ending: a leader that is stays in its cgroup when the rest of its process is moved.
    #[inline(always)]
    pub fn is_exiting(self) -> bool {
        // SAFETY: a BTF pointer and an offset of `task_struct`.
        unsafe { member::<u32>(self.0, &TASK_FLAGS) & EXITING != 0 }
    }

    /// Whether nothing of the process that it leads can run any more: no other thread is linked to it, and it is a zombie
    /// or dead. Live threads may be none long before, while the last of them gives its memory back.
    #[inline(always)]
    pub fn is_over(self) -> bool {
        // SAFETY: BTF pointers, offsets of their structs.
        unsafe {
            let threads: u32 = member(member(self.0, &TASK_SIGNAL), &SIGNAL_THREADS);
            threads <= 1 && member::<u32>(self.0, &TASK_EXIT_STATE) != 0
        }
    }

    /// How its process ended, once the last thread is ending: what `wait_task_zombie` will report.
    #[inline(always)]
    pub fn exit(self) -> Exit {
        // SAFETY: BTF pointers, offsets of their structs.
        let status = unsafe {
            let signal: *const u8 = member(self.0, &TASK_SIGNAL);
            if member::<u32>(signal, &SIGNAL_FLAGS) & GROUP_EXIT == 0 {
                member(member(self.0, &TASK_LEADER), &TASK_EXIT_CODE)
            } else {
                member(signal, &SIGNAL_GROUP_EXIT_CODE)
            }
        };
        Exit::from_wait_status(status)
    }
}

/// A `struct cgroup *` that the kernel gave as a BTF pointer.
#[derive(Clone, Copy)]
pub struct Cgroup(pub *const u8);

impl Cgroup {
    /// Its id: the inode number of its directory.
    #[inline(always)]
    pub fn id(self) -> u64 {
        // SAFETY: BTF pointers, offsets of their structs.
        unsafe { member(member(self.0, &CGROUP_KN), &KERNFS_NODE_ID) }
    }

    /// Whether it belongs to the hierarchy that is counted.
    #[inline(always)]
    pub fn is_counted(self) -> bool {
        // SAFETY: as above.
        let hierarchy: u32 = unsafe { member(member(self.0, &CGROUP_ROOT), &ROOT_HIERARCHY_ID) };
        hierarchy == HIERARCHY_ID.load()
    }
}
