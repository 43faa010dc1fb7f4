//! Why something at an interface was not done.

use super::refusal::Refusal;

/// Why a qdisc, a class, a filter or an ifb was not made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum ShapingError {
    /// Somebody else has what we would have to take; nothing was changed.
    #[error("{what} at interface {ifindex}: {found} is there, which is not ours")]
    Foreign {
        /// What was tried.
        what: &'static str,
        /// Where; 0 where no interface has this number yet.
        ifindex: u32,
        /// What is there: `qdisc htb 1:`.
        found: String,
    },
    /// This kernel has no such thing.
    #[error("{what}: this kernel cannot ({reason})")]
    NotSupported {
        /// What was tried.
        what: &'static str,
        /// The kernel's words.
        reason: String,
    },
    /// The interface is not there any more.
    #[error("{what} at interface {ifindex}: it is gone")]
    Gone {
        /// What was tried.
        what: &'static str,
        /// Where.
        ifindex: u32,
    },
    /// Anything else that the kernel refused.
    #[error("{what} at interface {ifindex}: {reason}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Where.
        ifindex: u32,
        /// The error's number, if it has one.
        errno: Option<i32>,
        /// The error in words, the kernel's own included.
        reason: String,
    },
}

impl ShapingError {
    /// What a refusal means that needs no second look.
    pub(super) fn new(what: &'static str, ifindex: u32) -> impl FnOnce(Refusal) -> Self {
        move |refusal| match refusal.errno() {
            Some(libc::ENODEV) => Self::Gone { what, ifindex },
            Some(libc::EOPNOTSUPP) => Self::NotSupported { what, reason: refusal.to_string() },
            errno => Self::Refused { what, ifindex, errno, reason: refusal.to_string() },
        }
    }

    /// The same for a kind of qdisc or filter that may not exist: the kernel says `ENOENT` of it, as of a place to put it
    /// that is not there; only its words tell which.
    pub(super) fn of_kind(what: &'static str, ifindex: u32) -> impl FnOnce(Refusal) -> Self {
        move |refusal| {
            let words = refusal.words.as_deref().unwrap_or_default();
            if refusal.errno() == Some(libc::ENOENT) && KINDS.iter().any(|missing| words.contains(missing)) {
                return Self::NotSupported { what, reason: refusal.to_string() };
            }
            Self::new(what, ifindex)(refusal)
        }
    }

    /// Whether the interface is gone, and everything at it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}

/// What the kernel says of a kind of qdisc or filter that it does not have (`net/sched/sch_api.c`, `cls_api.c`).
const KINDS: [&str; 2] = ["kind is unknown", "classifier not found"];

/// Whether there was something to remove; what is gone already is no error.
pub(super) fn removed(result: Result<(), Refusal>) -> Result<bool, Refusal> {
    match result {
        Err(refusal) if matches!(refusal.errno(), Some(libc::ENODEV | libc::ENOENT)) => Ok(false),
        result => result.map(|()| true),
    }
}
