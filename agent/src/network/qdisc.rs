//! Qdiscs: which there are, and ours put, changed and removed. Never touches one that somebody else put: what the kernel is
//! asked for says so, so that it holds too if somebody puts one at the same moment.

use std::fmt;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_ECHO};

use super::{
    Handle, Requests, ShapingError, Statistics, Tbf,
    control::{Control, DELETE_QDISC, GET_QDISC, NEW_QDISC},
    error::removed,
    refusal::Refusal,
};

/// One qdisc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// The number of its interface.
    pub ifindex: u32,
    /// What it is: `tbf`.
    pub kind: String,
    /// Its number; none if the kernel put it by itself.
    pub handle: Handle,
    /// Where it hangs: the root, or a class.
    pub parent: Handle,
    /// Of a tbf: what it lets pass.
    pub tbf: Option<Tbf>,
    /// What passed it.
    pub statistics: Statistics,
}

impl Qdisc {
    /// Whether it is that of a whole interface.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parent == Handle::ROOT
    }

    /// Whether the kernel put it by itself, whatever kind its default is (noqueue, `pfifo_fast`, mq, `fq_codel`): whatever
    /// anybody puts has a handle.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.handle == Handle::NONE
    }
}

/// As `tc` names it.
impl fmt::Display for Qdisc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "qdisc {} {}", self.kind, self.handle)
    }
}

impl From<Control> for Qdisc {
    fn from(told: Control) -> Self {
        let kind = told.told_kind();
        Self {
            ifindex: told.ifindex,
            handle: told.handle,
            parent: told.parent,
            tbf: if kind == "tbf" { Tbf::decode(told.told_options()) } else { None },
            statistics: Statistics::decode(told.told_statistics()),
            kind,
        }
    }
}

