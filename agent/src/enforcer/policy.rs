//! What the file says of limits: who gets which. Data only; what comes of it is decided in `resolve`.

use super::{BitsPerSecond, Mode, Selector, Subject, Tasks, labels};

/// The file's `[limits]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// What becomes of every limit, unless something weaker is said of it.
    pub mode: Mode,
    /// What the command line says in place of that.
    pub command_line: Option<Mode>,
    /// Whether containers' own labels count.
    pub labels: bool,
    /// Where the soft line is, in percent of the task limit: 1 to 100.
    pub soft_percent: u8,
    /// What no limit may be above. No limit by itself.
    pub cap: Numbers,
    /// The interface that traffic of host-network containers leaves by, where that may be shaped.
    pub uplink: Option<String>,
    /// In the file's order.
    pub policies: Vec<Policy>,
}

/// One `[[limits.policy]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name, which no other has.
    pub name: String,
    /// The line of the file that it begins in, from 1.
    pub line: usize,
    /// Whom it is for.
    pub select: Selector,
    /// The limits; one at least.
    pub numbers: Numbers,
    /// What becomes of its limits; `None`: as for all.
    pub mode: Option<Mode>,
    /// Its egress is paced at the sockets, too.
    pub smooth: bool,
    /// What happens where its task limit is hit.
    pub on_pids_limit: OnPidsLimit,
    /// Its task limit may be above what the runtime set.
    pub above_runtime: bool,
}

/// A limit of each kind, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    /// Tasks: processes and threads.
    pub pids: Option<Tasks>,
    /// What the container sends.
    pub egress: Option<BitsPerSecond>,
    /// What the container receives.
    pub ingress: Option<BitsPerSecond>,
}

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Tasks: processes and threads.
    Pids,
    /// What the container sends.
    Egress,
    /// What the container receives.
    Ingress,
}

/// What happens where a task limit is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnPidsLimit {
    /// The kernel refuses the fork, and that is all.
    #[default]
    Deny,
    /// The container is frozen.
    Freeze,
    /// All its processes are killed.
    Kill,
    /// Its newest process is killed.
    KillNewest,
}

impl Default for Policies {
    /// Nothing is limited.
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            command_line: None,
            labels: false,
            soft_percent: 80,
            cap: Numbers::default(),
            uplink: None,
            policies: Vec::new(),
        }
    }
}

impl Policies {
    /// What becomes of a limit of which nothing else is said.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.command_line.unwrap_or(self.mode)
    }

    /// What becomes of that policy's limits: the weaker of its own mode and everybody's.
    #[must_use]
    pub fn mode_of(&self, policy: &Policy) -> Mode {
        policy.mode.map_or(self.mode(), |mode| mode.weaker(self.mode()))
    }

    /// Those that are for this one, in the file's order.
    pub fn matching<'a>(&'a self, subject: &'a Subject<'_>) -> impl Iterator<Item = &'a Policy> {
        self.policies.iter().filter(|policy| policy.select.matches(subject))
    }

    /// Whether a limit can come of it without anybody's hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && !self.labels
    }

    /// Whether processes are killed where a task limit is hit.
    #[must_use]
    pub fn kills(&self) -> bool {
        let kills =
            |policy: &Policy| matches!(policy.on_pids_limit, OnPidsLimit::Kill | OnPidsLimit::KillNewest);
        self.policies.iter().any(kills)
    }

    /// The labels of containers that matter to it; one may come twice.
    pub fn label_keys(&self) -> impl Iterator<Item = &str> {
        let own = labels::KEYS.iter().map(|(key, _)| *key);
        own.chain(self.policies.iter().flat_map(|policy| policy.select.label_keys()))
    }
}

impl Numbers {
    /// Whether there is no limit at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { pids, egress, ingress } = self;
        pids.is_none() && egress.is_none() && ingress.is_none()
    }

    /// These, and the other's where these have none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let Self { pids, egress, ingress } = other;
        Self { pids: self.pids.or(pids), egress: self.egress.or(egress), ingress: self.ingress.or(ingress) }
    }

    /// Whether it has a limit of everything that `other` has one of.
    #[must_use]
    pub const fn has_all_of(&self, other: &Self) -> bool {
        let Self { pids, egress, ingress } = other;
        (self.pids.is_some() || pids.is_none())
            && (self.egress.is_some() || egress.is_none())
            && (self.ingress.is_some() || ingress.is_none())
    }
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pids, Self::Egress, Self::Ingress];

    /// Its name in the configuration, in labels and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pids => "pids",
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }
}

impl OnPidsLimit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Deny, Self::Freeze, Self::Kill, Self::KillNewest];

    /// Its name in the configuration and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Freeze => "freeze",
            Self::Kill => "kill",
            Self::KillNewest => "kill-newest",
        }
    }
}
