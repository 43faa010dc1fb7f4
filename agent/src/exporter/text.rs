//! Writes the ledger as Prometheus text 0.0.4, chunk by chunk: 10,000 accounts never stand in memory at once.

use std::{
    fmt::{Arguments, Write},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use super::{
    families::{Family, Read, Tell, Value, family},
    labels::{Owner, push_account},
};
use crate::ledger::snapshot::{Account, Node, Snapshot, Totals};

/// Bytes after which a chunk is handed out.
const CHUNK: usize = 64 << 10;
/// Room kept for the samples of the last account of a chunk, which may go past it.
const SLACK: usize = 16 << 10;

/// The page of one snapshot, as an iterator of chunks of about 64 kB.
#[derive(Debug)]
pub struct Page {
    snapshot: Arc<Snapshot>,
    labels: Arc<Labels>,
    /// Place of the family where the next chunk begins.
    family: usize,
    /// Rows of that family that are written.
    row: usize,
    /// Whether the family has its `# HELP` and `# TYPE`.
    headed: bool,
}

impl Page {
    /// A page that begins at its first byte.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let labels = Arc::new(Labels::of(&snapshot));
        Self { snapshot, labels, family: 0, row: 0, headed: false }
    }

    /// Writes rows of a family until the chunk is full. True when none is left.
    fn write(&mut self, family: &Family, out: &mut String) -> bool {
        let (snapshot, labels) = (Arc::clone(&self.snapshot), Arc::clone(&self.labels));
        for (owner, subject) in rows(&snapshot, &labels, family.read, self.row) {
            self.row += 1;
            subject.tell(family.read, &mut |more, value| {
                if !self.headed {
                    head(out, family);
                    self.headed = true;
                }
                line(out, family.name, owner, more, value);
            });
            if out.len() >= CHUNK {
                return false;
            }
        }
        true
    }
}

impl Iterator for Page {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = String::new();
        while out.len() < CHUNK {
            let Some(family) = family(self.family) else { break };
            out.reserve(CHUNK + SLACK - out.len());
            if self.write(family, &mut out) {
                (self.family, self.row, self.headed) = (self.family + 1, 0, false);
            }
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }
}

/// The labels of all accounts of a page, in their order.
#[derive(Debug)]
struct Labels {
    text: String,
    /// Of each: where those end that the container itself has, and where all do.
    ends: Vec<(usize, usize)>,
}

impl Labels {
    fn of(snapshot: &Snapshot) -> Self {
        let mut labels = Self { text: String::new(), ends: Vec::with_capacity(snapshot.accounts.len()) };
        for account in &snapshot.accounts {
            let container = push_account(&account.identity, &mut labels.text);
            labels.ends.push((container, labels.text.len()));
        }
        labels
    }

    /// Those of each account from one on: the container's own, and all.
    fn from(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        let first = row.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |(_, end)| *end);
        self.ends.iter().skip(row).scan(first, |begin, (container, end)| {
            let texts = self.text.get(*begin..*container).zip(self.text.get(*begin..*end));
            *begin = *end;
            texts
        })
    }
}

/// Whom a family tells of.
#[derive(Debug, Clone, Copy)]
enum Subject<'a> {
    Account(&'a Account),
    Workload(&'a Totals),
    Node(&'a Node),
}

impl Subject<'_> {
    fn tell(self, read: Read, tell: Tell<'_>) {
        match (self, read) {
            (Self::Account(account), Read::Account(read) | Read::Info(read)) => read(account, tell),
            (Self::Workload(totals), Read::Workload(read)) => read(totals, tell),
            (Self::Node(node), Read::Node(read)) => read(node, tell),
            _ => {}
        }
    }
}

type Rows<'a> = Box<dyn Iterator<Item = (Owner<'a>, Subject<'a>)> + 'a>;

/// Those that a family tells of, from one on.
fn rows<'a>(snapshot: &'a Snapshot, labels: &'a Labels, read: Read, from: usize) -> Rows<'a> {
    let accounts = snapshot.accounts.iter().skip(from).zip(labels.from(from));
    match read {
        Read::Account(_) => {
            Box::new(accounts.map(|(account, (_, all))| (Owner::Account(all), Subject::Account(account))))
        }
        Read::Info(_) => {
            let owner = |(account, (container, _))| Owner::Info(account, container);
            Box::new(accounts.map(move |labelled| (owner(labelled), Subject::Account(labelled.0))))
        }
        Read::Workload(_) => {
            let workloads = snapshot.workloads.iter().skip(from);
            Box::new(
                workloads.map(|(workload, totals)| (Owner::Workload(workload), Subject::Workload(totals))),
            )
        }
        Read::Node(_) => Box::new(std::iter::once((Owner::Node, Subject::Node(&snapshot.node))).skip(from)),
    }
}

fn head(out: &mut String, family: &Family) {
    let Family { name, help, kind, .. } = family;
    push(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

/// Appends one sample.
fn line(out: &mut String, name: &str, owner: Owner<'_>, more: &[(&str, &str)], value: Value) {
    out.push_str(name);
    owner.push_labels(more, out);
    match value {
        Value::Count(count) => {
            out.push(' ');
            out.push_str(itoa::Buffer::new().format(count));
            out.push('\n');
        }
        Value::Time(time) => push(out, format_args!(" {}\n", seconds(time))),
        Value::Millis(millis) => {
            push(out, format_args!(" {}\n", Duration::from_millis(millis).as_secs_f64()));
        }
    }
}

/// A moment as seconds since 1970, to the millisecond.
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::new(since.as_secs(), since.subsec_millis() * 1_000_000).as_secs_f64()
}

fn push(out: &mut String, text: Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests;
