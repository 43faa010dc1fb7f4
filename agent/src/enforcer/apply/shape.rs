//! Bandwidth limits of containers with a pair of their own: a tbf at the host's end for what they receive; for what they
//! transmit an ifb with a tbf, to which a program at the host's end leads it.

use std::os::fd::AsFd as _;

use super::{
    super::record::{Place, Record},
    Doer, Held, Look, NotHeld, not_held,
};
use crate::{
    kernel::{shapers::Shapers, taps::has_tcx},
    network::{Handle, IfbName, ShapingError, Side, Tbf},
};

/// Packets that an ifb keeps at most without a queue of ours.
const IFB_QUEUE: u32 = 1_000;

impl Doer {
    pub(super) fn hold_ingress(&mut self, ifindex: u32, wanted: u64) -> Result<Held, NotHeld> {
        let mtu = self.mtu(ifindex)?;
        self.note(Record::Ingress { ifindex, wanted })?;
        let degraded = self.shape(ifindex, wanted, mtu).map_err(not_held)?;
        Ok(Held { method: "tbf", degraded })
    }

    pub(super) fn undo_ingress(&mut self, ifindex: u32) -> Result<Option<String>, String> {
        match self.requests.delete_root(ifindex, Handle::SHAPER) {
            Err(ShapingError::Foreign { found, .. }) => Ok(Some(format!("{found} is there, and stays"))),
            Err(ShapingError::Gone { .. }) | Ok(_) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn look_at_ingress(&mut self, ifindex: u32, wanted: u64) -> Result<Look, NotHeld> {
        let Some(link) = self.requests.link(ifindex, None).map_err(|error| NotHeld(error.to_string()))?
        else {
            return Ok(Look::Gone);
        };
        self.look_at_root(ifindex, &Tbf::for_limit(wanted, link.mtu))
    }

    pub(super) fn hold_egress(&mut self, ifindex: u32, wanted: u64) -> Result<Held, NotHeld> {
        let mtu = self.mtu(ifindex)?;
        let is_old = !has_tcx();
        let makes_hook = is_old && self.makes_hook(ifindex).map_err(not_held)?;
        self.note(Record::Egress { ifindex, wanted, makes_hook })?;
        let name = IfbName::of(ifindex);
        let ifb = self.requests.make_ifb(&name, IFB_QUEUE).map_err(not_held)?;
        let mut degraded = self.shape(ifb, wanted, mtu).map_err(not_held)?;
        let words = |error: crate::kernel::Error| NotHeld(error.to_string());
        self.shapers.point(ifindex, ifb).map_err(words)?;
        if is_old {
            self.hang_filter(ifindex, ifb).map_err(not_held)?;
            let old = "this kernel has no tcx links: a cls_bpf filter leads to the ifb";
            degraded = Some(degraded.map_or_else(|| old.into(), |degraded| format!("{degraded}; {old}")));
        } else {
            self.shapers.link(ifindex).map_err(words)?;
        }
        Ok(Held { method: "ifb", degraded })
    }

    fn hang_filter(&mut self, ifindex: u32, ifb: u32) -> Result<(), ShapingError> {
        self.requests.add_clsact(ifindex)?;
        self.requests.replace_filter(ifindex, Side::Ingress, self.shapers.program().as_fd(), Some(ifb))
    }

    /// Whether what the filter hangs at is, or will be, of our making.
    fn makes_hook(&mut self, ifindex: u32) -> Result<bool, ShapingError> {
        match self.done.get(&Place::Egress(ifindex)) {
            Some(Record::Egress { makes_hook, .. }) => Ok(*makes_hook),
            _ => self.requests.has_hook(ifindex).map(|there| !there),
        }
    }

    /// The program goes before the interface that it leads to: led to none, packets are lost.
    pub(super) fn undo_egress(&mut self, ifindex: u32, made_hook: bool) -> Result<Option<String>, String> {
        let words = |error: crate::kernel::Error| error.to_string();
        self.shapers.unlink(ifindex).map_err(words)?;
        self.requests.delete_filter(ifindex, Side::Ingress).map_err(|error| error.to_string())?;
        self.shapers.unpoint(ifindex).map_err(words)?;
        if made_hook {
            // Others may have hung something there since: then it stays.
            let _in_use = self.requests.delete_clsact(ifindex);
        }
        match self.requests.ifb(&IfbName::of(ifindex)).map_err(|error| error.to_string())? {
            Some(ifb) => match self.requests.delete_ifb(ifb.ifindex) {
                Err(error @ ShapingError::Foreign { .. }) => Ok(Some(error.to_string())),
                result => result.map(|_| None).map_err(|error| error.to_string()),
            },
            None => Ok(None),
        }
    }

    pub(super) fn look_at_egress(&mut self, ifindex: u32, wanted: u64) -> Result<Look, NotHeld> {
        let words = |error: crate::kernel::Error| NotHeld(error.to_string());
        let Some(link) = self.requests.link(ifindex, None).map_err(|error| NotHeld(error.to_string()))?
        else {
            return Ok(Look::Gone);
        };
        let Some(ifb) = self.requests.ifb(&IfbName::of(ifindex)).map_err(not_held)? else {
            return Ok(Look::Changed(format!("the ifb {} is gone", IfbName::of(ifindex).as_str())));
        };
        let shaped = self.shapers.all().map_err(words)?.get(&ifindex).copied().unwrap_or_default();
        let filters = self.requests.filters(ifindex, Side::Ingress).map_err(not_held)?;
        if !shaped.linked && !filters.iter().any(crate::network::Filter::is_ours) {
            return Ok(Look::Changed("nothing leads to the ifb any more".into()));
        }
        if !ifb.is_up || shaped.to != Some(ifb.ifindex) {
            return Ok(Look::Changed("the ifb is down, or another one".into()));
        }
        self.look_at_root(ifb.ifindex, &Tbf::for_limit(wanted, link.mtu))
    }

    fn look_at_root(&mut self, ifindex: u32, ours: &Tbf) -> Result<Look, NotHeld> {
        let root = self.requests.root_qdisc(ifindex).map_err(not_held)?;
        let Some(root) = root else { return Ok(Look::Changed("its tbf is gone".into())) };
        let is_ours = root.handle == Handle::SHAPER;
        if is_ours && root.tbf.as_ref().is_some_and(|tbf| ours.is_told_as(tbf)) {
            return Ok(Look::Same);
        }
        Ok(Look::Changed(format!("its root qdisc is {root}")))
    }

    /// A tbf, and an `fq_codel` below it where the kernel has one; else what is worse without.
    fn shape(&mut self, ifindex: u32, wanted: u64, mtu: u32) -> Result<Option<String>, ShapingError> {
        self.requests.replace_tbf(ifindex, Handle::SHAPER, &Tbf::for_limit(wanted, mtu))?;
        match self.requests.replace_fq_codel(ifindex, Handle::SHAPER_CLASS, Handle::QUEUE) {
            Err(ShapingError::NotSupported { .. }) => {
                Ok(Some("this kernel has no fq_codel: packets wait up to 50 ms in one queue".into()))
            }
            result => result.map(|()| None),
        }
    }

    /// Only what nothing leads to: another agent, or one with other pins, may hold a limit by the rest.
    pub(super) fn sweep_ifbs(&mut self) -> Result<u64, ShapingError> {
        let mut swept = 0;
        for ifb in self.requests.ifbs()? {
            if !self.is_led_to(&ifb.name)? {
                swept += u64::from(self.requests.delete_ifb(ifb.ifindex)?);
            }
        }
        Ok(swept)
    }

    fn is_led_to(&mut self, ifb: &IfbName) -> Result<bool, ShapingError> {
        let Some(ifindex) = ifb.ifindex() else { return Ok(false) };
        if self.done.contains_key(&Place::Egress(ifindex)) {
            return Ok(true);
        }
        let gone = |error: &ShapingError| matches!(error, ShapingError::Gone { .. });
        match self.requests.link(ifindex, None) {
            Ok(Some(link)) if Shapers::leads(&link.name) => Ok(true),
            Ok(None) => Ok(false),
            _ => match self.requests.filters(ifindex, Side::Ingress) {
                Err(error) if gone(&error) => Ok(false),
                filters => filters.map(|filters| filters.iter().any(crate::network::Filter::is_ours)),
            },
        }
    }

    fn mtu(&mut self, ifindex: u32) -> Result<u32, NotHeld> {
        let link = self.requests.link(ifindex, None).map_err(|error| NotHeld(error.to_string()))?;
        link.map(|link| link.mtu).ok_or_else(|| NotHeld("its interface is gone".into()))
    }
}
