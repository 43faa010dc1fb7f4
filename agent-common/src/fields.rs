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
