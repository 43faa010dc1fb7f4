//! The task iterator: it enters processes that began before the programs did, and prints the kernel's truth beside
//! our word, for the agent to compare.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, seq_file},
    helpers::generated::bpf_seq_write,
};
use plimsoll_common::{
    seen::Seen,
    tally::Tally,
    word::{Word, cgroup_key},
};

use crate::{
    atomic,
    count::{gauge, tally},
    fields::Task,
    maps::PROC,
};

/// [`Seen::SIZE`] as the helper takes it.
#[expect(clippy::cast_possible_truncation, reason = "a few bytes")]
const SEEN_BYTES: u32 = Seen::SIZE as u32;

/// `struct bpf_iter__task`, `kernel/bpf/task_iter.c`.
#[repr(C)]
struct Context {
    meta: *const Meta,
    task: *const u8,
}

/// `struct bpf_iter_meta`, include/linux/bpf.h.
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
    session_id: u64,
    seq_num: u64,
}

// hook: iter/task, once per task and once at the end without one
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn tasks(ctx: *const Context) -> i32 {
    // SAFETY: the verifier knows both members of the context.
    let (seq, task) = unsafe { ((*(*ctx).meta).seq, (*ctx).task) };
    if task.is_null() {
        return 0;
    }
    let task = Task(task);
    let tgid = task.tgid();
    if task.pid() != tgid {
        return 0; // not a leader
    }
    let ours = word_of(tgid);
    let seen = match task.live_threads() {
        _ if task.is_over() => Seen { kernel: 0, ours, tgid, pad: 0 },
        // Its last thread is on the way out, and will count that itself.
        0 => Seen { kernel: ours, ours, tgid, pad: 0 },
        threads => {
            // Our word follows the threads that a leader is no more.
            let stays = ours != 0 && task.is_exiting();
            let cgroup = if stays { Word(ours).cgroup() } else { cgroup_key(task.cgroup()) };
            let kernel = Word::new(cgroup, threads);
            Seen { kernel: kernel.0, ours: enter(task, tgid, kernel), tgid, pad: 0 }
        }
    };
    // SAFETY: `seen` is whole; a full buffer makes the kernel run this task again.
    let written = unsafe { bpf_seq_write(seq, (&raw const seen).cast(), SEEN_BYTES) };
    i32::from(written < 0)
}

/// Our word of a process; 0 where there is none.
#[inline(always)]
fn word_of(tgid: u32) -> u64 {
    // SAFETY: a live map value.
    PROC.get_ptr(tgid).map_or(0, |place| unsafe { atomic::load(place) })
}

/// Our word of a process, entered if there was none; 0 where there is no room.
#[inline(always)]
fn enter(task: Task, tgid: u32, kernel: Word) -> u64 {
    let ours = word_of(tgid);
    if ours != 0 {
        return ours;
    }
    if PROC.insert(tgid, kernel.0, BPF_NOEXIST.into()).is_err() {
        return 0;
    }
    tally(Tally::Seeded);
    gauge(kernel, 1);
    // Its last thread may have ended between the look and the entry, unseen: whoever deletes the entry undoes it.
    if task.live_threads() == 0 && PROC.remove(tgid).is_ok() {
        gauge(kernel, -1);
    }
    kernel.0
}
