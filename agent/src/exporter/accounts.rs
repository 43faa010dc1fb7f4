//! The accounts as JSON, for `plimsoll ps` and whoever prefers it to metrics. One type for both sides.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::bounded,
    ledger::snapshot::{Account, Identity, Snapshot, Totals},
};

/// Bytes after which a chunk is handed out.
const CHUNK: usize = 64 << 10;

/// What `/api/v1/containers` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accounts<'a> {
    /// All accounts, live and dead but still shown, in the order of their `id`.
    #[serde(borrow)]
    pub containers: Vec<Row<'a>>,
}

/// One account. Strings from outside have at most 256 bytes; they may hold control characters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row<'a> {
    /// The cgroup's path from the hierarchy's root.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// `container`, `unresolved`, `cgroup` or `other`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// The container's name; empty where it is none.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The image it was started from; empty where there is none.
    #[serde(borrow)]
    pub image: Cow<'a, str>,
    /// `docker` ...; empty where there is none.
    #[serde(borrow)]
    pub runtime: Cow<'a, str>,
    /// The runtime's own id of the container; empty where there is none.
    #[serde(borrow)]
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
    /// Bytes received, over all its interfaces.
    pub received_bytes: u64,
    /// Bytes transmitted, over all its interfaces.
    pub transmitted_bytes: u64,
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
        let Account { identity, gauges, totals, .. } = account;
        let Identity { id, kind, name, image, container_id, runtime, started, .. } = identity.as_ref();
        let &Totals {
            forks,
            thread_creations,
            execs,
            exits_ok,
            exits_error,
            exits_signal,
            oom_kills,
            network,
        } = totals;
        let [received, transmitted] = network;
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
            received_bytes: received.bytes,
            transmitted_bytes: transmitted.bytes,
            started: started.map(unix_seconds),
            alive: gauges.is_some(),
        }
    }
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
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
            out.extend_from_slice(b"{\"containers\":[");
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

    fn read(snapshot: Arc<Snapshot>) -> Vec<Row<'static>> {
        let bytes: Vec<u8> = Page::new(snapshot).flatten().collect();
        let accounts: Accounts<'_> = serde_json::from_slice(bytes.leak()).expect("JSON");
        accounts.containers
    }

    #[test]
    fn every_account_is_read_back_as_it_was() {
        for snapshot in [snapshot(Vec::new()), many(2_000)] {
            let rows = read(Arc::clone(&snapshot));
            let expected: Vec<Row<'_>> = snapshot.accounts.iter().map(Row::from).collect();
            assert_eq!(rows, expected);
        }
    }

    #[test]
    fn hostile_strings_come_through() {
        let accounts = HOSTILE.iter().map(|text| account(&format!("/{text}"), text)).collect();
        let rows = read(snapshot(accounts));
        assert!(rows.iter().zip(HOSTILE).all(|(row, text)| row.name == text), "{rows:?}");
    }

    #[test]
    fn a_dead_account_has_no_gauges() {
        let mut dead = account("/dead", "x");
        dead.gauges = None;
        let rows = read(snapshot(vec![dead]));
        assert_eq!((rows[0].alive, rows[0].processes, rows[0].forks), (false, None, 10));
        assert_eq!(rows[0].started, Some(1_795_380_001.25));
    }
}
