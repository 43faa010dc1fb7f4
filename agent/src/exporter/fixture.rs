//! Snapshots for tests.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use plimsoll_common::{
    port::Flow,
    traffic::{Class, Count, Traffic},
};

use crate::ledger::limits::{Counts, Line, What};
use crate::ledger::snapshot::{
    Account, Gauges, Health, Identity, Interface, Kind, Network, NetworkSource, Node, Program, Shares,
    Snapshot, Tcp, Totals, Workload, WorkloadKind,
};

/// Strings as somebody who wants to break the page would choose them.
pub const HOSTILE: [&str; 10] = [
    "",
    "quote\"} 1\ncontainer_processes 9",
    "back\\slash\\",
    "\\",
    "\"",
    "\n\n",
    "nul\0bell\u{7}cr\r tab\t",
    "\\xff\\xfe",
    "…é😀\u{202e}\u{2028}",
    "# HELP x y\n# TYPE x counter\nx 1",
];

pub fn moment(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_795_380_000_000 + millis)
}

pub fn totals(seed: u64) -> Totals {
    Totals {
        forks: seed,
        thread_creations: seed + 1,
        execs: seed + 2,
        exits_ok: seed + 3,
        exits_error: seed + 4,
        exits_signal: seed + 5,
        oom_kills: seed + 6,
        network: [count(seed + 7), count(seed + 9)],
        tcp: Tcp {
            opened: Some(seed + 11),
            accepted: Some(seed + 12),
            retransmitted: Some(seed + 13),
            resets_sent: Some(seed + 14),
            resets_received: None,
        },
    }
}

fn count(seed: u64) -> Count {
    Count { bytes: seed, packets: seed + 1 }
}

/// An interface of this name: TCP and others, a large packet, bytes from before the programs, errors and drops.
pub fn interface(name: &str, drops: bool) -> Interface {
    let flow = |seed: u64| {
        let mut flow = Flow { uncounted: count(seed), errors: seed + 2, dropped: seed + 3, ..Flow::ZERO };
        flow.traffic.classes[Class::Tcp4 as usize] = count(seed * 1_000);
        flow.traffic.classes[Class::Other as usize] = count(seed);
        flow.traffic.headers = seed * 7;
        flow
    };
    Interface { name: name.to_owned(), flows: [flow(10), flow(20)], drops, by_sockets: false, wire: true }
}

/// An account whose strings all hold `text`.
pub fn account(id: &str, text: &str) -> Account {
    let owned = || text.to_owned();
    let identity = Identity {
        id: id.to_owned(),
        kind: Kind::Container,
        name: owned(),
        image: owned(),
        container_id: owned(),
        runtime: "docker".to_owned(),
        project: owned(),
        service: owned(),
        labels: BTreeMap::from([(format!("com.example.{text}"), owned())]),
        every_label: BTreeMap::new(),
        created: Some(moment(0)),
        started: Some(moment(1_250)),
    };
    let gauges = Gauges { processes: 3, threads: 7, threads_max: Some(100), degraded: true };
    Account {
        identity: Arc::new(identity),
        gauges: Some(gauges),
        totals: totals(10),
        last_seen: moment(2_500),
        network: Network {
            source: NetworkSource::Programs,
            interfaces: vec![
                interface("eth0", true),
                interface(&text.chars().take(15).collect::<String>(), false),
            ],
            own: Some([Traffic::ZERO; 2]),
        },
        limits: Vec::new(),
    }
}

/// A limit of each kind: one that is held, one that is not as good as elsewhere, one that is counted only.
pub fn limits(identity: &Arc<Identity>) -> Vec<Line> {
    let line = |what, mode, method, degraded: Option<&str>| Line {
        account: 1,
        identity: Arc::clone(identity),
        what,
        value: 10_000_000,
        used: Some(7),
        mode,
        origin: "policy web".to_owned(),
        until: None,
        method,
        degraded: degraded.map(ToOwned::to_owned),
        counts: Counts { delayed: 3, hits: 4, at_line_ms: 5_250, violations: 6, ..Counts::default() },
    };
    vec![
        line(What::Tasks, "enforce", "pids.max", None),
        line(What::Ingress, "enforce", "tbf", Some("a \"reason\"\n, in words")),
        line(What::Egress, "dry-run", "", None),
    ]
}

/// A snapshot of these accounts, each a workload too.
pub fn snapshot(accounts: Vec<Account>) -> Arc<Snapshot> {
    let workload =
        |account: &Account| Workload { kind: WorkloadKind::Image, name: account.identity.id.clone() };
    let workloads = accounts.iter().map(|account| (workload(account), account.totals)).collect();
    let network = Shares { containers: [count(50), count(60)], ..Shares::default() };
    let node = Node { processes: 41, threads: 42, totals: totals(1_000), network };
    Arc::new(Snapshot {
        taken: moment(3_000),
        accounts,
        workloads,
        node,
        health: health(),
        limits: Arc::default(),
    })
}

/// A snapshot of so many accounts as real ones look, a tenth of them dead.
pub fn many(count: usize) -> Arc<Snapshot> {
    let mut accounts: Vec<Account> = (0..count)
        .map(|place| {
            let mut account = account(&format!("/docker/{place:064x}"), "registry.example/shop/api:1.2.3");
            if place % 10 == 0 {
                account.gauges = None;
            }
            account
        })
        .collect();
    accounts.sort_by(|one, other| one.identity.id.cmp(&other.identity.id));
    snapshot(accounts)
}

pub fn health() -> Health {
    let hook = "tp_btf/task_newtask".to_owned();
    let attached = Program {
        name: "task_newtask",
        hook,
        left_out: None,
        cost: Some((7, 2_500_000_000)),
        misses: Some(8),
    };
    let reason = Some("no \"freezer\"\nhere".to_owned());
    let left_out = Program {
        name: "cgroup_freeze",
        hook: "tp_btf/x".to_owned(),
        left_out: reason,
        cost: None,
        misses: None,
    };
    Health {
        events_lost: 1,
        tallies: vec![("proc_full", 2), ("rows_full", 3)],
        unresolved: 4,
        folded_accounts: 5,
        audit_corrections: 6,
        last_audit: Some(moment(0)),
        network_watched: true,
        maps: vec![("PROC", 10, 20), ("ROWS", 30, 40)],
        programs: vec![attached, left_out],
    }
}
