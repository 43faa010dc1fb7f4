//! Which families a page has: name, help, type, and what each says of an account, a workload, the node.
//! Data only: how they are written is in [`super::text`].

use std::time::SystemTime;

use crate::ledger::snapshot::{Account, Node, Totals};

/// One family of the page.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it means, one line.
    pub help: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// Whose it is, and what it says of one.
    pub read: Read,
}

/// Whose numbers a family shows, and how one is read.
#[derive(Debug, Clone, Copy)]
pub enum Read {
    /// One account's, with the labels that cAdvisor gives it.
    Account(fn(&Account) -> Sample),
    /// One account's, with all labels that we know.
    Info(fn(&Account) -> Sample),
    /// One workload's.
    Workload(fn(&Totals) -> Sample),
    /// The whole host's.
    Node(fn(&Node) -> Sample),
}

/// What a family says of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Nothing: absent is not zero.
    Absent,
    /// A number.
    Count(u64),
    /// A moment, in seconds since 1970.
    Time(SystemTime),
    /// Exits, one sample per reason.
    Exits([(&'static str, u64); 3]),
}

impl Sample {
    fn count(value: Option<u64>) -> Self {
        value.map_or(Self::Absent, Self::Count)
    }

    fn exits(totals: &Totals) -> Self {
        let &Totals { exits_ok, exits_error, exits_signal, .. } = totals;
        Self::Exits([("ok", exits_ok), ("error", exits_error), ("signal", exits_signal)])
    }
}

const fn gauge(name: &'static str, help: &'static str, read: Read) -> Family {
    Family { name, help, kind: "gauge", read }
}

const fn counter(name: &'static str, help: &'static str, read: Read) -> Family {
    Family { name, help, kind: "counter", read }
}

/// All families of the ledger, in the order of the page. Names and help of `container_*` are cAdvisor's.
pub const FAMILIES: &[Family] = &[
    gauge(
        "container_processes",
        "Number of processes running inside the container.",
        Read::Account(|account| Sample::count(account.gauges.map(|gauges| gauges.processes))),
    ),
    gauge(
        "container_threads",
        "Number of threads running inside the container.",
        Read::Account(|account| Sample::count(account.gauges.map(|gauges| gauges.threads))),
    ),
    gauge(
        "container_threads_max",
        "Maximum number of threads allowed inside the container, infinity if value is zero.",
        Read::Account(|account| Sample::count(account.gauges.and_then(|gauges| gauges.threads_max))),
    ),
    counter(
        "container_oom_events_total",
        "Count of out of memory events observed for the container: processes that the OOM killer chose.",
        Read::Account(|account| Sample::Count(account.totals.oom_kills)),
    ),
    gauge(
        "container_last_seen",
        "Last time a container was seen by the exporter.",
        Read::Account(|account| Sample::Time(account.last_seen)),
    ),
    gauge(
        "container_start_time_seconds",
        "Start time of the container since unix epoch in seconds.",
        Read::Account(started),
    ),
    counter(
        "plimsoll_container_forks_total",
        "Processes born.",
        Read::Account(|account| Sample::Count(account.totals.forks)),
    ),
    counter(
        "plimsoll_container_thread_creations_total",
        "Threads born, beside the first of each process.",
        Read::Account(|account| Sample::Count(account.totals.thread_creations)),
    ),
    counter(
        "plimsoll_container_execs_total",
        "Programs executed.",
        Read::Account(|account| Sample::Count(account.totals.execs)),
    ),
    counter(
        "plimsoll_container_exits_total",
        "Processes that ended: with status 0 (ok), with another (error), by a signal.",
        Read::Account(|account| Sample::exits(&account.totals)),
    ),
    gauge(
        "plimsoll_container_info",
        "What is known of a live account, as labels; always 1.",
        Read::Info(|account| Sample::count(account.gauges.map(|_| 1))),
    ),
    gauge(
        "plimsoll_account_degraded",
        "1 where the kernel programs had no room and gauges come from cgroup files meanwhile.",
        Read::Account(|account| Sample::count(account.gauges.filter(|gauges| gauges.degraded).map(|_| 1))),
    ),
    counter(
        "plimsoll_workload_forks_total",
        "Processes born in all containers of a workload, living and gone.",
        Read::Workload(|totals| Sample::Count(totals.forks)),
    ),
    counter(
        "plimsoll_workload_execs_total",
        "Programs executed in all containers of a workload, living and gone.",
        Read::Workload(|totals| Sample::Count(totals.execs)),
    ),
    counter(
        "plimsoll_workload_exits_total",
        "Processes that ended in all containers of a workload, living and gone.",
        Read::Workload(Sample::exits),
    ),
    counter(
        "plimsoll_workload_oom_events_total",
        "Processes that the OOM killer chose in all containers of a workload, living and gone.",
        Read::Workload(|totals| Sample::Count(totals.oom_kills)),
    ),
    gauge(
        "plimsoll_node_processes",
        "Live processes of all cgroups of the host.",
        Read::Node(|node| Sample::Count(node.processes)),
    ),
    gauge(
        "plimsoll_node_threads",
        "Live threads of all cgroups of the host.",
        Read::Node(|node| Sample::Count(node.threads)),
    ),
    counter(
        "plimsoll_node_forks_total",
        "Processes born in all cgroups of the host, living and gone.",
        Read::Node(|node| Sample::Count(node.totals.forks)),
    ),
    counter(
        "plimsoll_node_thread_creations_total",
        "Threads born in all cgroups of the host, beside the first of each process.",
        Read::Node(|node| Sample::Count(node.totals.thread_creations)),
    ),
    counter(
        "plimsoll_node_execs_total",
        "Programs executed in all cgroups of the host, living and gone.",
        Read::Node(|node| Sample::Count(node.totals.execs)),
    ),
    counter(
        "plimsoll_node_exits_total",
        "Processes that ended in all cgroups of the host, living and gone.",
        Read::Node(|node| Sample::exits(&node.totals)),
    ),
    counter(
        "plimsoll_node_oom_events_total",
        "Processes that the OOM killer chose on the host.",
        Read::Node(|node| Sample::Count(node.totals.oom_kills)),
    ),
];

/// A gauge: it goes when the cgroup does.
fn started(account: &Account) -> Sample {
    account.gauges.and(account.identity.started).map_or(Sample::Absent, Sample::Time)
}
