//! What this kernel can shape with: each thing is made at a throw-away interface, which is removed. Loads the kernel's modules
//! for them, where they are modules.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage},
};

use super::{Bucket, Handle, IfbName, Requests, ShapingError, Side, Tbf, filter::options};

/// A limit to try with.
const LIMIT: u64 = 1_000_000;
/// The MTU of a new interface.
const MTU: u32 = 1_500;

/// What can be made, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Interfaces of kind ifb.
    pub ifb: Result<(), String>,
    /// The qdisc tbf.
    pub tbf: Result<(), String>,
    /// The qdisc `fq_codel`.
    pub fq_codel: Result<(), String>,
    /// The qdisc htb.
    pub htb: Result<(), String>,
    /// The qdisc clsact, and filters `cls_bpf` at it.
    pub clsact: Result<(), String>,
}

impl Requests {
    /// Tries everything. No interface that is there is touched; of a probe that was killed, what it left is removed.
    pub fn probe(&mut self) -> Probed {
        let name = IfbName::probe();
        let ifb = self.remove_left(&name).and_then(|()| self.make_ifb(&name, 32)).map_err(told);
        let place = ifb.clone().or_else(|_| self.make_veth(&name).map_err(told));
        let mut at = |try_it: fn(&mut Self, u32) -> Result<(), ShapingError>| {
            place.clone().and_then(|ifindex| try_it(self, ifindex).map_err(told))
        };
        let probed = Probed {
            tbf: at(Self::probe_tbf),
            fq_codel: at(Self::probe_fq_codel),
            htb: at(Self::probe_htb),
            clsact: at(Self::probe_clsact),
            ifb: ifb.map(drop),
        };
        match place.and_then(|ifindex| self.delete_interface(ifindex).map_err(told)) {
            // It is still there: whoever asked must hear of it.
            Err(left) if probed.ifb.is_ok() => Probed { ifb: Err(left), ..probed },
            _ => probed,
        }
    }

    fn remove_left(&mut self, name: &IfbName) -> Result<(), ShapingError> {
        let left = self.interface_named(name.as_str())?;
        let is_of_a_probe = |kind: Option<&InfoKind>| matches!(kind, Some(InfoKind::Ifb | InfoKind::Veth));
        match left.filter(|left| is_of_a_probe(left.kind.as_ref())) {
            Some(left) => self.delete_interface(left.ifindex).map(drop),
            None => Ok(()),
        }
    }

    /// Another interface to try qdiscs at, of the kind that containers have.
    fn make_veth(&mut self, name: &IfbName) -> Result<u32, ShapingError> {
        let what = "make a veth pair";
        let mut other = LinkMessage::default();
        other.attributes.push(LinkAttribute::IfName(format!("{name}2")));
        let data = InfoData::Veth(InfoVeth::Peer(other));
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(name.to_string()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(data)]),
        ];
        self.change(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
            .map_err(ShapingError::new(what, 0))?;
        let made = self.interface_named(name.as_str())?;
        made.map(|made| made.ifindex).ok_or(ShapingError::Gone { what, ifindex: 0 })
    }

    fn probe_tbf(&mut self, ifindex: u32) -> Result<(), ShapingError> {
        self.replace_tbf(ifindex, Handle::SHAPER, &Tbf::for_limit(LIMIT, MTU))?;
        self.delete_root(ifindex, Handle::SHAPER).map(drop)
    }

    fn probe_fq_codel(&mut self, ifindex: u32) -> Result<(), ShapingError> {
        self.replace_fq_codel(ifindex, Handle::ROOT, Handle::QUEUE)?;
        self.delete_root(ifindex, Handle::QUEUE).map(drop)
    }

    fn probe_htb(&mut self, ifindex: u32) -> Result<(), ShapingError> {
        self.add_htb_root(ifindex, Handle::SHAPER)?;
        let made = self.replace_htb_class(ifindex, Handle::SHAPER_CLASS, &Bucket::for_limit(LIMIT, MTU));
        self.delete_root(ifindex, Handle::SHAPER).and(made)
    }

    fn probe_clsact(&mut self, ifindex: u32) -> Result<(), ShapingError> {
        self.add_clsact(ifindex)?;
        // With no program at all, a kernel that has cls_bpf complains of that.
        let refused = self.put_filter(ifindex, Side::Ingress, &options(-1, None), NLM_F_CREATE);
        self.delete_clsact(ifindex)?;
        match refused {
            Err(refusal) if refusal.errno() == Some(libc::ENOENT) => {
                Err(ShapingError::NotSupported { what: "hang a program", reason: refusal.to_string() })
            }
            _ => Ok(()),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: ShapingError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
