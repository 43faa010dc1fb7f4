//! From rows and sums to the published snapshot. Reads cgroup files only where the snapshot needs one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::SystemTime,
};

use plimsoll_common::row::Row;

use super::{
    book::Book,
    record::{Entry, Member},
    snapshot::{Account, Gauges, Health, Kind, Node, Snapshot, Totals},
};
use crate::cgroup::{self, Hierarchies, Hierarchy, Limits};

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
    let mut workloads: BTreeMap<_, Row> = BTreeMap::new();
    for (workload, key) in book.workloads() {
        workloads.insert(workload.clone(), reading.folded.get(key).copied().unwrap_or_default());
    }
    let mut accounts = Vec::new();
    for (key, entry) in book.accounts() {
        let members = members.get(&key).map_or(&[][..], Vec::as_slice);
        let row = total(reading, key, members);
        if let Some(sum) = entry.workload.as_ref().and_then(|workload| workloads.get_mut(workload)) {
            *sum = sum.plus(row);
        }
        accounts.push(account((key, entry), members, row, reading, files));
    }
    files.limits.keep(|key| members.contains_key(&key));
    accounts.sort_unstable_by(|one, other| one.identity.id.cmp(&other.identity.id));
    accounts.dedup_by(|one, other| one.identity.id == other.identity.id);
    let workloads = workloads.into_iter().map(|(workload, row)| (workload, Totals::from(row))).collect();
    Snapshot { taken: reading.taken, accounts, workloads, node: node(reading), health }
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
    let mut threads_max = || match entry.identity.kind {
        Kind::Other => None,
        _ => files.limits.pids_max(files.hierarchies.pids_mount()?, key, &entry.path),
    };
    Account {
        identity: entry.identity.clone(),
        gauges: (!live.is_empty()).then(|| Gauges {
            processes,
            threads,
            threads_max: threads_max(),
            degraded,
        }),
        totals: row.into(),
        last_seen: entry.died.unwrap_or(reading.taken),
    }
}

fn node(reading: &Reading) -> Node {
    let sum = reading.rows.values().chain(reading.folded.values()).fold(Row::ZERO, |sum, row| sum.plus(*row));
    Node {
        processes: sum.processes.try_into().unwrap_or_default(),
        threads: sum.threads.try_into().unwrap_or_default(),
        totals: sum.into(),
    }
}
