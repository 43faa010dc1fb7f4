//! Which families a page has: name, help, type, and what each says of an account, a workload, the node.
//! Data only: how they are written is in [`super::text`].

mod limits;
mod network;
mod tcp;

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

/// Whose numbers a family shows, and how one's are told.
#[derive(Debug, Clone, Copy)]
pub enum Read {
    /// One account's, with the labels that cAdvisor gives it.
    Account(fn(&Account, Tell<'_>)),
    /// One account's, with all labels that we know.
    Info(fn(&Account, Tell<'_>)),
    /// One workload's.
    Workload(fn(&Totals, Tell<'_>)),
    /// The whole host's.
    Node(fn(&Node, Tell<'_>)),
}

/// Takes one sample: its labels beside those of its owner, and its value. What is not known is not told: absent is not
/// zero.
pub type Tell<'a> = &'a mut dyn FnMut(&[(&str, &str)], Value);

/// What a sample says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Count(u64),
    /// A moment, in seconds since 1970.
    Time(SystemTime),
    /// Milliseconds, shown as seconds.
    Millis(u64),
}

/// Tells a number without more labels.
fn count(tell: Tell<'_>, value: impl Into<Option<u64>>) {
    if let Some(value) = value.into() {
        tell(&[], Value::Count(value));
    }
}

fn exits(totals: &Totals, tell: Tell<'_>) {
    let &Totals { exits_ok, exits_error, exits_signal, .. } = totals;
    for (reason, exits) in [("ok", exits_ok), ("error", exits_error), ("signal", exits_signal)] {
        tell(&[("reason", reason)], Value::Count(exits));
    }
}

pub(super) const fn gauge(name: &'static str, help: &'static str, read: Read) -> Family {
    Family { name, help, kind: "gauge", read }
}

pub(super) const fn counter(name: &'static str, help: &'static str, read: Read) -> Family {
    Family { name, help, kind: "counter", read }
}

/// A family of the page by its place.
#[must_use]
pub fn family(place: usize) -> Option<&'static Family> {
    [FAMILIES, network::FAMILIES, tcp::FAMILIES, limits::FAMILIES].into_iter().flatten().nth(place)
}

/// Those of tasks, in the order of the page. Names and help of `container_*` are cAdvisor's.
const FAMILIES: &[Family] = &[
    gauge(
        "container_processes",
        "Number of processes running inside the container.",
        Read::Account(|account, tell| count(tell, account.gauges.map(|gauges| gauges.processes))),
    ),
    gauge(
        "container_threads",
        "Number of threads running inside the container.",
        Read::Account(|account, tell| count(tell, account.gauges.map(|gauges| gauges.threads))),
    ),
    gauge(
        "container_threads_max",
        "Maximum number of threads allowed inside the container, infinity if value is zero.",
        Read::Account(|account, tell| count(tell, account.gauges.and_then(|gauges| gauges.threads_max))),
    ),
    counter(
        "container_oom_events_total",
        "Count of out of memory events observed for the container: processes that the OOM killer chose.",
        Read::Account(|account, tell| count(tell, account.totals.oom_kills)),
    ),
    gauge(
        "container_last_seen",
        "Last time a container was seen by the exporter.",
        Read::Account(|account, tell| tell(&[], Value::Time(account.last_seen))),
    ),
    gauge(
        "container_start_time_seconds",
        "Start time of the container since unix epoch in seconds.",
        Read::Account(started),
    ),
    counter(
        "plimsoll_container_forks_total",
        "Processes born.",
        Read::Account(|account, tell| count(tell, account.totals.forks)),
    ),
    counter(
        "plimsoll_container_thread_creations_total",
        "Threads born, beside the first of each process.",
        Read::Account(|account, tell| count(tell, account.totals.thread_creations)),
    ),
    counter(
        "plimsoll_container_execs_total",
        "Programs executed.",
        Read::Account(|account, tell| count(tell, account.totals.execs)),
    ),
    counter(
        "plimsoll_container_exits_total",
        "Processes that ended: with status 0 (ok), with another (error), by a signal.",
        Read::Account(|account, tell| exits(&account.totals, tell)),
    ),
    gauge(
        "plimsoll_container_info",
        "What is known of a live account, as labels; always 1.",
        Read::Info(|account, tell| count(tell, account.gauges.map(|_| 1))),
    ),
    gauge(
        "plimsoll_account_degraded",
        "1 where the kernel programs had no room and gauges come from cgroup files meanwhile.",
        Read::Account(|account, tell| {
            count(tell, account.gauges.filter(|gauges| gauges.degraded).map(|_| 1));
        }),
    ),
    counter(
        "plimsoll_workload_forks_total",
        "Processes born in all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| count(tell, totals.forks)),
    ),
    counter(
        "plimsoll_workload_execs_total",
        "Programs executed in all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| count(tell, totals.execs)),
    ),
    counter(
        "plimsoll_workload_exits_total",
        "Processes that ended in all containers of a workload, living and gone.",
        Read::Workload(exits),
    ),
    counter(
        "plimsoll_workload_oom_events_total",
        "Processes that the OOM killer chose in all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| count(tell, totals.oom_kills)),
    ),
    gauge(
        "plimsoll_node_processes",
        "Live processes of all cgroups of the host.",
        Read::Node(|node, tell| count(tell, node.processes)),
    ),
    gauge(
        "plimsoll_node_threads",
        "Live threads of all cgroups of the host.",
        Read::Node(|node, tell| count(tell, node.threads)),
    ),
    counter(
        "plimsoll_node_forks_total",
        "Processes born in all cgroups of the host, living and gone.",
        Read::Node(|node, tell| count(tell, node.totals.forks)),
    ),
    counter(
        "plimsoll_node_thread_creations_total",
        "Threads born in all cgroups of the host, beside the first of each process.",
        Read::Node(|node, tell| count(tell, node.totals.thread_creations)),
    ),
    counter(
        "plimsoll_node_execs_total",
        "Programs executed in all cgroups of the host, living and gone.",
        Read::Node(|node, tell| count(tell, node.totals.execs)),
    ),
    counter(
        "plimsoll_node_exits_total",
        "Processes that ended in all cgroups of the host, living and gone.",
        Read::Node(|node, tell| exits(&node.totals, tell)),
    ),
    counter(
        "plimsoll_node_oom_events_total",
        "Processes that the OOM killer chose on the host.",
        Read::Node(|node, tell| count(tell, node.totals.oom_kills)),
    ),
];

/// A gauge: it goes when the cgroup does.
fn started(account: &Account, tell: Tell<'_>) {
    if let Some(started) = account.gauges.and(account.identity.started) {
        tell(&[], Value::Time(started));
    }
}
