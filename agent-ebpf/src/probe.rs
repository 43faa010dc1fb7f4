//! The self-test's ear: what the exit program would read of one child of the agent. Attached only while it is tested.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{atomic, fields::Task, maps::PROBE};

// hook: sched_process_exit, beside the real one
#[btf_tracepoint(function = "sched_process_exit")]
fn probe_exit(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let (Some(wanted), Some(answer)) = (PROBE.get_ptr(0), PROBE.get_ptr_mut(1)) else { return 0 };
    // SAFETY: words of map values.
    unsafe {
        if atomic::load(wanted) == u64::from(task.tgid()) {
            atomic::add(answer, 1 + task.exit() as u64);
        }
    }
    0
}
