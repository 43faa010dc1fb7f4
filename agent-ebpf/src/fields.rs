//! The only place that touches kernel pointers. Every offset comes from the running kernel's BTF, by name; the verifier
//! sees it as a constant and refuses one that hits no member.

use aya_ebpf::Global;
use plimsoll_common::{
    kernel_fields,
    loopback::{is_loopback4, is_loopback6},
    row::Exit,
    socket_fields,
};

macro_rules! globals {
    ($($global:ident: $structure:ident.$member:ident,)*) => {
        $(#[unsafe(no_mangle)] static $global: Global<u32> = Global::new(0);)*
    };
}
kernel_fields!(globals);
socket_fields!(globals);

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

/// `TCP_TIME_WAIT` and `TCP_NEW_SYN_RECV`, `include/net/tcp_states.h`: states of what is no whole socket.
const TIME_WAIT: u8 = 6;
const NEW_SYN_RECV: u8 = 12;
/// `AF_INET6`, include/linux/socket.h.
const INET6: u16 = 10;
/// `IPPROTO_TCP`, include/uapi/linux/in.h.
const TCP: u16 = 6;

/// A `struct sock *` that the kernel gave as a BTF pointer.
#[derive(Clone, Copy)]
pub struct Sock(pub *const u8);

impl Sock {
    /// The cgroup of cgroup2 that it was made in. Of a whole socket only.
    #[inline(always)]
    pub fn cgroup(self) -> u64 {
        // SAFETY: BTF pointers all the way, each offset of the struct it is used on.
        unsafe {
            let data = self.0.add(SOCK_CGROUP_DATA.load() as usize);
            Cgroup(member(data, &CGROUP_DATA_CGROUP)).id()
        }
    }

    /// Whether it is TCP's. Of a whole socket only.
    #[inline(always)]
    pub fn is_tcp(self) -> bool {
        // SAFETY: a BTF pointer and an offset of `sock`.
        unsafe { member::<u16>(self.0, &SOCK_PROTOCOL) == TCP }
    }

    /// Whether it is there and whole: what is left of one that waits for its end, or will be one, belongs to no cgroup.
    /// Older kernels tell the verifier that it is always there, and read 0 where it is not.
    #[inline(always)]
    pub fn is_whole(self) -> bool {
        if self.0.is_null() {
            return false;
        }
        // SAFETY: a BTF pointer and an offset of its beginning, which all kinds of sockets have.
        let state: u8 = unsafe { member(self.ends().0, &COMMON_STATE) };
        !matches!(state, 0 | TIME_WAIT | NEW_SYN_RECV)
    }

    /// Its addresses.
    #[inline(always)]
    pub fn ends(self) -> Ends {
        // SAFETY: a BTF pointer and an offset of `sock`.
        Ends(unsafe { self.0.add(SOCK_COMMON.load() as usize) })
    }
}

/// A `struct request_sock *` that the kernel gave as a BTF pointer.
#[derive(Clone, Copy)]
pub struct Request(pub *const u8);

impl Request {
    /// Its addresses.
    #[inline(always)]
    pub fn ends(self) -> Ends {
        // SAFETY: a BTF pointer and an offset of `request_sock`.
        Ends(unsafe { self.0.add(REQUEST_COMMON.load() as usize) })
    }
}

/// The `struct sock_common` in a socket or request.
#[derive(Clone, Copy)]
pub struct Ends(*const u8);

impl Ends {
    /// Whether the connection goes over loopback, as far as its addresses tell.
    #[inline(always)]
    pub fn are_loopback(self) -> bool {
        // SAFETY: BTF pointers and offsets of `sock_common`; an IPv6 address has two halves.
        unsafe {
            if member::<u16>(self.0, &COMMON_FAMILY) == INET6 {
                let address = |field| [member(self.0, field), member(self.0.add(8), field)];
                is_loopback6(address(&COMMON_REMOTE6), address(&COMMON_LOCAL6))
            } else {
                is_loopback4(member(self.0, &COMMON_REMOTE4), member(self.0, &COMMON_LOCAL4))
            }
        }
    }
}

/// A `struct sk_buff *` that the kernel gave as a BTF pointer.
#[derive(Clone, Copy)]
pub struct Packet(pub *const u8);

impl Packet {
    /// TCP segments that it stands for. Of a packet of a TCP socket's queue only.
    #[inline(always)]
    pub fn segments(self) -> u16 {
        // SAFETY: a BTF pointer, an offset of `sk_buff`, and one of what TCP keeps there.
        unsafe { member(self.0.add(PACKET_CONTROL.load() as usize), &CONTROL_SEGMENTS) }
    }

    /// The number of the interface that it came from; 0 where there is no packet.
    #[inline(always)]
    pub fn interface(self) -> u32 {
        if self.0.is_null() {
            return 0;
        }
        // SAFETY: a BTF pointer and an offset of `sk_buff`.
        unsafe { member(self.0, &PACKET_INTERFACE) }
    }
}
