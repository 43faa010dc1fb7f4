//! Keeps the book equal to the pinned maps: reads them, writes names, folds rows, audits. No async.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

use plimsoll_common::{command::Answer, names, row::Row, tally::Tally};

use super::{
    audit::{Audit, Correction, Findings},
    book::Book,
    compose::{Files, Reading, compose},
    limits::Limits,
    meter::{CGROUPS, CONTAINERS, Meter},
    proc_list,
    record::Action,
    snapshot::{Health, Program, Snapshot, Tcp, Workload},
    traffic::{Counted, by_account},
};
use crate::{
    inventory::{
        Identity, Kind as IdentityKind, Stored, account_key,
        wires::{Heard, Location, Question},
    },
    kernel::{Error, Kernel, traffic::Both},
};

/// Time between audits while nothing is suspicious.
const AUDIT: Duration = Duration::from_secs(30);
/// The key of the root of cgroup2.
const ROOT: u32 = 1;
/// Dead accounts that are kept at most.
const MAX_DEAD: usize = 5_000;

/// The book, the maps behind it, and what was seen of both.
pub struct Clerk {
    /// The book.
    pub book: Book,
    /// Where cgroup files are.
    pub files: Files,
    /// Bytes.
    pub meter: Meter,
    /// Limits, as whoever holds them tells.
    pub limits: watch::Receiver<Arc<Limits>>,
    kernel: Kernel,
    audit: Audit,
    audited: Option<(Instant, SystemTime)>,
    hurry: bool,
    corrections: u64,
    folded: u64,
    events_lost: u64,
    proc_entries: u64,
    /// Full maps that were told.
    told_full: HashSet<&'static str>,
    /// Processes that an audit saw without an entry, by cgroup.
    untracked: HashSet<u32>,
    /// `Row::untracked` up to which an audit found everything entered again.
    cleared: HashMap<u32, u64>,
}

