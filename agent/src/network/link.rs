//! One network interface, as rtnetlink tells of it.

use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage, Stats64};

use super::NamespaceId;

/// What the kernel calls the lack of a queue.
const NO_QUEUE: &str = "noqueue";

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number, unique in its namespace; the kernel counts up.
    pub ifindex: u32,
    /// Its name: 15 bytes at most.
    pub name: String,
    /// Bytes of the longest packet that it takes, without its Ethernet header.
    pub mtu: u32,
    /// Whether it is one end of a veth pair.
    pub is_veth: bool,
    /// Whether it is a port of a bridge or the like (`IFLA_MASTER`).
    pub is_port: bool,
    /// Whether a queue holds back what it transmits (`IFLA_QDISC`): virtual interfaces have none by default.
    pub is_queued: bool,
    /// Its other end, where that is in another namespace.
    pub peer: Option<Peer>,
    /// What it received.
    pub received: Counters,
    /// What it transmitted.
    pub transmitted: Counters,
}

/// The other end of a veth pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its number in its namespace.
    pub ifindex: u32,
    /// Its namespace, as the namespace of the asker calls it. The kernel reuses the number once that is gone.
    pub namespace: NamespaceId,
}

/// Counters of one direction, since the interface was made (`struct rtnl_link_stats64`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Bytes, Ethernet header included.
    pub bytes: u64,
    /// Packets; a GSO packet is one.
    pub packets: u64,
    /// Bad packets.
    pub errors: u64,
    /// Packets without room, or that nobody wanted.
    pub dropped: u64,
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self {
            ifindex: message.header.index,
            name: String::new(),
            mtu: 0,
            is_veth: false,
            is_port: false,
            is_queued: false,
            peer: None,
            received: Counters::default(),
            transmitted: Counters::default(),
        };
        let (mut peer, mut namespace) = (None, None);
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Controller(ifindex) => link.is_port = ifindex != 0,
                LinkAttribute::Qdisc(kind) => link.is_queued = kind != NO_QUEUE,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Link(ifindex) => peer = Some(ifindex),
                LinkAttribute::LinkNetNsId(id) => namespace = NamespaceId::assigned(id),
                LinkAttribute::LinkInfo(infos) => {
                    link.is_veth = infos.contains(&LinkInfo::Kind(InfoKind::Veth));
                }
                LinkAttribute::Stats64(stats) => link.count(&stats),
                _ => {}
            }
        }
        link.peer = peer.zip(namespace).map(|(ifindex, namespace)| Peer { ifindex, namespace });
        link
    }
}

impl Link {
    fn count(&mut self, stats: &Stats64) {
        self.received = Counters {
            bytes: stats.rx_bytes,
            packets: stats.rx_packets,
            errors: stats.rx_errors,
            dropped: stats.rx_dropped,
        };
        self.transmitted = Counters {
            bytes: stats.tx_bytes,
            packets: stats.tx_packets,
            errors: stats.tx_errors,
            dropped: stats.tx_dropped,
        };
    }
}
