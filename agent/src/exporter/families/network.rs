//! Families of bytes and packets.

use plimsoll_common::{
    port::Flow,
    traffic::{Class, Count},
};

use super::{Family, Read, Tell, Value, counter};
use crate::ledger::snapshot::{Account, Interface, Node, Totals};

/// Values of the label `direction`, in the order in which flows stand.
const DIRECTIONS: [&str; 2] = ["receive", "transmit"];

/// Places of the two.
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// Those of the network, in the order of the page. Names and help of `container_network_{receive,transmit}_*` are
/// cAdvisor's.
pub const FAMILIES: &[Family] = &[
    counter(
        "container_network_receive_bytes_total",
        "Cumulative count of bytes received",
        Read::Account(|account, tell| interfaces::<RECEIVE>(account, tell, |flow| flow.total().bytes)),
    ),
    counter(
        "container_network_receive_errors_total",
        "Cumulative count of errors encountered while receiving",
        Read::Account(|account, tell| drops::<RECEIVE>(account, tell, |flow| flow.errors)),
    ),
    counter(
        "container_network_receive_packets_dropped_total",
        "Cumulative count of packets dropped while receiving",
        Read::Account(|account, tell| drops::<RECEIVE>(account, tell, |flow| flow.dropped)),
    ),
    counter(
        "container_network_receive_packets_total",
        "Cumulative count of packets received",
        Read::Account(|account, tell| interfaces::<RECEIVE>(account, tell, |flow| flow.total().packets)),
    ),
    counter(
        "container_network_transmit_bytes_total",
        "Cumulative count of bytes transmitted",
        Read::Account(|account, tell| interfaces::<TRANSMIT>(account, tell, |flow| flow.total().bytes)),
    ),
    counter(
        "container_network_transmit_errors_total",
        "Cumulative count of errors encountered while transmitting",
        Read::Account(|account, tell| drops::<TRANSMIT>(account, tell, |flow| flow.errors)),
    ),
    counter(
        "container_network_transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting",
        Read::Account(|account, tell| drops::<TRANSMIT>(account, tell, |flow| flow.dropped)),
    ),
    counter(
        "container_network_transmit_packets_total",
        "Cumulative count of packets transmitted",
        Read::Account(|account, tell| interfaces::<TRANSMIT>(account, tell, |flow| flow.total().packets)),
    ),
    counter(
        "plimsoll_container_network_wire_bytes_total",
        "Bytes with the headers that each segment of a large packet gets on the wire.",
        Read::Account(wire),
    ),
    counter(
        "plimsoll_container_network_protocol_bytes_total",
        "Bytes by address family and protocol, of those that the kernel programs saw.",
        Read::Account(|account, tell| protocols(account, tell, |count| count.bytes)),
    ),
    counter(
        "plimsoll_container_network_protocol_packets_total",
        "Packets by address family and protocol, of those that the kernel programs saw.",
        Read::Account(|account, tell| protocols(account, tell, |count| count.packets)),
    ),
    counter(
        "plimsoll_container_network_uncounted_bytes_total",
        "Bytes that the interface counted and the kernel programs did not see: in all totals, in no split.",
        Read::Account(uncounted),
    ),
    counter(
        "plimsoll_container_network_receive_bytes_total",
        "Bytes that its own sockets received, where containers share interfaces.",
        Read::Account(|account, tell| own::<RECEIVE>(account, tell, |count| count.bytes)),
    ),
    counter(
        "plimsoll_container_network_receive_packets_total",
        "Packets that its own sockets received, where containers share interfaces.",
        Read::Account(|account, tell| own::<RECEIVE>(account, tell, |count| count.packets)),
    ),
    counter(
        "plimsoll_container_network_transmit_bytes_total",
        "Bytes that its own sockets transmitted, where containers share interfaces.",
        Read::Account(|account, tell| own::<TRANSMIT>(account, tell, |count| count.bytes)),
    ),
    counter(
        "plimsoll_container_network_transmit_packets_total",
        "Packets that its own sockets transmitted, where containers share interfaces.",
        Read::Account(|account, tell| own::<TRANSMIT>(account, tell, |count| count.packets)),
    ),
    counter(
        "plimsoll_workload_network_receive_bytes_total",
        "Bytes received by all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| workload::<RECEIVE>(totals, tell, |count| count.bytes)),
    ),
    counter(
        "plimsoll_workload_network_receive_packets_total",
        "Packets received by all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| workload::<RECEIVE>(totals, tell, |count| count.packets)),
    ),
    counter(
        "plimsoll_workload_network_transmit_bytes_total",
        "Bytes transmitted by all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| workload::<TRANSMIT>(totals, tell, |count| count.bytes)),
    ),
    counter(
        "plimsoll_workload_network_transmit_packets_total",
        "Packets transmitted by all containers of a workload, living and gone.",
        Read::Workload(|totals, tell| workload::<TRANSMIT>(totals, tell, |count| count.packets)),
    ),
    counter(
        "plimsoll_node_network_receive_bytes_total",
        "Bytes received, by whose they are; the shares add up to all that was seen.",
        Read::Node(|node, tell| shares::<RECEIVE>(node, tell, |count| count.bytes)),
    ),
    counter(
        "plimsoll_node_network_receive_packets_total",
        "Packets received, by whose they are; the shares add up to all that was seen.",
        Read::Node(|node, tell| shares::<RECEIVE>(node, tell, |count| count.packets)),
    ),
    counter(
        "plimsoll_node_network_transmit_bytes_total",
        "Bytes transmitted, by whose they are; the shares add up to all that was seen.",
        Read::Node(|node, tell| shares::<TRANSMIT>(node, tell, |count| count.bytes)),
    ),
    counter(
        "plimsoll_node_network_transmit_packets_total",
        "Packets transmitted, by whose they are; the shares add up to all that was seen.",
        Read::Node(|node, tell| shares::<TRANSMIT>(node, tell, |count| count.packets)),
    ),
];

