//! Entry programs: the only ones that are attached. Each jumps into the program in its slot, so that an upgrade
//! changes slots, every event runs exactly one of old and new, and links never change. No logic here: an entry
//! program is the one thing that cannot be replaced.

use aya_ebpf::{
    macros::{btf_tracepoint, map},
    maps::ProgramArray,
    programs::BtfTracePointContext,
};
use plimsoll_common::tally::Tally;

use crate::count::tally;

macro_rules! entries {
    ($($entry:ident, $slot:ident, $hook:literal;)*) => {
        $(
            /// One slot; pinned, or the kernel would empty it. The agent writes it.
            #[map]
            static $slot: ProgramArray = ProgramArray::with_max_entries(1, 0);

            #[btf_tracepoint(function = $hook)]
            fn $entry(ctx: BtfTracePointContext) -> i32 {
                // SAFETY: nothing here is to be dropped.
                unsafe { $slot.tail_call(&ctx, 0) };
                tally(Tally::FellThrough);
                0
            }
        )*
    };
}

entries! {
    on_newtask, S_NEWTASK, "task_newtask";
    on_exit, S_EXIT, "sched_process_exit";
    on_exec, S_EXEC, "sched_process_exec";
    on_attach, S_ATTACH, "cgroup_attach_task";
    on_transfer, S_TRANSFER, "cgroup_transfer_tasks";
    on_mkdir, S_MKDIR, "cgroup_mkdir";
    on_rmdir, S_RMDIR, "cgroup_rmdir";
    on_release, S_RELEASE, "cgroup_release";
    on_populated, S_POPULATED, "cgroup_notify_populated";
    on_frozen, S_FROZEN, "cgroup_notify_frozen";
    on_oom, S_OOM, "mark_victim";
    on_tcp_state, S_TCP_STATE, "inet_sock_set_state";
    on_retransmit, S_RETRANSMIT, "tcp_retransmit_skb";
    on_synack, S_SYNACK, "tcp_retransmit_synack";
    on_send_reset, S_SEND_RESET, "tcp_send_reset";
    on_got_reset, S_GOT_RESET, "tcp_receive_reset";
}