impl Clerk {
    /// Restores the book from the maps.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(kernel: Kernel, files: Files) -> Result<Self, Error> {
        let names = kernel.maps.names()?;
        let names = names.iter().filter_map(|(key, value)| Some((*key, Stored::decode(value)?))).collect();
        let owners = kernel.maps.owners()?;
        let mut meter = Meter::new(&kernel.directory, Workload::other().key())?;
        for (cgroup, account) in &owners {
            meter.owned(*cgroup, *account);
        }
        let mut book = Book::restore(names, owners, SystemTime::now());
        let other = book.open_other();
        let events_lost = kernel.maps.tally(Tally::EventLost)?;
        let mut clerk = Self {
            book,
            files,
            meter,
            limits: watch::channel(Arc::default()).1,
            kernel,
            audit: Audit::default(),
            audited: None,
            hurry: true,
            corrections: 0,
            folded: 0,
            events_lost,
            proc_entries: 0,
            told_full: HashSet::new(),
            untracked: HashSet::new(),
            cleared: HashMap::new(),
        };
        clerk.kernel.maps.make_sum(Workload::other().key())?;
        other.into_iter().try_for_each(|action| clerk.act(action))?;
        Ok(clerk)
    }

    /// Cgroups that have a row.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn row_keys(&self) -> Result<Vec<u32>, Error> {
        let mut keys: HashSet<u32> = self.kernel.maps.rows()?.into_iter().map(|(cgroup, _)| cgroup).collect();
        // Sockets may outlive their cgroup: a packet makes its row anew.
        keys.extend(self.meter.counted()?.sockets.into_keys().filter(|cgroup| *cgroup > ROOT));
        Ok(keys.into_iter().collect())
    }

    /// A cgroup is gone: if it was the last of its account, nobody knows where that one's processes are.
    pub fn ended(&mut self, cgroup: u32) {
        let account = self.book.account_of(cgroup);
        if let Some(account) = account.filter(|account| !self.book.is_live(*account)) {
            self.meter.lines.forget_place(account);
        }
    }

    /// Does what the book asks for. Names come before the sums that they belong to: a killed agent leaves a name too
    /// many, never a sum without one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn act(&mut self, action: Action) -> Result<(), Error> {
        match action {
            Action::Name(key, stored) => {
                let result = self.kernel.maps.put_name(key, &stored.encode());
                self.or_full(result)
            }
            Action::Own(cgroup, account) => {
                self.meter.owned(cgroup, account);
                let result = self.kernel.maps.put_owner(cgroup, account);
                self.or_full(result)
            }
            Action::Fold(cgroup, account) => {
                let nobodys = Workload::other().key();
                let remembered =
                    || self.meter.account_of(cgroup).filter(|one| self.book.account(*one).is_some());
                let account = if account == nobodys { remembered().unwrap_or(nobodys) } else { account };
                // Sockets first: killed in between, the row is left, and leads here again.
                let known = Some(account).filter(|account| *account != nobodys);
                self.meter.fold(cgroup, known, &self.kernel.commands)?;
                if self.kernel.commands.fold(cgroup, account)? == Answer::Full {
                    self.kernel.commands.fold(cgroup, nobodys)?;
                }
                if !self.book.is_container(account) {
                    self.meter.disowned(cgroup);
                }
                self.cleared.remove(&cgroup);
                self.kernel.maps.delete_owner(cgroup)
            }
            Action::Disown(cgroup) => self.kernel.maps.delete_owner(cgroup),
            Action::Ask { .. } | Action::AskLater(..) => Ok(()), // the owner's
        }
    }

    /// A full map costs a name over the next restart, told once; nothing else stops.
    fn or_full(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(Error::Map { what, map, source }) => {
                if self.told_full.insert(map) {
                    tracing::warn!(
                        "{what} map {map}: {source}: accounts without an entry lose their name when the agent restarts"
                    );
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Cgroups some of whose counts were lost as `ROWS` had no room: those without a row, and those whose row came late.
    fn short_of_rows(&mut self, rows: &HashMap<u32, Row>) -> Result<Vec<u32>, Error> {
        if self.kernel.maps.tally(Tally::RowsFull)? == 0 {
            return Ok(Vec::new());
        }
        if self.told_full.insert(names::ROWS) {
            tracing::warn!(
                "map ROWS is full: counts of new cgroups are lost, and their processes are read from files"
            );
        }
        let late = rows.iter().filter(|(_, row)| row.late > 0).map(|(cgroup, _)| *cgroup);
        let members = self.book.members().filter(|(_, member)| !member.removed).map(|(cgroup, _)| cgroup);
        Ok(late.chain(members.filter(|cgroup| !rows.contains_key(cgroup))).collect())
    }

    /// Whether events were lost since this was asked last.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn events_were_lost(&mut self) -> Result<bool, Error> {
        let lost = self.kernel.maps.tally(Tally::EventLost)?;
        let more = lost - self.events_lost;
        self.events_lost = lost;
        if more > 0 {
            tracing::warn!("{more} events found no room in the ring buffer: cgroups are listed anew");
        }
        Ok(more > 0)
    }

    /// Lets dead accounts go, and audits when it is time.
    ///
    /// # Errors
    /// The kernel's.
    pub fn look_after(&mut self, retention: Duration) -> Result<(), Error> {
        let mut retired = HashMap::new();
        for account in self.book.due(retention, MAX_DEAD, SystemTime::now()) {
            for action in self.book.close(account) {
                self.act(action)?;
            }
            let workload = self.book.workload_key(account);
            if self.kernel.commands.retire(account, workload)? == Answer::Full {
                self.kernel.commands.retire(account, Workload::other().key())?;
            }
            let share = if self.book.is_container(account) { CONTAINERS } else { CGROUPS };
            retired.insert(account, (workload, share));
        }
        self.meter.retire(&retired, &self.kernel.commands)?;
        for account in retired.into_keys() {
            self.kernel.maps.delete_name(account)?;
            self.book.retired(account);
            self.folded += 1;
        }
        self.meter.give_up(&self.kernel.commands)?;
        let due = self.hurry || self.audited.is_none_or(|(last, _)| last.elapsed() >= AUDIT);
        if due { self.audit() } else { Ok(()) }
    }

    fn audit(&mut self) -> Result<(), Error> {
        let untracked: Vec<_> =
            self.kernel.maps.rows()?.iter().map(|(cgroup, row)| (*cgroup, row.untracked)).collect();
        let ours = self.kernel.maps.processes()?;
        let seen = self.kernel.commands.iterate()?;
        let listed: HashSet<u32> = seen.iter().map(|record| record.tgid).collect();
        let elsewhere = proc_list::unknown(|tgid| listed.contains(&tgid), &self.files.counted);
        let Findings { corrections, suspects, untracked: now } = self.audit.pass(&ours, &seen, &elsewhere);
        for correction in corrections {
            self.correct(correction)?;
        }
        if now.is_empty() {
            self.cleared = untracked.into_iter().filter(|(_, count)| *count > 0).collect();
        }
        self.hurry = suspects || !now.is_empty();
        self.untracked = now;
        self.proc_entries = ours.len() as u64;
        self.audited = Some((Instant::now(), SystemTime::now()));
        Ok(())
    }

    fn correct(&mut self, correction: Correction) -> Result<(), Error> {
        let Correction { tgid, from, to } = correction;
        // Its id may be a new process's by now, with the same word.
        if to == 0 && proc_list::is_alive(tgid) {
            return Ok(());
        }
        match (self.kernel.commands.repair(tgid, from, to)?, from) {
            (Answer::Done, 0) => {
                tracing::info!("process {tgid}, which the task iterator leaves out, entered from /proc");
            }
            (Answer::Done, _) => {
                tracing::warn!("process {tgid} was known as {from:#x} and is {to:#x}: corrected");
                self.corrections += 1;
            }
            _ => {} // it changed meanwhile
        }
        Ok(())
    }

    /// Reads the maps and makes a snapshot.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn snapshot(&mut self) -> Result<Snapshot, Error> {
        let rows: HashMap<_, _> = self.kernel.maps.rows()?.into_iter().collect();
        let fresh =
            |cgroup: &u32, untracked: u64| untracked > self.cleared.get(cgroup).copied().unwrap_or_default();
        let mut degraded: HashSet<u32> = rows
            .iter()
            .filter(|(cgroup, row)| fresh(cgroup, row.untracked))
            .map(|(cgroup, _)| *cgroup)
            .collect();
        self.hurry |= !degraded.is_empty();
        degraded.extend(&self.untracked);
        degraded.extend(self.short_of_rows(&rows)?);
        let folded: HashMap<_, _> = self.kernel.maps.folded()?.into_iter().collect();
        let (counted, own) = self.counted()?;
        let taken = SystemTime::now();
        let mut health = self.health(rows.len(), folded.len())?;
        health.maps.extend(self.meter.fill(&counted)?);
        let networks = self.meter.lines.networks(&counted, &own);
        let tcp = Tcp::nothing(&health.programs);
        let limits = self.limits.borrow().clone();
        let reading = Reading { taken, rows, folded, degraded, counted, networks, tcp, limits };
        Ok(compose(&self.book, &reading, &mut self.files, health))
    }

    /// What the maps of bytes hold, and what of it the sockets of each account counted.
    fn counted(&self) -> Result<(Counted, HashMap<u64, Both>), Error> {
        let counted = self.meter.counted()?;
        let own = by_account(&counted, |cgroup| self.book.account_of(cgroup));
        Ok((counted, own))
    }

    /// Takes in what the watcher of interfaces tells; gives what is to be asked of it now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn heard(&mut self, heard: Heard) -> Result<Vec<Question>, Error> {
        self.meter.heard(heard, &self.kernel.commands)
    }

    /// Decides anew which accounts are shown by what their sockets count.
    ///
    /// # Errors
    /// The kernel's.
    pub fn choose_sources(&mut self) -> Result<(), Error> {
        // Those that have no account of their own are many, and in the host's network as a rule.
        let others = account_key(&Identity::cgroup("/other".into(), IdentityKind::Other));
        if self.book.account(others).is_some() {
            self.meter.lines.found(others, Location::Host);
        }
        let (_, own) = self.counted()?;
        self.meter.choose_sources(&own)
    }

    fn health(&self, rows: usize, folded: usize) -> Result<Health, Error> {
        let mut tallies = Vec::new();
        for tally in Tally::ALL.iter().filter(|tally| tally.is_fault()) {
            tallies.push((tally.name(), self.kernel.maps.tally(*tally)?));
        }
        let (rows, folded) = (rows as u64, folded as u64);
        let room = |name| self.kernel.maps.room(name);
        Ok(Health {
            events_lost: self.kernel.maps.tally(Tally::EventLost)?,
            tallies,
            unresolved: self.book.unresolved(),
            folded_accounts: self.folded,
            audit_corrections: self.corrections,
            last_audit: self.audited.map(|(_, at)| at),
            network_watched: self.meter.watched,
            maps: vec![
                (names::PROC, self.proc_entries, room(names::PROC)?),
                (names::ROWS, rows, room(names::ROWS)?),
                (names::FOLDED, folded, room(names::FOLDED)?),
                (names::NAMES, self.book.names(), room(names::NAMES)?),
                (names::OWNERS, self.book.owned(), room(names::OWNERS)?),
            ],
            programs: self.kernel.programs.iter().map(program).collect(),
        })
    }
}

fn program(status: &crate::kernel::Status) -> Program {
    Program {
        name: status.program,
        hook: status.hook.clone(),
        left_out: status.left_out().map(str::to_owned),
        cost: status.cost(),
        misses: status.misses(),
    }
}