/// One sample per interface.
fn interfaces<const DIRECTION: usize>(account: &Account, tell: Tell<'_>, read: fn(&Flow) -> u64) {
    for Interface { name, flows, .. } in &account.network.interfaces {
        tell(&[("interface", name)], Value::Count(read(&flows[DIRECTION])));
    }
}

/// The same, of what is known only where the interface itself can be looked at.
fn drops<const DIRECTION: usize>(account: &Account, tell: Tell<'_>, read: fn(&Flow) -> u64) {
    for Interface { name, flows, .. } in account.network.interfaces.iter().filter(|interface| interface.drops)
    {
        tell(&[("interface", name)], Value::Count(read(&flows[DIRECTION])));
    }
}

fn wire(account: &Account, tell: Tell<'_>) {
    for Interface { name, flows, .. } in account.network.interfaces.iter().filter(|interface| interface.wire)
    {
        for (direction, flow) in DIRECTIONS.into_iter().zip(flows) {
            let bytes = flow.total().bytes + flow.traffic.headers;
            tell(&[("interface", name), ("direction", direction)], Value::Count(bytes));
        }
    }
}

/// Classes of which nothing passed are left out: few containers use more than three.
fn protocols(account: &Account, tell: Tell<'_>, read: fn(&Count) -> u64) {
    for Interface { name, flows, .. } in &account.network.interfaces {
        for (direction, flow) in DIRECTIONS.into_iter().zip(flows) {
            for (class, family, protocol) in Class::ALL {
                let passed = &flow.traffic.classes[class as usize];
                if passed.packets > 0 {
                    let labels = [
                        ("interface", name.as_str()),
                        ("direction", direction),
                        ("family", family),
                        ("protocol", protocol),
                    ];
                    tell(&labels, Value::Count(read(passed)));
                }
            }
        }
    }
}

/// Of what only sockets tell, nothing else counts: nothing can be missing.
fn uncounted(account: &Account, tell: Tell<'_>) {
    let by_pairs = account.network.interfaces.iter().filter(|interface| !interface.by_sockets);
    for Interface { name, flows, .. } in by_pairs {
        for (direction, flow) in DIRECTIONS.into_iter().zip(flows) {
            // Less than nothing where a queue behind the programs held some back.
            let bytes = flow.uncounted.bytes.cast_signed().max(0).cast_unsigned();
            tell(&[("interface", name), ("direction", direction)], Value::Count(bytes));
        }
    }
}

fn own<const DIRECTION: usize>(account: &Account, tell: Tell<'_>, read: fn(&Count) -> u64) {
    if let Some(own) = &account.network.own {
        tell(&[], Value::Count(read(&own[DIRECTION].total())));
    }
}

fn workload<const DIRECTION: usize>(totals: &Totals, tell: Tell<'_>, read: fn(&Count) -> u64) {
    tell(&[], Value::Count(read(&totals.network[DIRECTION])));
}

fn shares<const DIRECTION: usize>(node: &Node, tell: Tell<'_>, read: fn(&Count) -> u64) {
    let shares = node.network;
    for (share, counts) in [
        ("containers", shares.containers),
        ("cgroups", shares.cgroups),
        ("root", shares.root),
        ("unattributed", shares.unattributed),
    ] {
        tell(&[("share", share)], Value::Count(read(&counts[DIRECTION])));
    }
}
