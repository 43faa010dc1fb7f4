//! Who settles what is asked for: what the enforcer shows to the control socket.

use std::{future::Future, sync::Arc};

use super::request::{Set, Unset};
use crate::ledger::{
    journal::{Container, JournalReader, Who},
    limits::{Limits, Line},
};

/// Where requests end. A future of it may be dropped before it is ready, when nobody waits any more: what was begun is
/// settled all the same.
pub trait Desk: Clone + Send + Sync + 'static {
    /// All limits, as they are now.
    fn limits(&self) -> Arc<Limits>;

    /// Sets limits of one container by hand. What the request does not name stays as it is.
    fn set(&self, set: Set, who: Who) -> impl Future<Output = Result<Settled, Refused>> + Send;

    /// Takes back what was set by hand for one container: what policies and labels say counts again.
    fn unset(&self, unset: Unset, who: Who) -> impl Future<Output = Result<Settled, Refused>> + Send;

    /// What became of limits.
    fn journal(&self) -> JournalReader;
}

/// What a request came to.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The container that was meant.
    pub container: Container,
    /// Of what the request named: the limits that it has now. A thing that is not limited has none.
    pub lines: Vec<Line>,
    /// What is not, or not wholly, as it was asked for: a sentence each.
    pub notes: Vec<String>,
}

/// Why a request was not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The kind of reason.
    pub why: Why,
    /// What is wrong, as a sentence without a full stop.
    pub error: String,
    /// What to do, likewise; may be empty.
    pub hint: String,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No container is meant.
    Unknown,
    /// More than one is; the error lists them.
    Ambiguous,
    /// A number, a rate or a combination cannot be.
    Impossible,
    /// It may have no limit: the agent's own cgroup, pid 1's, a runtime's.
    Protected,
    /// The kernel refused; nothing changed.
    Failed,
    /// Nobody is there to settle it: the agent starts or ends.
    Away,
}

impl Refused {
    /// Refused for that reason.
    #[must_use]
    pub fn new(why: Why, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why, error: error.into(), hint: hint.into() }
    }
}
