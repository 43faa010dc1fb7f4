//! The OOM killer's choices.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use plimsoll_common::{event::Kind, tally::Tally, word::Word};

use crate::{
    atomic,
    count::{add, row, tally},
    event,
    fields::Task,
    maps::PROC,
};

#[unsafe(no_mangle)]
static OOM_HAS_TASK: Global<u32> = Global::new(0);

// hook: mark_victim(struct task_struct *task, uid_t uid) since 6.8; mark_victim(int pid) before
#[btf_tracepoint(function = "mark_victim")]
fn oom(ctx: BtfTracePointContext) -> i32 {
    let victim = if OOM_HAS_TASK.load() == 0 { ctx.arg::<u32>(0) } else { Task(ctx.arg(0)).tgid() };
    let Some(place) = PROC.get_ptr(victim) else {
        tally(Tally::OomUnknown);
        return 0;
    };
    // SAFETY: `place` is a live map value.
    let cgroup = Word(unsafe { atomic::load(place) }).cgroup();
    if let Some(row) = row(cgroup) {
        add!(row, oom_kills, 1);
    }
    event::tell(Kind::Oom, u64::from(cgroup), victim);
    0
}
