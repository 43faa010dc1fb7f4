//! The accounts as JSON, for `plimsoll ps` and whoever prefers it to metrics. One type for both sides.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::bounded,
    ledger::{
        moment::seconds,
        snapshot::{Account, Identity, Snapshot, Totals},
    },
};

/// Bytes after which a chunk is handed out.
const CHUNK: usize = 64 << 10;

/// What `/api/v1/containers` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accounts<'a> {
    /// The moment that all of it is of, in seconds since 1970.
    pub at: f64,
    /// All accounts, live and dead but still shown, in the order of their `id`.
    pub containers: Vec<Row<'a>>,
}

/// One account. Strings from outside have at most 256 bytes; they may hold control characters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row<'a> {
    /// The cgroup's path from the hierarchy's root.
    pub id: Cow<'a, str>,
    /// `container`, `unresolved`, `cgroup` or `other`.
    pub kind: Cow<'a, str>,
    /// The container's name; empty where it is none.
    pub name: Cow<'a, str>,
    /// The image it was started from; empty where there is none.
    pub image: Cow<'a, str>,
    /// `docker` ...; empty where there is none.
    pub runtime: Cow<'a, str>,
    /// The runtime's own id of the container; empty where there is none.
    pub container_id: Cow<'a, str>,
    /// Live processes; `null` once the cgroup is gone.
    pub processes: Option<u64>,
    /// Live threads; `null` once the cgroup is gone.
    pub threads: Option<u64>,
    /// Processes born.
    pub forks: u64,
    /// Threads born, beside the first of each process.
    pub thread_creations: u64,
    /// Programs executed.
    pub execs: u64,
    /// Processes that ended.
    pub exits: Exits,
    /// Processes that the OOM killer chose.
    pub oom_kills: u64,
    /// Who counts its bytes now: `tcx`, `interface` or `cgroup_skb`; empty where nobody does.
    pub network_source: Cow<'a, str>,
    /// Bytes received, over all its interfaces; `null` where it had none that anybody knows of.
    pub received_bytes: Option<u64>,
    /// Bytes transmitted, over all its interfaces; `null` where it had none that anybody knows of.
    pub transmitted_bytes: Option<u64>,
    /// Bytes that its own sockets received, where containers share interfaces; `null` elsewhere.
    pub own_received_bytes: Option<u64>,
    /// Bytes that its own sockets transmitted, where containers share interfaces; `null` elsewhere.
    pub own_transmitted_bytes: Option<u64>,
    /// When it was last started, in seconds since 1970; `null` where nobody knows.
    pub started: Option<f64>,
    /// Whether its cgroup is there.
    pub alive: bool,
}

/// Processes that ended, by how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exits {
    /// With status 0.
    pub ok: u64,
    /// With another status.
    pub error: u64,
    /// By a signal.
    pub signal: u64,
}

impl<'a> From<&'a Account> for Row<'a> {
    fn from(account: &'a Account) -> Self {
        let Account { identity, gauges, totals, network, last_seen: _, limits: _ } = account;
        let Identity { id, kind, name, image, container_id, runtime, started, .. } = identity.as_ref();
        let &Totals {
            forks,
            thread_creations,
            execs,
            exits_ok,
            exits_error,
            exits_signal,
            oom_kills,
            network: passed,
            tcp: _,
        } = totals;
        // Absent is not 0.
        let [received, transmitted] =
            passed.map(|count| (!network.interfaces.is_empty()).then_some(count.bytes));
        let [own_received, own_transmitted] = match &network.own {
            Some(own) => own.each_ref().map(|traffic| Some(traffic.total().bytes)),
            None => [None; 2],
        };
        Self {
            id: bounded(id),
            kind: kind.as_str().into(),
            name: bounded(name),
            image: bounded(image),
            runtime: bounded(runtime),
            container_id: bounded(container_id),
            processes: gauges.map(|gauges| gauges.processes),
            threads: gauges.map(|gauges| gauges.threads),
            forks,
            thread_creations,
            execs,
            exits: Exits { ok: exits_ok, error: exits_error, signal: exits_signal },
            oom_kills,
            network_source: gauges.map_or("", |_| network.source.as_str()).into(),
            received_bytes: received,
            transmitted_bytes: transmitted,
            own_received_bytes: own_received,
            own_transmitted_bytes: own_transmitted,
            started: started.map(seconds),
            alive: gauges.is_some(),
        }
    }
}

