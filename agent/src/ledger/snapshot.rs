//! The published ledger: what every reader (exporter, terminal) gets. Data only.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use plimsoll_common::{
    port::Flows,
    row::Row,
    traffic::{Count, Traffic},
};

use super::limits::{Limits, Line};
pub use super::tcp::Tcp;
pub use crate::inventory::{Identity, Kind, Workload, WorkloadKind};

/// Everything the agent knows at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the maps were read.
    pub taken: SystemTime,
    /// Accounts, live and dead but still shown, in the order of their `id`; an `id` occurs once.
    pub accounts: Vec<Account>,
    /// Totals that never disappear, by workload.
    pub workloads: BTreeMap<Workload, Totals>,
    /// The whole host: every cgroup, known or not, living or folded.
    pub node: Node,
    /// What was lost, filled up or left out.
    pub health: Health,
    /// All limits.
    pub limits: Arc<Limits>,
}

/// What one container (or one other cgroup) has and did.
#[derive(Debug, Clone)]
pub struct Account {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// What it has now; `None` once its cgroup is gone.
    pub gauges: Option<Gauges>,
    /// What it did since it was first seen.
    pub totals: Totals,
    /// When it was last seen alive.
    pub last_seen: SystemTime,
    /// What it received and transmitted.
    pub network: Network,
    /// Its limits.
    pub limits: Vec<Line>,
}

/// What an account received and transmitted, from one source at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Who counts it now.
    pub source: NetworkSource,
    /// By interface, named as the container does.
    pub interfaces: Vec<Interface>,
    /// What its own sockets received and transmitted, where others share its interfaces.
    pub own: Option<[Traffic; 2]>,
}

/// One interface of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the container; `host` for the host's network.
    pub name: String,
    /// Received and transmitted.
    pub flows: Flows,
    /// Whether errors and drops are known.
    pub drops: bool,
    /// Whether only sockets tell of it.
    pub by_sockets: bool,
    /// Whether the headers of each segment are known: where no program counts, they are not.
    pub wire: bool,
}

/// Who counts the bytes of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkSource {
    /// Nobody: it has no interface, or it is not known which.
    #[default]
    None,
    /// Programs at the host's end of its veth pair.
    Programs,
    /// The interface itself: this kernel cannot do better.
    Interface,
    /// Programs at its sockets: it has no veth pair of its own.
    Sockets,
}

impl NetworkSource {
    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Programs => "tcx",
            Self::Interface => "interface",
            Self::Sockets => "cgroup_skb",
        }
    }
}

/// What an account has at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Thread groups with at least one live thread, as `cgroup.procs` counts.
    pub processes: u64,
    /// Live threads, without zombies, as `cgroup.threads` counts.
    pub threads: u64,
    /// `pids.max`; 0 is "max" (no limit), `None` where no file could be read.
    pub threads_max: Option<u64>,
    /// Tasks that the kernel programs could not track: gauges come from cgroup files meanwhile.
    pub degraded: bool,
}

/// What happened since counting began. Never goes backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Processes born.
    pub forks: u64,
    /// Threads born, beside the first of a process.
    pub thread_creations: u64,
    /// Programs executed.
    pub execs: u64,
    /// Processes that ended with status 0.
    pub exits_ok: u64,
    /// Processes that ended with another status.
    pub exits_error: u64,
    /// Processes that a signal ended.
    pub exits_signal: u64,
    /// Processes chosen by the OOM killer.
    pub oom_kills: u64,
    /// Received and transmitted, by whatever counts it.
    pub network: [Count; 2],
    /// What TCP did.
    pub tcp: Tcp,
}

impl Totals {
    /// The sum of two.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let Self {
            forks,
            thread_creations,
            execs,
            exits_ok,
            exits_error,
            exits_signal,
            oom_kills,
            network,
            tcp,
        } = other;
        let [received, transmitted] = self.network;
        Self {
            forks: self.forks + forks,
            thread_creations: self.thread_creations + thread_creations,
            execs: self.execs + execs,
            exits_ok: self.exits_ok + exits_ok,
            exits_error: self.exits_error + exits_error,
            exits_signal: self.exits_signal + exits_signal,
            oom_kills: self.oom_kills + oom_kills,
            network: [received.plus(network[0]), transmitted.plus(network[1])],
            tcp: self.tcp.plus(*tcp),
        }
    }
}

impl From<Row> for Totals {
    /// What a row says of tasks.
    fn from(row: Row) -> Self {
        let Row { forks, thread_creations, execs, exits_ok, exits_error, exits_signal, oom_kills, .. } = row;
        let rest = Self::default();
        Self { forks, thread_creations, execs, exits_ok, exits_error, exits_signal, oom_kills, ..rest }
    }
}

/// The whole host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Node {
    /// Live processes of all cgroups.
    pub processes: u64,
    /// Live threads of all cgroups.
    pub threads: u64,
    /// What all cgroups did, living and gone.
    pub totals: Totals,
    /// Received and transmitted, by whose it is; the shares add up to all that was seen.
    pub network: Shares,
}

/// All bytes and packets of the host that were seen, by whose they are: received, transmitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shares {
    /// Containers'.
    pub containers: [Count; 2],
    /// Other cgroups'.
    pub cgroups: [Count; 2],
    /// Of processes at the root of cgroup2, and what the kernel sends by itself.
    pub root: [Count; 2],
    /// Nobody's: pairs that belong to no account.
    pub unattributed: [Count; 2],
}

/// What was lost, filled up or left out. Counters since the pins were made, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Ring-buffer events that found no room.
    pub events_lost: u64,
    /// Tallies of the kernel programs by their name: `proc_full`, `rows_full`, `exit_unknown` ...
    pub tallies: Vec<(&'static str, u64)>,
    /// Live cgroups that look like a container's and have no name.
    pub unresolved: u64,
    /// Accounts folded into their workloads since this agent started.
    pub folded_accounts: u64,
    /// Entries that an audit corrected since this agent started.
    pub audit_corrections: u64,
    /// When the last audit ended.
    pub last_audit: Option<SystemTime>,
    /// Whether veth pairs are seen to come and go.
    pub network_watched: bool,
    /// Maps by name: (entries, room).
    pub maps: Vec<(&'static str, u64, u64)>,
    /// Programs: what the plan said of each.
    pub programs: Vec<Program>,
}

/// One kernel program, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// The hook it is for: `tp_btf/task_newtask`.
    pub hook: String,
    /// `None`: attached. Else why it was left out.
    pub left_out: Option<String>,
    /// Times run and ns spent, where `kernel.bpf_stats_enabled` is on.
    pub cost: Option<(u64, u64)>,
    /// Runs that the kernel left out, as the program would have run within itself.
    pub misses: Option<u64>,
}
