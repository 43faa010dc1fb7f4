//! Whom no limit is ever set on.

use std::fmt;

/// Why no limit is set on a cgroup, whoever asks for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protected {
    /// This agent runs in it, or below it.
    Agent,
    /// Process 1 of the host runs in it, or below it.
    Init,
    /// A container runtime runs in it, or below it: a limit on it would be one on all its containers.
    Runtime,
}

impl Protected {
    /// Why, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "the agent itself runs in it",
            Self::Init => "process 1 runs in it",
            Self::Runtime => "a container runtime runs in it",
        }
    }
}

impl fmt::Display for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
