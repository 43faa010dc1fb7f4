//! Births, deaths and execs of tasks.

use aya_ebpf::{EbpfContext, bindings::BPF_NOEXIST, macros::btf_tracepoint, programs::BtfTracePointContext};
use plimsoll_common::{
    event::Kind,
    row::Exit,
    tally::Tally,
    word::{Word, cgroup_key},
};

use crate::{
    atomic,
    count::{add, gauge, row, tally, untracked},
    event,
    fields::Task,
    maps::PROC,
};

/// `CLONE_THREAD`, include/uapi/linux/sched.h.
const CLONE_THREAD: u64 = 0x10000;

// hook: task_newtask(struct task_struct *task, unsigned long clone_flags)
#[btf_tracepoint(function = "task_newtask")]
fn newtask(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    if task.pid() == 0 {
        return 0; // an idle task of a CPU that comes up
    }
    if ctx.arg::<u64>(1) & CLONE_THREAD == 0 {
        process_born(&ctx, task);
    } else {
        thread_born(&ctx, task);
    }
    0
}

/// A new process. Its own cgroup is final here, also under `CLONE_INTO_CGROUP`.
#[inline(always)]
fn process_born(ctx: &impl EbpfContext, task: Task) {
    let (tgid, cgroup) = (task.tgid(), cgroup_key(task.cgroup()));
    let word = Word::new(cgroup, 1);
    let entered = PROC.insert(tgid, word.0, BPF_NOEXIST.into()).is_ok() || take_over(tgid, word);
    if let Some(row) = row(cgroup) {
        add!(row, forks, 1);
        if entered {
            add!(row, processes, 1);
            add!(row, threads, 1);
        }
    }
    if !entered {
        untracked(ctx, cgroup);
    }
}

/// An entry of this id is left from a process whose end nobody saw: its counts are undone, the new one takes its place.
#[inline(always)]
fn take_over(tgid: u32, word: Word) -> bool {
    let Some(place) = PROC.get_ptr_mut(tgid) else { return false };
    // SAFETY: `place` is a live map value.
    let stale = unsafe { atomic::load(place) };
    // SAFETY: as above.
    if unsafe { atomic::compare_exchange(place, stale, word.0) }.is_err() {
        return false;
    }
    tally(Tally::StaleTaken);
    gauge(Word(stale), -1);
    true
}

/// A new thread of a process.
#[inline(always)]
fn thread_born(ctx: &impl EbpfContext, task: Task) {
    let tgid = task.tgid();
    if let Some(place) = PROC.get_ptr_mut(tgid) {
        // SAFETY: `place` is a live map value; its low half counts threads.
        let old = Word(unsafe { atomic::fetch_add(place, 1) });
        if let Some(row) = row(old.cgroup()) {
            add!(row, threads, 1);
            add!(row, thread_creations, 1);
        }
        return;
    }
    tally(Tally::ThreadOfUnknown);
    let word = Word::new(cgroup_key(task.cgroup()), task.live_threads());
    if let Some(row) = row(word.cgroup()) {
        add!(row, thread_creations, 1);
    }
    if PROC.insert(tgid, word.0, BPF_NOEXIST.into()).is_ok() {
        gauge(word, 1);
    } else {
        untracked(ctx, word.cgroup());
    }
}

// hook: sched_process_exit(struct task_struct *p[, bool group_dead])
#[btf_tracepoint(function = "sched_process_exit")]
fn exit(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let tgid = task.tgid();
    let Some(place) = PROC.get_ptr_mut(tgid) else {
        tally(Tally::ExitUnknown);
        return 0;
    };
    // SAFETY: `place` is a live map value; its low half counts threads and is above 0 while a thread lives.
    let old = Word(unsafe { atomic::fetch_add(place, u64::MAX) });
    // Whichever thread brings our own count to 0 ends the process: `pid == tgid` and `signal->live == 0` both lie.
    let last = old.threads() == 1;
    if let Some(row) = row(old.cgroup()) {
        add!(row, threads, -1);
        if last {
            add!(row, processes, -1);
            match task.exit() {
                Exit::Ok => add!(row, exits_ok, 1),
                Exit::Error => add!(row, exits_error, 1),
                Exit::Signal => add!(row, exits_signal, 1),
            }
        } else {
            add!(row, thread_exits, 1);
        }
    }
    if last {
        let _ = PROC.remove(tgid);
    }
    0
}

// hook: sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
#[btf_tracepoint(function = "sched_process_exec")]
fn exec(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let cgroup = task.cgroup();
    if let Some(row) = row(cgroup_key(cgroup)) {
        // SAFETY: a word of a live map value.
        if unsafe { atomic::fetch_add(&raw mut (*row).execs, 1) } == 0 {
            event::tell(Kind::FirstExec, cgroup, task.tgid());
        }
    }
    0
}
