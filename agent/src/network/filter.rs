//! Programs at an interface on kernels without tcx (before 6.6): a filter `cls_bpf` below a clsact qdisc. Ours is known by its
//! priority, handle and name; others stay as they are.

use std::{
    fmt,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};

use super::{
    Handle, Requests, ShapingError,
    attributes::{Attributes, attribute, text, u32_at},
    control::{Control, DELETE_FILTER, DELETE_QDISC, GET_FILTER, NEW_FILTER, NEW_QDISC},
    error::removed,
    refusal::Refusal,
};

/// Where clsact and ingress qdiscs hang (`TC_H_CLSACT`, `TC_H_INGRESS`).
const HOOK: Handle = Handle::new(0xffff, 0xfff1);
/// The number of both.
const HOOK_HANDLE: Handle = Handle::new(0xffff, 0);

/// Our priority and handle: "pl" in ASCII. Behind whatever has a priority by hand, before those that the kernel chooses.
const OURS: u16 = 0x706c;
/// Our name.
const NAME: &str = "plimsoll";
/// Of all protocols: `ETH_P_ALL`.
const ALL: u16 = 3;

/// `TCA_BPF_ACT`, `include/uapi/linux/pkt_cls.h`.
const ACTIONS: u16 = 1;
/// `TCA_BPF_FD`
const PROGRAM: u16 = 6;
/// `TCA_BPF_NAME`
const PROGRAM_NAME: u16 = 7;
/// `TCA_BPF_FLAGS`
const FLAGS: u16 = 8;
/// `TCA_BPF_ID`
const PROGRAM_ID: u16 = 11;
/// `TCA_BPF_FLAG_ACT_DIRECT`: what the program returns is what is done.
const DIRECT_ACTION: u32 = 1;

/// The place of the only action.
const FIRST: u16 = 1;
/// `TCA_ACT_KIND`
const ACTION_KIND: u16 = 1;
/// `TCA_ACT_OPTIONS`
const ACTION_OPTIONS: u16 = 2;
/// `TCA_MIRRED_PARMS`, `include/uapi/linux/tc_act/tc_mirred.h`
const MIRRED: u16 = 2;
/// `TC_ACT_STOLEN`
const STOLEN: u32 = 4;
/// `TCA_EGRESS_REDIR`
const REDIRECT: u32 = 1;

/// Which packets of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// What comes in from it.
    Ingress,
    /// What goes out to it.
    Egress,
}

impl Side {
    fn parent(self) -> Handle {
        match self {
            Self::Ingress => Handle::new(0xffff, 0xfff2),
            Self::Egress => Handle::new(0xffff, 0xfff3),
        }
    }
}

/// What was there for filters to hang at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Nothing: a clsact was made.
    Made,
    /// A clsact.
    WasThere,
    /// An ingress qdisc, which has no egress.
    IngressOnly,
}

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The number of its interface.
    pub ifindex: u32,
    /// Of which packets.
    pub side: Side,
    /// What it is: `bpf`.
    pub kind: String,
    /// The lowest runs first.
    pub priority: u16,
    /// Its number among those of that priority.
    pub handle: u32,
    /// Of a `bpf`: its name.
    pub name: Option<String>,
    /// Of a `bpf`: the id of its program.
    pub program: Option<u32>,
}

impl Filter {
    /// Whether we put it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.is_in_our_place() && self.kind == "bpf" && self.name.as_deref() == Some(NAME)
    }

    fn is_in_our_place(&self) -> bool {
        (self.priority, self.handle) == (OURS, u32::from(OURS))
    }

    fn decode(told: &Control, side: Side) -> Option<Self> {
        let priority = u16::try_from(told.details >> 16).ok()?;
        let handle = told.handle.number();
        if handle == 0 {
            return None; // of all filters with that priority
        }
        let (kind, options) = (told.told_kind(), told.told_options());
        let of_bpf = |wanted| if kind == "bpf" { attribute(options, wanted) } else { None };
        let (name, program) = (of_bpf(PROGRAM_NAME).map(text), of_bpf(PROGRAM_ID));
        let program = program.and_then(|bytes| u32_at(bytes, 0));
        Some(Self { ifindex: told.ifindex, side, kind, priority, handle, name, program })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter {} pref {} handle {:#x}", self.kind, self.priority, self.handle)?;
        self.name.iter().try_for_each(|name| write!(f, " {name}"))
    }
}

impl Requests {
    /// Sees to it that filters can be hung at an interface.
    ///
    /// # Errors
    /// [`ShapingError::NotSupported`] where the kernel has no clsact; the interface is gone; the kernel's.
    pub fn add_clsact(&mut self, ifindex: u32) -> Result<Hook, ShapingError> {
        let what = "put a clsact";
        let question = Control::new(NEW_QDISC, ifindex).at(HOOK, HOOK_HANDLE).kind("clsact");
        let Err(refusal) = self.change(question, NLM_F_CREATE | NLM_F_EXCL) else { return Ok(Hook::Made) };
        if refusal.errno() != Some(libc::EEXIST) {
            return Err(ShapingError::of_kind(what, ifindex)(refusal));
        }
        match self.hook_of(ifindex)?.as_deref() {
            Some("clsact") => Ok(Hook::WasThere),
            Some("ingress") => Ok(Hook::IngressOnly),
            _ => Err(ShapingError::new(what, ifindex)(refusal)),
        }
    }