impl Requests {
    /// All qdiscs of this namespace. While interfaces come and go one may be left out or told twice: whether one is missing
    /// is to be asked of [`Self::root_qdisc`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn qdiscs(&mut self) -> Result<Vec<Qdisc>, ShapingError> {
        self.list_qdiscs(0)
    }

    /// Those of one interface, the ingress or clsact qdisc included; none where it is gone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn qdiscs_of(&mut self, ifindex: u32) -> Result<Vec<Qdisc>, ShapingError> {
        let mut qdiscs = self.list_qdiscs(ifindex)?;
        qdiscs.retain(|qdisc| qdisc.ifindex == ifindex);
        Ok(qdiscs)
    }

    fn list_qdiscs(&mut self, ifindex: u32) -> Result<Vec<Qdisc>, ShapingError> {
        let mut qdiscs = Vec::new();
        self.ask(Control::new(GET_QDISC, ifindex), NLM_F_DUMP, |told| qdiscs.push(told.into()))
            .map_err(ShapingError::new("list qdiscs", ifindex))?;
        Ok(qdiscs)
    }

    /// The qdisc of a whole interface; `None` where the interface is gone, or has none that is shown, as one that was never
    /// up.
    ///
    /// # Errors
    /// The kernel's.
    pub fn root_qdisc(&mut self, ifindex: u32) -> Result<Option<Qdisc>, ShapingError> {
        let mut found = None;
        let question = Control::new(GET_QDISC, ifindex).at(Handle::ROOT, Handle::NONE);
        match self.ask(question, NLM_F_ACK | NLM_F_ECHO, |told| found = Some(told.into())) {
            // Of one that is not shown the kernel says EINVAL, or ENOENT.
            Err(refusal) if matches!(refusal.errno(), Some(libc::ENODEV | libc::EINVAL | libc::ENOENT)) => {
                Ok(None)
            }
            result => result.map(|()| found).map_err(ShapingError::new("look at the root qdisc", ifindex)),
        }
    }

    /// Puts a tbf at the root of an interface, or changes ours there while packets pass; what waits in it stays.
    ///
    /// # Errors
    /// [`ShapingError::Foreign`] where the root qdisc is neither the kernel's own nor a tbf of that handle;
    /// [`ShapingError::NotSupported`] where the kernel has no tbf; the interface is gone; the kernel's.
    pub fn replace_tbf(&mut self, ifindex: u32, handle: Handle, tbf: &Tbf) -> Result<(), ShapingError> {
        let question =
            Control::new(NEW_QDISC, ifindex).at(Handle::ROOT, handle).kind("tbf").options(&tbf.encode());
        self.put_root("put a tbf", question)
    }

    /// Puts an `fq_codel` of the kernel's own settings below a class, or leaves ours there as it is: it shares what passes
    /// among flows, and keeps each one's packets from waiting long.
    ///
    /// # Errors
    /// [`ShapingError::NotSupported`] where the kernel has no `fq_codel`; [`ShapingError::Foreign`] where another qdisc was
    /// put there; the class or interface is gone; the kernel's.
    pub fn replace_fq_codel(
        &mut self,
        ifindex: u32,
        parent: Handle,
        handle: Handle,
    ) -> Result<(), ShapingError> {
        let what = "put an fq_codel";
        let question = Control::new(NEW_QDISC, ifindex).at(parent, handle).kind("fq_codel");
        let Err(refusal) = self.change(question, NLM_F_CREATE) else { return Ok(()) };
        if is_taken(&refusal) {
            let others = |qdisc: &Qdisc| qdisc.parent == parent && !qdisc.is_default();
            if let Some(found) = self.qdiscs_of(ifindex)?.into_iter().find(others) {
                return Err(ShapingError::Foreign { what, ifindex, found: found.to_string() });
            }
        }
        Err(ShapingError::of_kind(what, ifindex)(refusal))
    }

    /// Removes the root qdisc of an interface if it has that handle, with all below it; the kernel puts its own again.
    /// Whether there was one.
    ///
    /// # Errors
    /// [`ShapingError::Foreign`] where somebody put another there; the kernel's.
    pub fn delete_root(&mut self, ifindex: u32, handle: Handle) -> Result<bool, ShapingError> {
        let what = "remove the root qdisc";
        let question = Control::new(DELETE_QDISC, ifindex).at(Handle::ROOT, handle);
        let refusal = match removed(self.change(question, 0)) {
            Ok(removed) => return Ok(removed),
            Err(refusal) => refusal,
        };
        if refusal.errno() == Some(libc::EINVAL) {
            return match self.root_qdisc(ifindex)? {
                Some(found) if found.handle == handle => Err(ShapingError::new(what, ifindex)(refusal)),
                Some(found) if !found.is_default() => {
                    Err(ShapingError::Foreign { what, ifindex, found: found.to_string() })
                }
                _ => Ok(false),
            };
        }
        Err(ShapingError::new(what, ifindex)(refusal))
    }

    /// Puts a root qdisc, or changes it if it has the same handle and kind. Without `NLM_F_REPLACE` the kernel itself refuses
    /// where another one was put (`tc_modify_qdisc`, `net/sched/sch_api.c`).
    pub(super) fn put_root(&mut self, what: &'static str, question: Control) -> Result<(), ShapingError> {
        let (ifindex, handle, kind) = (question.ifindex, question.handle, question.told_kind());
        let Err(refusal) = self.change(question, NLM_F_CREATE) else { return Ok(()) };
        if is_taken(&refusal) {
            let is_other =
                |found: &Qdisc| !found.is_default() && (found.handle, &found.kind) != (handle, &kind);
            if let Some(found) = self.root_qdisc(ifindex)?.filter(is_other) {
                return Err(ShapingError::Foreign { what, ifindex, found: found.to_string() });
            }
        }
        // Every interface has a root: it is the kind that is not there.
        if refusal.errno() == Some(libc::ENOENT) {
            return Err(ShapingError::NotSupported { what, reason: refusal.to_string() });
        }
        Err(ShapingError::new(what, ifindex)(refusal))
    }
}

/// Whether something else may be where we wanted to be: another handle, or another kind with the same.
fn is_taken(refusal: &Refusal) -> bool {
    matches!(refusal.errno(), Some(libc::EEXIST | libc::EINVAL))
}

#[cfg(test)]
mod tests;
