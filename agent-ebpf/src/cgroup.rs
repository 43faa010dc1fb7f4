//! Cgroups that come, go, fill and freeze, and processes that move between them.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use plimsoll_common::{
    event::Kind,
    tally::Tally,
    word::{Word, cgroup_key},
};

use crate::{
    atomic,
    count::{add, row, tally},
    event,
    fields::{Cgroup, Task},
    maps::PROC,
};

/// Changes of a word that one move outlasts.
const TRIES: u32 = 8;

// hook: cgroup_attach_task(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup)
#[btf_tracepoint(function = "cgroup_attach_task")]
fn attach(ctx: BtfTracePointContext) -> i32 {
    moved(&ctx);
    0
}

// hook: cgroup_transfer_tasks(...), the same arguments; v1 cpuset only
#[btf_tracepoint(function = "cgroup_transfer_tasks")]
fn transfer(ctx: BtfTracePointContext) -> i32 {
    moved(&ctx);
    0
}

/// A process is where its leader is, so a move of another thread alone (threaded cgroups, v1 `tasks`) changes nothing.
#[inline(always)]
fn moved(ctx: &BtfTracePointContext) {
    let (cgroup, task) = (Cgroup(ctx.arg(0)), Task(ctx.arg(2)));
    let whole = ctx.arg::<u64>(3) & 0xff != 0;
    if cgroup.is_counted() && (whole || task.pid() == task.tgid()) {
        move_process(task.tgid(), cgroup_key(cgroup.id()));
    }
}

#[inline(always)]
fn move_process(tgid: u32, to: u32) {
    let Some(place) = PROC.get_ptr_mut(tgid) else {
        tally(Tally::MoveUnknown);
        return;
    };
    // SAFETY: `place` is a live map value.
    let mut word = Word(unsafe { atomic::load(place) });
    for _ in 0..TRIES {
        if word.threads() == 0 || word.cgroup() == to {
            return;
        }
        // SAFETY: as above.
        match unsafe { atomic::compare_exchange(place, word.0, word.moved_to(to).0) } {
            Ok(()) => return count_move(word, to),
            Err(found) => word = Word(found),
        }
    }
    tally(Tally::MoveContended);
}

#[inline(always)]
fn count_move(word: Word, to: u32) {
    let threads = i64::from(word.threads());
    if let Some(row) = row(word.cgroup()) {
        add!(row, processes, -1);
        add!(row, threads, -threads);
        add!(row, moved_out, 1);
    }
    if let Some(row) = row(to) {
        add!(row, processes, 1);
        add!(row, threads, threads);
        add!(row, moved_in, 1);
    }
}

// hook: cgroup_mkdir(struct cgroup *cgrp, const char *path)
#[btf_tracepoint(function = "cgroup_mkdir")]
fn mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Cgroup(ctx.arg(0));
    if cgroup.is_counted() {
        event::tell_mkdir(cgroup.id(), ctx.arg(1));
    }
    0
}

/// Tells `kind` of the cgroup that is the first argument.
#[inline(always)]
fn life(ctx: &BtfTracePointContext, kind: Kind, value: u32) -> i32 {
    let cgroup = Cgroup(ctx.arg(0));
    if cgroup.is_counted() {
        event::tell(kind, cgroup.id(), value);
    }
    0
}

// hook: cgroup_rmdir(struct cgroup *cgrp, const char *path)
#[btf_tracepoint(function = "cgroup_rmdir")]
fn rmdir(ctx: BtfTracePointContext) -> i32 {
    life(&ctx, Kind::Rmdir, 0)
}

// hook: cgroup_release(struct cgroup *cgrp, const char *path)
#[btf_tracepoint(function = "cgroup_release")]
fn release(ctx: BtfTracePointContext) -> i32 {
    life(&ctx, Kind::Release, 0)
}

// hook: cgroup_notify_populated(struct cgroup *cgrp, const char *path, int val)
#[btf_tracepoint(function = "cgroup_notify_populated")]
fn populated(ctx: BtfTracePointContext) -> i32 {
    life(&ctx, Kind::Populated, ctx.arg(2))
}

// hook: cgroup_notify_frozen(struct cgroup *cgrp, const char *path, int val)
#[btf_tracepoint(function = "cgroup_notify_frozen")]
fn frozen(ctx: BtfTracePointContext) -> i32 {
    life(&ctx, Kind::Frozen, ctx.arg(2))
}
