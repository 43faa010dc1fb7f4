//! The table of kernel programs: what each is for, what it needs, and in which order they are attached.

/// Whether the agent can do without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing is exact without it: the agent refuses to start.
    Required,
    /// Left out with a reason.
    Optional,
    /// The same; and it needs sockets that are known by their containers.
    Sockets,
}

/// One program on one tracepoint: an entry program that is attached, and the one in its slot that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// The program that works.
    pub program: &'static str,
    /// The program that is attached and jumps into the slot.
    pub entry: &'static str,
    /// The program array with one slot.
    pub slot: &'static str,
    /// The tracepoint, by its name in the kernel.
    pub tracepoint: &'static str,
    /// Whether the agent can do without it.
    pub need: Need,
    /// What is lost without it.
    pub feature: &'static str,
}

macro_rules! hooks {
    ($($program:literal, $entry:literal, $slot:literal, $tracepoint:literal, $need:ident, $feature:literal;)*) => {
        &[$(Hook {
            program: $program,
            entry: $entry,
            slot: $slot,
            tracepoint: $tracepoint,
            need: Need::$need,
            feature: $feature,
        },)*]
    };
}

/// All hooks, in the order in which they are attached: births last, so that no birth is counted whose death would
/// be missed; the iterator then enters who was there before.
pub const HOOKS: &[Hook] = hooks! {
    "exit", "on_exit", "S_EXIT", "sched_process_exit", Required, "ends of processes and threads";
    "exec", "on_exec", "S_EXEC", "sched_process_exec", Required, "programs executed";
    "attach", "on_attach", "S_ATTACH", "cgroup_attach_task", Required, "moves between cgroups";
    "transfer", "on_transfer", "S_TRANSFER", "cgroup_transfer_tasks", Optional, "moves by a v1 cpuset that loses its last CPU";
    "mkdir", "on_mkdir", "S_MKDIR", "cgroup_mkdir", Required, "names of new containers";
    "rmdir", "on_rmdir", "S_RMDIR", "cgroup_rmdir", Required, "ends of containers";
    "release", "on_release", "S_RELEASE", "cgroup_release", Required, "rows of containers that are gone";
    "populated", "on_populated", "S_POPULATED", "cgroup_notify_populated", Optional, "cgroups without a task";
    "frozen", "on_frozen", "S_FROZEN", "cgroup_notify_frozen", Optional, "paused containers (cgroup2)";
    "oom", "on_oom", "S_OOM", "mark_victim", Optional, "choices of the OOM killer";
    "tcp_state", "on_tcp_state", "S_TCP_STATE", "inet_sock_set_state", Sockets, "TCP connections opened and accepted";
    "tcp_retransmit", "on_retransmit", "S_RETRANSMIT", "tcp_retransmit_skb", Sockets, "TCP segments sent again";
    "tcp_synack", "on_synack", "S_SYNACK", "tcp_retransmit_synack", Sockets, "answers to new TCP connections sent again";
    "tcp_send_reset", "on_send_reset", "S_SEND_RESET", "tcp_send_reset", Sockets, "TCP resets sent";
    "tcp_got_reset", "on_got_reset", "S_GOT_RESET", "tcp_receive_reset", Sockets, "TCP resets received";
    "newtask", "on_newtask", "S_NEWTASK", "task_newtask", Required, "births of processes and threads";
};

/// One program that sees packets. All are optional: without them bytes are told by other means, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// The program.
    pub program: &'static str,
    /// Where it is attached.
    pub place: Place,
    /// What is lost without it.
    pub feature: &'static str,
}

/// Where a packet is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The host's end of a veth pair: what the container transmits. One link per interface, made as they appear.
    VethTransmit,
    /// The same: what the container receives.
    VethReceive,
    /// Any socket of cgroup2, transmitting.
    SocketTransmit,
    /// The same, receiving.
    SocketReceive,
}

impl Place {
    /// The hook as bpftool calls it.
    #[must_use]
    pub const fn hook(self) -> &'static str {
        match self {
            Self::VethTransmit => "tcx/ingress",
            Self::VethReceive => "tcx/egress",
            Self::SocketTransmit => "cgroup_skb/egress",
            Self::SocketReceive => "cgroup_skb/ingress",
        }
    }

    /// Whether it is at an interface; else at sockets.
    #[must_use]
    pub const fn is_veth(self) -> bool {
        matches!(self, Self::VethTransmit | Self::VethReceive)
    }
}

/// All programs that see packets.
pub const TAPS: [Tap; 4] = [
    Tap {
        program: "veth_transmit",
        place: Place::VethTransmit,
        feature: "bytes that containers transmit, by protocol and on the wire",
    },
    Tap {
        program: "veth_receive",
        place: Place::VethReceive,
        feature: "bytes that containers receive, by protocol and on the wire",
    },
    Tap {
        program: "socket_transmit",
        place: Place::SocketTransmit,
        feature: "bytes transmitted in the host's network or one that containers share",
    },
    Tap {
        program: "socket_receive",
        place: Place::SocketReceive,
        feature: "bytes received in the host's network or one that containers share",
    },
];

/// The task iterator: seeds and audits.
pub const ITERATOR: &str = "tasks";

/// Programs that the agent runs itself.
pub const COMMANDS: [&str; 7] =
    ["fold", "retire", "repair", "import", "settle", "fold_sockets", "retire_port"];

/// What sends the packets of a limited container through another interface.
pub const SHAPER: &str = "veth_shape";

/// The self-test's ear on `sched_process_exit`.
pub const PROBE: &str = "probe_exit";

#[cfg(test)]
mod tests {
    use super::HOOKS;

    #[test]
    fn births_are_attached_after_deaths_and_moves() {
        let place = |tracepoint| HOOKS.iter().position(|hook| hook.tracepoint == tracepoint).unwrap();
        for earlier in
            ["sched_process_exit", "sched_process_exec", "cgroup_attach_task", "cgroup_transfer_tasks"]
        {
            assert!(place(earlier) < place("task_newtask"), "{earlier}");
        }
    }
}
