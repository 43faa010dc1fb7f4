//! The kernel's struct members that the programs read, once for both sides: the programs declare a global for each,
//! the agent fills it with the offset that the running kernel's BTF gives.

/// Calls `$apply!` with every `GLOBAL: struct.member`.
#[macro_export]
macro_rules! kernel_fields {
    ($apply:ident) => {
        $apply! {
            TASK_PID: task_struct.pid,
            TASK_TGID: task_struct.tgid,
            TASK_LEADER: task_struct.group_leader,
            TASK_SIGNAL: task_struct.signal,
            TASK_CGROUPS: task_struct.cgroups,
            TASK_EXIT_CODE: task_struct.exit_code,
            TASK_EXIT_STATE: task_struct.exit_state,
            TASK_FLAGS: task_struct.flags,
            CSS_SET_DFL_CGRP: css_set.dfl_cgrp,
            CSS_CGROUP: cgroup_subsys_state.cgroup,
            CGROUP_KN: cgroup.kn,
            CGROUP_ROOT: cgroup.root,
            KERNFS_NODE_ID: kernfs_node.id,
            ROOT_HIERARCHY_ID: cgroup_root.hierarchy_id,
            SIGNAL_LIVE: signal_struct.live,
            SIGNAL_THREADS: signal_struct.nr_threads,
            SIGNAL_FLAGS: signal_struct.flags,
            SIGNAL_GROUP_EXIT_CODE: signal_struct.group_exit_code,
        }
    };
}

/// The same for members of sockets and packets: a kernel that lacks one is not asked for TCP.
#[macro_export]
macro_rules! socket_fields {
    ($apply:ident) => {
        $apply! {
            SOCK_COMMON: sock.__sk_common,
            SOCK_PROTOCOL: sock.sk_protocol,
            SOCK_CGROUP_DATA: sock.sk_cgrp_data,
            CGROUP_DATA_CGROUP: sock_cgroup_data.cgroup,
            REQUEST_COMMON: request_sock.__req_common,
            COMMON_STATE: sock_common.skc_state,
            COMMON_FAMILY: sock_common.skc_family,
            COMMON_REMOTE4: sock_common.skc_daddr,
            COMMON_LOCAL4: sock_common.skc_rcv_saddr,
            COMMON_REMOTE6: sock_common.skc_v6_daddr,
            COMMON_LOCAL6: sock_common.skc_v6_rcv_saddr,
            PACKET_CONTROL: sk_buff.cb,
            PACKET_INTERFACE: sk_buff.skb_iif,
            CONTROL_SEGMENTS: tcp_skb_cb.tcp_gso_segs,
        }
    };
}
