//! Pairs of netkit interfaces, which Debian's iproute2 does not know.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoKind, InfoNetkit, LinkAttribute, LinkInfo, LinkMessage, NetkitMode},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Makes a pair of two names that passes frames, both ends in this namespace.
///
/// # Errors
/// The kernel's; `ENOTSUP` where it has no such kind (before 6.7, or built without).
pub fn add(name: &str, other: &str) -> io::Result<()> {
    let link = |name: &str| {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        link
    };
    let data = vec![InfoNetkit::Mode(NetkitMode::L2), InfoNetkit::Peer(link(other))];
    let info = vec![LinkInfo::Kind(InfoKind::Netkit), LinkInfo::Data(InfoData::Netkit(data))];
    let mut pair = link(name);
    pair.attributes.push(LinkAttribute::LinkInfo(info));
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewLink(pair));
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}
