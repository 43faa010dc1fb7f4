//! Families of TCP. Accounts that are no container have none: a page has room for what is looked at.

use super::{Family, Read, Tell, Value, count, counter};
use crate::ledger::snapshot::{Account, Tcp};

/// Those of TCP, in the order of the page.
pub const FAMILIES: &[Family] = &[
    counter(
        "plimsoll_container_tcp_connections_opened_total",
        "TCP connections that its sockets opened, answered or not.",
        Read::Account(|account, tell| count(tell, container(account).opened)),
    ),
    counter(
        "plimsoll_container_tcp_connections_accepted_total",
        "TCP connections that its listening sockets accepted.",
        Read::Account(|account, tell| count(tell, container(account).accepted)),
    ),
    counter(
        "plimsoll_container_tcp_retransmitted_segments_total",
        "TCP segments that its sockets sent again.",
        Read::Account(|account, tell| count(tell, container(account).retransmitted)),
    ),
    counter(
        "plimsoll_container_tcp_resets_total",
        "TCP resets that its sockets sent or received.",
        Read::Account(|account, tell| resets(&container(account), tell)),
    ),
    counter(
        "plimsoll_workload_tcp_connections_opened_total",
        "TCP connections opened by all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| count(tell, totals.tcp.opened)),
    ),
    counter(
        "plimsoll_workload_tcp_connections_accepted_total",
        "TCP connections accepted by all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| count(tell, totals.tcp.accepted)),
    ),
    counter(
        "plimsoll_workload_tcp_retransmitted_segments_total",
        "TCP segments sent again by all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| count(tell, totals.tcp.retransmitted)),
    ),
    counter(
        "plimsoll_workload_tcp_resets_total",
        "TCP resets sent or received by all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| resets(&totals.tcp, tell)),
    ),
    counter(
        "plimsoll_node_tcp_connections_opened_total",
        "TCP connections opened in all cgroups of the host, living and gone.",
        Read::Node(|node, tell| count(tell, node.totals.tcp.opened)),
    ),
    counter(
        "plimsoll_node_tcp_connections_accepted_total",
        "TCP connections accepted in all cgroups of the host, living and gone.",
        Read::Node(|node, tell| count(tell, node.totals.tcp.accepted)),
    ),
    counter(
        "plimsoll_node_tcp_retransmitted_segments_total",
        "TCP segments sent again in all cgroups of the host, living and gone.",
        Read::Node(|node, tell| count(tell, node.totals.tcp.retransmitted)),
    ),
    counter(
        "plimsoll_node_tcp_resets_total",
        "TCP resets sent or received in all cgroups of the host and by the kernel itself.",
        Read::Node(|node, tell| resets(&node.totals.tcp, tell)),
    ),
];

/// What TCP did in a container; of another cgroup it is not told.
fn container(account: &Account) -> Tcp {
    if account.identity.kind.is_container() { account.totals.tcp } else { Tcp::default() }
}

fn resets(tcp: &Tcp, tell: Tell<'_>) {
    for (direction, resets) in [("received", tcp.resets_received), ("sent", tcp.resets_sent)] {
        if let Some(resets) = resets {
            tell(&[("direction", direction)], Value::Count(resets));
        }
    }
}
