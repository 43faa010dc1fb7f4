//! From rows and sums to the published snapshot. Reads cgroup files only where the snapshot needs one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use plimsoll_common::{port::port_key, row::Row};

use super::{
    book::Book,
    limits,
    meter::{CGROUPS, CONTAINERS, HOST, NOBODY},
    record::{Entry, Member},
    snapshot::{Account, Gauges, Health, Network, Node, Shares, Snapshot, Tcp, Totals},
    traffic::{self, Counted},
};
use crate::cgroup::{self, Hierarchies, Hierarchy, Limits};

/// The key of the root of cgroup2.
const ROOT: u32 = 1;

/// What was read from the kernel at one moment.
#[derive(Debug)]
pub struct Reading {
    /// When.
    pub taken: SystemTime,
    /// Rows by cgroup.
    pub rows: HashMap<u32, Row>,
    /// Sums of dead rows by account or workload.
    pub folded: HashMap<u64, Row>,
    /// Cgroups with processes that no map tracks: their gauges come from files.
    pub degraded: HashSet<u32>,
    /// Bytes.
    pub counted: Counted,
    /// What passed the interfaces of each account.
    pub networks: HashMap<u64, Network>,
    /// Nothing, of what is counted of TCP.
    pub tcp: Tcp,
    /// All limits.
    pub limits: Arc<limits::Limits>,
}

impl Reading {
    /// The limits of an account; they stand together, as they are made account by account.
    fn limits_of(&self, account: u64) -> Vec<limits::Line> {
        let Some(first) = self.limits.first.get(&account) else { return Vec::new() };
        let its = self.limits.lines.iter().skip(*first);
        its.take_while(|line| line.account == account).cloned().collect()
    }

    /// What a row says, bytes aside.
    fn totals(&self, row: Row) -> Totals {
        Totals { tcp: self.tcp.with(&row), ..row.into() }
    }
}

/// Where cgroup files are.
#[derive(Debug)]
pub struct Files {
    /// All hierarchies.
    pub hierarchies: Hierarchies,
    /// The one that is counted.
    pub counted: Hierarchy,
    /// Those of `pids.max` that are open.
    pub limits: Limits,
}

/// The snapshot.
#[must_use]
pub fn compose(book: &Book, reading: &Reading, files: &mut Files, health: Health) -> Snapshot {
    let mut members: HashMap<u64, Vec<(u32, &Member)>> = HashMap::new();
    for (cgroup, member) in book.members() {
        if let Some(account) = member.account {
            members.entry(account).or_default().push((cgroup, member));
        }
    }
    let mut workloads: BTreeMap<_, Totals> = BTreeMap::new();
    for (workload, key) in book.workloads() {
        let dead = reading.totals(reading.folded.get(key).copied().unwrap_or_default());
        let network = reading.counted.ports.get(&port_key(*key, b""));
        let network = network.map_or_else(Default::default, |port| traffic::totals(&port.flows));
        workloads.insert(workload.clone(), Totals { network, ..dead });
    }
    files.limits.refresh();
    let mut accounts = Vec::new();
    for (key, entry) in book.accounts() {
        let members = members.get(&key).map_or(&[][..], Vec::as_slice);
        let row = total(reading, key, members);
        let account = account((key, entry), members, row, reading, files);
        if let Some(sum) = entry.workload.as_ref().and_then(|workload| workloads.get_mut(workload)) {
            *sum = sum.plus(&account.totals);
        }
        accounts.push(account);
    }
    files.limits.keep(|key| members.contains_key(&key));
    accounts.sort_unstable_by(|one, other| one.identity.id.cmp(&other.identity.id));
    accounts.dedup_by(|one, other| one.identity.id == other.identity.id);
    let node = node(reading, &accounts);
    Snapshot { taken: reading.taken, accounts, workloads, node, health, limits: reading.limits.clone() }
}

/// Living and dead rows of one account.
fn total(reading: &Reading, key: u64, members: &[(u32, &Member)]) -> Row {
    let dead = reading.folded.get(&key).copied().unwrap_or_default();
    let rows = members.iter().filter_map(|(cgroup, _)| reading.rows.get(cgroup));
    rows.fold(dead, |sum, row| sum.plus(*row))
}

fn account(
    (key, entry): (u64, &Entry),
    members: &[(u32, &Member)],
    row: Row,
    reading: &Reading,
    files: &mut Files,
) -> Account {
    let live: Vec<_> = members.iter().filter(|(_, member)| !member.removed).collect();
    let degraded = row.processes < 0
        || row.threads < 0
        || live.iter().any(|(cgroup, _)| reading.degraded.contains(cgroup));
    let (processes, threads) = if degraded {
        let count = |read: fn(&Hierarchy, &[u8]) -> std::io::Result<u64>| {
            // A threaded sub-cgroup refuses, and its processes are counted in the domain above; a gone one has none.
            live.iter().map(|(_, member)| read(&files.counted, &member.path).unwrap_or_default()).sum()
        };
        (count(cgroup::processes), count(cgroup::threads))
    } else {
        (row.processes.try_into().unwrap_or_default(), row.threads.try_into().unwrap_or_default())
    };
    let mut threads_max = || {
        let (cgroup, _) = live.iter().find(|(_, member)| member.path == entry.path)?;
        files.limits.pids_max(files.hierarchies.pids_mount()?, key, *cgroup, &entry.path)
    };
    let network = reading.networks.get(&key).cloned().unwrap_or_default();
    let passed = network.interfaces.iter().map(|interface| traffic::totals(&interface.flows));
    let passed = passed.fold(Default::default(), traffic::sum);
    Account {
        identity: entry.identity.clone(),
        gauges: (!live.is_empty()).then(|| Gauges {
            processes,
            threads,
            threads_max: threads_max(),
            degraded,
        }),
        totals: Totals { network: passed, ..reading.totals(row) },
        last_seen: entry.died.unwrap_or(reading.taken),
        network,
        limits: reading.limits_of(key),
    }
}

fn node(reading: &Reading, accounts: &[Account]) -> Node {
    let sum = reading.rows.values().chain(reading.folded.values()).fold(Row::ZERO, |sum, row| sum.plus(*row));
    let port = |name: &str| {
        let port = reading.counted.ports.get(&port_key(HOST, name.as_bytes()));
        port.map_or_else(Default::default, |port| traffic::totals(&port.flows))
    };
    let live = |is_container: bool| {
        let of_kind = |account: &&Account| account.identity.kind.is_container() == is_container;
        let passed = accounts.iter().filter(of_kind).map(|account| account.totals.network);
        passed.fold(Default::default(), traffic::sum)
    };
    let nobody = reading.networks.get(&HOST).into_iter().flat_map(|network| &network.interfaces);
    let nobody = nobody.map(|interface| traffic::totals(&interface.flows));
    let root = reading.counted.sockets.get(&ROOT).copied().unwrap_or_default();
    let root = [root[0].total(), root[1].total()];
    Node {
        processes: sum.processes.try_into().unwrap_or_default(),
        threads: sum.threads.try_into().unwrap_or_default(),
        totals: reading.totals(sum),
        network: Shares {
            containers: traffic::sum(live(true), port(CONTAINERS)),
            cgroups: traffic::sum(live(false), port(CGROUPS)),
            root,
            unattributed: nobody.fold(port(NOBODY), traffic::sum),
        },
    }
}