/// [`Accounts`] of one snapshot, as an iterator of chunks of JSON of about 64 kB.
#[derive(Debug)]
pub struct Page {
    snapshot: Arc<Snapshot>,
    /// Accounts that are written; `None` when the end is.
    row: Option<usize>,
}

impl Page {
    /// A page that begins at its first byte.
    #[must_use]
    pub const fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, row: Some(0) }
    }
}

impl Iterator for Page {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let first = self.row?;
        let mut out = Vec::new();
        if first == 0 {
            out.extend_from_slice(b"{\"at\":");
            let _ = serde_json::to_writer(&mut out, &seconds(self.snapshot.taken)); // as below
            out.extend_from_slice(b",\"containers\":[");
        }
        for (place, account) in self.snapshot.accounts.iter().enumerate().skip(first) {
            out.extend_from_slice(if place == 0 { b"\n" } else { b",\n" });
            // Writing to a `Vec` cannot fail, and neither can a type that has strings and numbers alone.
            let _ = serde_json::to_writer(&mut out, &Row::from(account));
            if out.len() >= CHUNK {
                self.row = Some(place + 1);
                return Some(Bytes::from(out));
            }
        }
        self.row = None;
        out.extend_from_slice(b"\n]}\n");
        Some(Bytes::from(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporter::fixture::{HOSTILE, account, many, snapshot};

    const REFERENCE: &str = include_str!("../../../docs/api.md");

    fn read(snapshot: Arc<Snapshot>) -> Accounts<'static> {
        let bytes: Vec<u8> = Page::new(snapshot).flatten().collect();
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn every_account_is_read_back_as_it_was() {
        for snapshot in [snapshot(Vec::new()), many(2_000)] {
            let accounts = read(Arc::clone(&snapshot));
            let expected: Vec<Row<'_>> = snapshot.accounts.iter().map(Row::from).collect();
            assert_eq!(accounts, Accounts { at: 1_795_380_003.0, containers: expected });
        }
    }

    #[test]
    fn hostile_strings_come_through() {
        let accounts = HOSTILE.iter().map(|text| account(&format!("/{text}"), text)).collect();
        let rows = read(snapshot(accounts)).containers;
        assert!(rows.iter().zip(HOSTILE).all(|(row, text)| row.name == text), "{rows:?}");
    }

    #[test]
    fn a_dead_account_has_no_gauges() {
        let mut dead = account("/dead", "x");
        dead.gauges = None;
        let rows = read(snapshot(vec![dead])).containers;
        assert_eq!((rows[0].alive, rows[0].processes, rows[0].forks), (false, None, 10));
        assert_eq!(rows[0].started, Some(1_795_380_001.25));
    }

    #[test]
    fn no_interface_is_not_zero_bytes() {
        let (mut without, mut shares) = (account("/a", "x"), account("/b", "x"));
        (without.network, without.totals.network) = Default::default();
        (shares.network.source, shares.network.interfaces) = Default::default();
        let rows = read(snapshot(vec![without, shares, account("/c", "x")])).containers;
        let told = |row: &Row<'_>| (row.received_bytes, row.own_transmitted_bytes);
        assert_eq!(
            rows.iter().map(told).collect::<Vec<_>>(),
            [(None, None), (None, Some(0)), (Some(17), Some(0))]
        );
        assert_eq!([&*rows[0].network_source, &*rows[2].network_source], ["", "tcx"]);
    }

    #[test]
    fn every_field_is_documented() {
        let value = serde_json::to_value(read(many(1))).expect("a value");
        let row = value["containers"][0].as_object().expect("an object");
        for field in value.as_object().expect("an object").keys().chain(row.keys()) {
            assert!(REFERENCE.contains(&format!("\n| `{field}` | ")), "{field} is not in docs/api.md");
        }
        assert!(row.len() > 15, "{row:?}");
    }
}
