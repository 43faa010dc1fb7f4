//! What is wanted of one container, where that comes from, and what was not heeded.

use std::{fmt, time::SystemTime};

use super::{BitsPerSecond, Mode, OnPidsLimit, Protected, Resource, Tasks};

/// The limits that one container shall have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Why it has none, whoever asked for some.
    pub protected: Option<Protected>,
    /// Tasks: processes and threads.
    pub pids: Option<Limit<Tasks>>,
    /// What it sends.
    pub egress: Option<Limit<BitsPerSecond>>,
    /// What it receives.
    pub ingress: Option<Limit<BitsPerSecond>>,
    /// What happens where the task limit is hit.
    pub on_pids_limit: OnPidsLimit,
    /// The task limit may be above what the runtime set.
    pub above_runtime: bool,
    /// Its egress is paced at the sockets, too.
    pub smooth: bool,
    /// What somebody asked for and is not, or not wholly, what is wanted.
    pub ignored: Vec<Ignored>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit<T> {
    /// The number.
    pub value: T,
    /// What becomes of it.
    pub mode: Mode,
    /// Who said so.
    pub origin: Origin,
}

/// Who said what a limit shall be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Somebody, by hand.
    Hand {
        /// Who.
        by: String,
        /// When it is over; `None`: when it is unset.
        until: Option<SystemTime>,
    },
    /// A policy of the file.
    Policy {
        /// Its name.
        name: String,
        /// The line of the file that it begins in, from 1.
        line: usize,
    },
    /// A label of the container's own.
    Label {
        /// Its key.
        key: String,
    },
}

/// What somebody asked for and does not hold, or not as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// What was to be limited; `None` where that is unknown.
    pub resource: Option<Resource>,
    /// Who asked.
    pub origin: Origin,
    /// For what, as they wrote it or in the shortest spelling. Raw: a label may hold anything.
    pub value: String,
    /// Why not.
    pub reason: Reason,
}

/// Why something is not heeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The file does not let labels count.
    LabelsOff,
    /// A label's value is no limit.
    Unreadable {
        /// What is wrong with it.
        error: String,
    },
    /// There is no such label.
    Unknown {
        /// What may be meant, as the end of a sentence.
        hint: String,
    },
    /// A label may only lower what others set.
    NotLower {
        /// What holds.
        than: String,
        /// Who set that.
        of: Origin,
    },
    /// The file's cap holds in its place.
    Capped {
        /// The cap.
        cap: String,
    },
    /// Somebody else's holds in its place.
    Lost {
        /// Whose.
        to: Origin,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hand { by, .. } => write!(f, "by hand ({by})"),
            Self::Policy { name, line } => write!(f, "policy {name:?} (line {line})"),
            Self::Label { key } => write!(f, "label {key:?}"),
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, origin, value, reason } = self;
        match resource {
            Some(resource) => write!(f, "{} = {value:?} of {origin}: {reason}", resource.as_str()),
            None => write!(f, "{value:?} of {origin}: {reason}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LabelsOff => f.write_str("labels do not count; limits.labels = true lets them"),
            Self::Unreadable { error } => f.write_str(error),
            Self::Unknown { hint } => write!(f, "there is no such label{hint}"),
            Self::NotLower { than, of } => {
                write!(f, "a label may only lower a limit, and {of} sets {than}")
            }
            Self::Capped { cap } => write!(f, "the cap of {cap} holds in its place"),
            Self::Lost { to } => write!(f, "that of {to} holds in its place"),
        }
    }
}
