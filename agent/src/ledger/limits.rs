//! Limits as readers see them: what is held at which line, by what, and what came of it. Data only.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use plimsoll_common::traffic::Count;
use serde::{Deserialize, Serialize};

use super::snapshot::Identity;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Tasks: processes and threads.
    Tasks,
    /// What a container receives.
    Ingress,
    /// What it transmits.
    Egress,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tasks, Self::Ingress, Self::Egress];

    /// Its name in metrics and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// All limits at one moment.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// `off`, `dry-run` or `enforce`: what is done at most.
    pub mode: &'static str,
    /// One per container and thing that is limited, in the order of the containers' ids.
    pub lines: Vec<Line>,
    /// Where the lines of an account begin.
    pub first: HashMap<u64, usize>,
    /// What somebody else had changed, and was put back or told of, since counting began.
    pub drift: u64,
    /// When the configuration in force was read.
    pub loaded: Option<SystemTime>,
    /// Why a newer configuration is not in force.
    pub problem: Option<String>,
}

/// One limit of one container.
#[derive(Debug, Clone)]
pub struct Line {
    /// The container's account.
    pub account: u64,
    /// The container.
    pub identity: Arc<Identity>,
    /// What is limited.
    pub what: What,
    /// The line: tasks, or bits per second.
    pub value: u64,
    /// What is used of it now, in the same unit; `None` where nobody knows.
    pub used: Option<u64>,
    /// `dry-run` or `enforce`.
    pub mode: &'static str,
    /// Who wants it: `by hand (uid 0)`, `policy web`, `label plimsoll.pids`.
    pub origin: String,
    /// When it ends by itself.
    pub until: Option<SystemTime>,
    /// What holds it: `pids.max`, `tbf`, `ifb`; empty where nothing does.
    pub method: &'static str,
    /// Why it is not held, or not as well as elsewhere.
    pub degraded: Option<String>,
    /// What came of it.
    pub counts: Counts,
}

/// What came of a limit since it was first set. Never goes backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// What passed below the line, headers of each segment included.
    pub passed: Passed,
    /// What found no room.
    pub dropped: Passed,
    /// How often something had to wait at the line.
    pub delayed: u64,
    /// Forks and threads that were refused.
    pub hits: u64,
    /// Milliseconds at the line, or over it in a dry run.
    pub at_line_ms: u64,
    /// How often it went over the line in a dry run.
    pub violations: u64,
}

/// Bytes and packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Passed {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

impl From<Count> for Passed {
    fn from(Count { bytes, packets }: Count) -> Self {
        Self { bytes, packets }
    }
}