    /// Removes the clsact of an interface if nothing hangs at it; whoever hangs something at it between the look and the
    /// removal loses it. Whether there was one.
    ///
    /// # Errors
    /// [`ShapingError::Foreign`] where filters hang at it, or where it is an ingress qdisc; the kernel's.
    pub fn delete_clsact(&mut self, ifindex: u32) -> Result<bool, ShapingError> {
        let what = "remove a clsact";
        let foreign = |found| Err(ShapingError::Foreign { what, ifindex, found });
        match self.hook_of(ifindex)? {
            None => return Ok(false),
            Some(kind) if kind != "clsact" => return foreign(format!("qdisc {kind}")),
            Some(_) => {}
        }
        for side in [Side::Ingress, Side::Egress] {
            if let Some(filter) = self.filters(ifindex, side)?.first() {
                return foreign(filter.to_string());
            }
        }
        let question = Control::new(DELETE_QDISC, ifindex).at(HOOK, HOOK_HANDLE).kind("clsact");
        removed(self.change(question, 0)).map_err(ShapingError::new(what, ifindex))
    }

    /// The filters of an interface, in the order in which they run; none where it is gone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn filters(&mut self, ifindex: u32, side: Side) -> Result<Vec<Filter>, ShapingError> {
        let mut filters = Vec::new();
        let question = Control::new(GET_FILTER, ifindex).at(side.parent(), Handle::NONE);
        match self.ask(question, NLM_F_DUMP, |told| filters.extend(Filter::decode(&told, side))) {
            Err(refusal) if refusal.errno() == Some(libc::ENODEV) => Ok(Vec::new()),
            result => result.map(|()| filters).map_err(ShapingError::new("list filters", ifindex)),
        }
    }

    /// Hangs a program of kind `SCHED_CLS` at an interface, or puts it in the place of ours in one step. It needs
    /// [`Self::add_clsact`] before. `to`: what it answers other than 0 for goes out through that interface, by `mirred`, as an
    /// ifb takes from a program's own redirection nothing below 6.3; `None`: what it answers is done.
    ///
    /// # Errors
    /// [`ShapingError::Foreign`] where somebody else's filter has our priority and handle; [`ShapingError::NotSupported`]
    /// where the kernel has no `cls_bpf`; the clsact or the interface is gone; the kernel's.
    pub fn replace_filter(
        &mut self,
        ifindex: u32,
        side: Side,
        program: BorrowedFd<'_>,
        to: Option<u32>,
    ) -> Result<(), ShapingError> {
        let what = "hang a program at it";
        let options = options(program.as_raw_fd(), to);
        let put = |requests: &mut Self, flags| requests.put_filter(ifindex, side, &options, flags);
        let refusal = match put(self, NLM_F_CREATE | NLM_F_EXCL) {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        let mut in_our_place =
            self.filters(ifindex, side)?.into_iter().filter(|found| found.priority == OURS);
        match in_our_place.next() {
            Some(found) if !found.is_ours() => {
                Err(ShapingError::Foreign { what, ifindex, found: found.to_string() })
            }
            Some(_) if refusal.errno() == Some(libc::EEXIST) => {
                put(self, NLM_F_CREATE).map_err(ShapingError::of_kind(what, ifindex))
            }
            _ => Err(ShapingError::of_kind(what, ifindex)(refusal)),
        }
    }

    /// Removes our program from an interface. Whether there was one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete_filter(&mut self, ifindex: u32, side: Side) -> Result<bool, ShapingError> {
        if !self.filters(ifindex, side)?.iter().any(Filter::is_ours) {
            return Ok(false);
        }
        let question = our_filter(DELETE_FILTER, ifindex, side);
        removed(self.change(question, 0)).map_err(ShapingError::new("remove our program", ifindex))
    }

    pub(super) fn put_filter(
        &mut self,
        ifindex: u32,
        side: Side,
        options: &Attributes,
        flags: u16,
    ) -> Result<(), Refusal> {
        self.change(our_filter(NEW_FILTER, ifindex, side).options(options), flags)
    }

    /// Whether there is something for filters to hang at.
    ///
    /// # Errors
    /// The kernel's.
    pub fn has_hook(&mut self, ifindex: u32) -> Result<bool, ShapingError> {
        self.hook_of(ifindex).map(|hook| hook.is_some())
    }

    /// The kind of qdisc that filters hang at.
    fn hook_of(&mut self, ifindex: u32) -> Result<Option<String>, ShapingError> {
        let qdiscs = self.qdiscs_of(ifindex)?;
        Ok(qdiscs.into_iter().find(|qdisc| qdisc.parent == HOOK).map(|qdisc| qdisc.kind))
    }
}

/// What a filter of ours is told.
pub(super) fn options(program: i32, to: Option<u32>) -> Attributes {
    let options = Attributes::default().with(PROGRAM, &program.to_ne_bytes()).text(PROGRAM_NAME, NAME);
    let Some(to) = to else { return options.with(FLAGS, &DIRECT_ACTION.to_ne_bytes()) };
    // `struct tc_mirred`: number, capabilities, action, two counts, what it does, where to.
    let mirred = [0, 0, STOLEN, 0, 0, REDIRECT, to].map(u32::to_ne_bytes);
    let mirred = Attributes::default().with(MIRRED, mirred.as_flattened());
    let action = Attributes::default().text(ACTION_KIND, "mirred").nest(ACTION_OPTIONS, &mirred);
    options.nest(ACTIONS, &Attributes::default().nest(FIRST, &action))
}

fn our_filter(message_type: u16, ifindex: u32, side: Side) -> Control {
    let details = u32::from(OURS) << 16 | u32::from(ALL.to_be());
    Control::new(message_type, ifindex)
        .at(side.parent(), Handle::from_number(OURS.into()))
        .details(details)
        .kind("bpf")
}

#[cfg(test)]
mod tests;
