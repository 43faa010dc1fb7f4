//! What is looked at before an interface is removed, and the removal.

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
};

use super::{Requests, ShapingError, error::removed};

/// An interface of this namespace, as far as it matters whether it is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) ifindex: u32,
    pub(super) name: String,
    /// What it is, if it is not made by hardware.
    pub(super) kind: Option<InfoKind>,
    pub(super) is_up: bool,
}

impl From<LinkMessage> for Interface {
    fn from(message: LinkMessage) -> Self {
        let (ifindex, is_up) = (message.header.index, message.header.flags.contains(LinkFlags::Up));
        let mut found = Self { ifindex, name: String::new(), kind: None, is_up };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => found.name = name,
                LinkAttribute::LinkInfo(infos) => {
                    found.kind = infos.into_iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        found
    }
}

impl Requests {
    /// All of them.
    pub(super) fn interfaces(&mut self) -> Result<Vec<Interface>, ShapingError> {
        let mut all = Vec::new();
        let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
        self.ask(question, NLM_F_DUMP, |answer| all.extend(interface(answer)))
            .map_err(ShapingError::new("list the network interfaces", 0))?;
        Ok(all)
    }

    /// That of a number, if it is there.
    pub(super) fn interface(&mut self, ifindex: u32) -> Result<Option<Interface>, ShapingError> {
        self.look_at(of(ifindex))
    }

    /// That of a name, if it is there.
    pub(super) fn interface_named(&mut self, name: &str) -> Result<Option<Interface>, ShapingError> {
        let mut question = LinkMessage::default();
        question.attributes.push(LinkAttribute::IfName(name.to_owned()));
        self.look_at(question)
    }

    /// Removes one that was looked at. Whether it was there.
    pub(super) fn delete_interface(&mut self, ifindex: u32) -> Result<bool, ShapingError> {
        removed(self.change(RouteNetlinkMessage::DelLink(of(ifindex)), 0))
            .map_err(ShapingError::new("remove an interface", ifindex))
    }

    fn look_at(&mut self, question: LinkMessage) -> Result<Option<Interface>, ShapingError> {
        let (mut found, ifindex) = (None, question.header.index);
        let asked =
            self.ask(RouteNetlinkMessage::GetLink(question), NLM_F_ACK, |answer| found = interface(answer));
        match asked {
            Err(refusal) if refusal.errno() == Some(libc::ENODEV) => Ok(None),
            asked => asked.map(|()| found).map_err(ShapingError::new("look at a network interface", ifindex)),
        }
    }
}

fn of(ifindex: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = ifindex;
    link
}

fn interface(answer: RouteNetlinkMessage) -> Option<Interface> {
    match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link.into()),
        _ => None,
    }
}
