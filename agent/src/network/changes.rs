//! What the kernel tells of interfaces by itself.

use std::io;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt};

use super::{Link, NetworkError, requests::messages};

/// `RTNLGRP_LINK`, include/uapi/linux/rtnetlink.h.
const LINKS: u32 = 1;
/// Bytes of news that may wait for us: some thousand interfaces that come or go at once. More than the host's bound for
/// sockets takes `CAP_NET_ADMIN`.
const ROOM: usize = 4 << 20;

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An interface is there, or changed.
    Link(Link),
    /// An interface is gone, with its last counters.
    Gone(Link),
    /// News were lost: look at all of them again.
    Lost,
}

/// A socket that hears of changes.
#[derive(Debug)]
pub struct Changes {
    socket: Socket,
}

impl Changes {
    /// Listens from now on: what happens before [`Self::hear`] is asked waits.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> Result<Self, NetworkError> {
        let socket = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(LINKS)?;
            setsockopt(&socket, sockopt::RcvBufForce, &ROOM)?;
            Ok(socket)
        };
        Ok(Self { socket: socket().map_err(NetworkError::new("listen to changes of network interfaces"))? })
    }

    /// Waits for the next news; all that arrived together.
    ///
    /// # Errors
    /// The kernel's.
    pub fn hear(&mut self) -> Result<Vec<Change>, NetworkError> {
        match self.socket.recv_from_full() {
            Ok((bytes, _)) => Ok(messages(&bytes).filter_map(change).collect()),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(vec![Change::Lost]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(error) => Err(NetworkError::new("hear of network interfaces")(error)),
        }
    }
}

/// What a message says; one that cannot be understood is as good as lost.
fn change(message: io::Result<NetlinkMessage<RouteNetlinkMessage>>) -> Option<Change> {
    let Ok(message) = message else { return Some(Change::Lost) };
    let NetlinkPayload::InnerMessage(message) = message.payload else { return None };
    match message {
        // A bridge speaks of its ports in the same words: one that leaves it is not gone, and has no counters there.
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link)
            if link.header.interface_family != AddressFamily::Unspec =>
        {
            None
        }
        RouteNetlinkMessage::NewLink(link) => Some(Change::Link(link.into())),
        RouteNetlinkMessage::DelLink(link) => Some(Change::Gone(link.into())),
        _ => None,
    }
}
