//! Interfaces of kind ifb, through which what a container sends is led to be shaped: made, found, removed. Never touches one
//! whose name is not ours.

use std::{fmt, path::Path};

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
};

use super::{Requests, ShapingError, attributes::Attributes, interface::Interface, refusal::Refusal};

/// What the names of ours begin with.
const PREFIX: &str = "plim";
/// What the name of a throw-away interface ends with.
const PROBE: &str = "probe";

/// The name of an ifb of ours: 15 bytes at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfbName(String);

impl IfbName {
    /// Of the ifb for what comes from an interface: `plim<ifindex>`.
    #[must_use]
    pub fn of(ifindex: u32) -> Self {
        Self(format!("{PREFIX}{ifindex}"))
    }

    /// Of the one that is made and removed to see whether it can be.
    #[must_use]
    pub fn probe() -> Self {
        Self(format!("{PREFIX}{PROBE}"))
    }

    /// A name, if it is one of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let end = name.strip_prefix(PREFIX)?;
        let of = end.parse().ok().map(Self::of).filter(|own| own.0 == name);
        of.or_else(|| (end == PROBE).then(Self::probe))
    }

    /// The interface that it is for; `None` of the throw-away one.
    #[must_use]
    pub fn ifindex(&self) -> Option<u32> {
        self.0.strip_prefix(PREFIX)?.parse().ok()
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IfbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An ifb of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ifb {
    /// Its number.
    pub ifindex: u32,
    /// Its name.
    pub name: IfbName,
    /// Whether it is up: one that is down drops what is led to it.
    pub is_up: bool,
}

impl Requests {
    /// Makes an ifb that is up, or takes the one of that name. Gives its number. `queue`: packets that wait there without a
    /// qdisc of ours. The first may load the kernel's module, which makes `ifb0` and `ifb1`; they are removed.
    ///
    /// # Errors
    /// [`ShapingError::NotSupported`] where the kernel has no such kind; [`ShapingError::Foreign`] where an interface of
    /// another kind has that name; the kernel's, and then none is left.
    pub fn make_ifb(&mut self, name: &IfbName, queue: u32) -> Result<u32, ShapingError> {
        let what = "make an ifb";
        let brings_more = !module_is_loaded();
        let made = self.change(new(name, queue), NLM_F_CREATE | NLM_F_EXCL);
        let is_new = match made {
            Ok(()) => true,
            Err(refusal) if refusal.errno() == Some(libc::EEXIST) => false,
            Err(refusal) => return Err(ShapingError::new(what, 0)(refusal)),
        };
        let Some(found) = self.interface_named(name.as_str())? else {
            return Err(ShapingError::Gone { what, ifindex: 0 });
        };
        let ifindex = found.ifindex;
        let Some(ifb) = own(found) else {
            return Err(ShapingError::Foreign { what, ifindex, found: format!("interface {name}") });
        };
        let swept = if is_new && brings_more { self.remove_the_modules_own() } else { Ok(()) };
        let raised = swept.and_then(|()| self.raise(&ifb).map_err(ShapingError::new(what, ifindex)));
        if raised.is_err() && is_new {
            self.delete_interface(ifindex)?;
        }
        raised.map(|()| ifindex)
    }

    /// All of ours.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ifbs(&mut self) -> Result<Vec<Ifb>, ShapingError> {
        Ok(self.interfaces()?.into_iter().filter_map(own).collect())
    }

    /// The one of that name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ifb(&mut self, name: &IfbName) -> Result<Option<Ifb>, ShapingError> {
        Ok(self.interface_named(&name.0)?.and_then(own))
    }

    /// Removes one of ours, with its qdiscs; one that is gone is fine. Whether there was one.
    ///
    /// # Errors
    /// [`ShapingError::Foreign`] where this number is that of an interface of another kind or name; the kernel's.
    pub fn delete_ifb(&mut self, ifindex: u32) -> Result<bool, ShapingError> {
        let Some(found) = self.interface(ifindex)? else { return Ok(false) };
        let name = format!("interface {}", found.name);
        match own(found) {
            Some(ifb) => self.delete_interface(ifb.ifindex),
            None => Err(ShapingError::Foreign { what: "remove an ifb", ifindex, found: name }),
        }
    }

    /// Sets one up that needs it; without an address of its own: it speaks to nobody.
    fn raise(&mut self, ifb: &Ifb) -> Result<(), Refusal> {
        if ifb.is_up {
            return Ok(());
        }
        // A kernel without IPv6 refuses, and needs not to be asked.
        let _without_ipv6 = self.change(without_addresses(ifb.ifindex), 0);
        let mut question = LinkMessage::default();
        question.header.index = ifb.ifindex;
        question.header.flags = LinkFlags::Up;
        question.header.change_mask = LinkFlags::Up;
        self.change(RouteNetlinkMessage::SetLink(question), 0)
    }

    /// Removes `ifb0`, `ifb1`: the kernel's module makes two by itself when it is loaded, which was our doing.
    fn remove_the_modules_own(&mut self) -> Result<(), ShapingError> {
        for found in self.interfaces()? {
            let is_numbered = found.name.strip_prefix("ifb").is_some_and(|end| end.parse::<u32>().is_ok());
            if found.kind == Some(InfoKind::Ifb) && is_numbered && !found.is_up {
                self.delete_interface(found.ifindex)?;
            }
        }
        Ok(())
    }
}

/// An interface, if it is an ifb of ours.
fn own(found: Interface) -> Option<Ifb> {
    let Interface { ifindex, name, kind, is_up } = found;
    IfbName::parse(&name).filter(|_| kind == Some(InfoKind::Ifb)).map(|name| Ifb { ifindex, name, is_up })
}

fn new(name: &IfbName, queue: u32) -> RouteNetlinkMessage {
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::IfName(name.0.clone()),
        LinkAttribute::TxQueueLen(queue),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Ifb)]),
    ];
    RouteNetlinkMessage::NewLink(link)
}

/// Has the kernel give an interface no IPv6 address.
fn without_addresses(ifindex: u32) -> RouteNetlinkMessage {
    /// `IFLA_AF_SPEC`, `include/uapi/linux/if_link.h`.
    const FAMILIES: u16 = 26;
    /// `IFLA_INET6_ADDR_GEN_MODE`
    const MODE: u16 = 8;
    /// `IN6_ADDR_GEN_MODE_NONE`
    const NONE: u8 = 1;
    let family = u16::try_from(libc::AF_INET6).unwrap_or_default();
    let families = Attributes::default().nest(family, &Attributes::default().with(MODE, &[NONE]));
    let mut link = LinkMessage::default();
    link.header.index = ifindex;
    link.attributes.push(LinkAttribute::Other(DefaultNla::new(FAMILIES, families.bytes().to_vec())));
    RouteNetlinkMessage::SetLink(link)
}

/// Whether asking for an ifb loads no module, or it cannot be told.
fn module_is_loaded() -> bool {
    let modules = Path::new("/sys/module");
    modules.join("ifb").exists() || !modules.exists()
}

#[cfg(test)]
mod tests;
