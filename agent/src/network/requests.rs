//! Questions to the kernel, one at a time.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage},
    nsid::{NsidAttribute, NsidMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::{Link, NetworkError, refusal::Refusal};

/// `NLM_F_DUMP_INTR`, include/uapi/linux/netlink.h: what was listed changed meanwhile.
const DUMP_INTERRUPTED: u16 = 0x10;

/// How this namespace calls another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId(i32);

impl NamespaceId {
    /// The id, if there is one: -1 stands for none.
    #[must_use]
    pub const fn assigned(id: i32) -> Option<Self> {
        if id < 0 { None } else { Some(Self(id)) }
    }
}

/// A socket for questions.
#[derive(Debug)]
pub struct Requests {
    socket: Socket,
    sequence: u32,
}

impl Requests {
    /// Opens the socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> Result<Self, NetworkError> {
        let socket = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Both from 4.12 on: what an error is about in words, and no more of the question than its header.
            let _without_words = socket.set_ext_ack(true).and_then(|()| socket.set_cap_ack(true));
            Ok(socket)
        };
        let socket = socket().map_err(NetworkError::new("open a netlink socket"))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// All interfaces of this namespace.
    ///
    /// # Errors
    /// The kernel's.
    pub fn links(&mut self) -> Result<Vec<Link>, NetworkError> {
        loop {
            let mut links = Vec::new();
            let asked =
                self.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP, |answer| {
                    if let RouteNetlinkMessage::NewLink(link) = answer {
                        links.push(link.into());
                    }
                });
            let asked = asked.map_err(io::Error::from);
            match asked {
                // One came or went meanwhile: another may have been left out.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    return result.map(|()| links).map_err(NetworkError::new("list the network interfaces"));
                }
            }
        }
    }

    /// One interface, of this namespace or another; `None` where it is gone. Needs `CAP_NET_ADMIN` in another one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn link(
        &mut self,
        ifindex: u32,
        namespace: Option<NamespaceId>,
    ) -> Result<Option<Link>, NetworkError> {
        let mut question = LinkMessage::default();
        question.header.index = ifindex;
        question.attributes.extend(namespace.map(|NamespaceId(id)| LinkAttribute::IfNetnsId(id)));
        let mut found = None;
        let result = self.ask(RouteNetlinkMessage::GetLink(question), 0, |answer| {
            if let RouteNetlinkMessage::NewLink(link) = answer {
                found = Some(link.into());
            }
        });
        gone_is_none(result.map(|()| found)).map_err(NetworkError::new("look at a network interface"))
    }

    /// The namespace that a process is in; `None` where it is over, or that has no number here: it is this one, or no
    /// interface connects the two.
    ///
    /// # Errors
    /// The kernel's.
    pub fn namespace_of(&mut self, pid: u32) -> Result<Option<NamespaceId>, NetworkError> {
        let mut question = NsidMessage::default();
        question.attributes.push(NsidAttribute::Pid(pid));
        let mut found = None;
        let result = self.ask(RouteNetlinkMessage::GetNsId(question), 0, |answer| {
            if let RouteNetlinkMessage::NewNsId(answer) = answer {
                found = answer.attributes.iter().find_map(|attribute| match attribute {
                    NsidAttribute::Id(id) => NamespaceId::assigned(*id),
                    _ => None,
                });
            }
        });
        gone_is_none(result.map(|()| found)).map_err(NetworkError::new("look up a network namespace"))
    }

    /// Has the kernel change something, and waits until it has.
    pub(super) fn change<M>(&mut self, question: M, flags: u16) -> Result<(), Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        self.ask(question, NLM_F_ACK | flags, |_| {})
    }

    /// Asks one question and hands out what is answered to it.
    pub(super) fn ask<M>(&mut self, question: M, flags: u16, mut each: impl FnMut(M)) -> Result<(), Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        self.send(question, flags)?;
        let is_dump = flags & NLM_F_DUMP == NLM_F_DUMP;
        let mut interrupted = false;
        loop {
            let bytes = match self.socket.recv_from_full() {
                Ok((bytes, _)) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            for answer in messages(&bytes) {
                let NetlinkMessage { header, payload, .. } = answer?;
                if header.sequence_number != self.sequence {
                    continue; // to a question that was given up
                }
                interrupted |= header.flags & DUMP_INTERRUPTED != 0;
                match payload {
                    NetlinkPayload::InnerMessage(inner) => {
                        each(inner);
                        if !is_dump {
                            return Ok(());
                        }
                    }
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(Refusal::new(&error, header.flags));
                    }
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(-done.code).into());
                    }
                    NetlinkPayload::Done(_) if interrupted => {
                        return Err(io::Error::from(io::ErrorKind::Interrupted).into());
                    }
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(()),
                    _ => {}
                }
            }
        }
    }

    fn send<M: NetlinkSerializable>(&mut self, question: M, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let payload = NetlinkPayload::InnerMessage(question);
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(drop)
    }
}

/// The messages in one datagram.
pub(super) fn messages<M: NetlinkDeserializable>(
    mut bytes: &[u8],
) -> impl Iterator<Item = io::Result<NetlinkMessage<M>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let message = NetlinkMessage::<M>::deserialize(bytes).map_err(io::Error::other);
        // A message is followed by padding up to four bytes.
        let length = bytes.first_chunk().map_or(0, |length| u32::from_ne_bytes(*length) as usize);
        let length = length.next_multiple_of(4);
        bytes = if length == 0 { &[] } else { bytes.get(length..).unwrap_or_default() };
        Some(message)
    })
}

/// An interface or process that is not there any more is no error.
fn gone_is_none<T>(result: Result<Option<T>, Refusal>) -> io::Result<Option<T>> {
    match result.map_err(io::Error::from) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ESRCH | libc::EINVAL)) => {
            Ok(None)
        }
        result => result,
    }
}
