//! Asks the watcher of interfaces, when it must be asked, and hands what it tells to the meter.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::clerk::Clerk;
use crate::{
    inventory::wires::{Candidate, Heard, Question, Wires},
    kernel::Error,
};

/// How long after a change it is decided who is shown by what its sockets count: a veth pair may be about to be found.
const SOURCES_AFTER: Duration = Duration::from_secs(2);

/// What is to be asked.
#[derive(Debug)]
pub struct Lookout {
    wires: Wires,
    /// Cgroups that executed a program.
    executed: HashSet<u32>,
    /// Pairs are there that were not looked for among all accounts.
    search: bool,
    /// When sources are chosen anew.
    sources_due: Option<Instant>,
    /// All interfaces that were there at the start are known.
    pub listed: bool,
    /// All accounts that were there at the start are known, too: of two in one network the older is the owner, so both must
    /// be known before one is asked for.
    ready: bool,
}

impl Lookout {
    /// One that has asked nothing yet.
    #[must_use]
    pub fn new(wires: Wires) -> Self {
        Self {
            wires,
            executed: HashSet::new(),
            search: false,
            sources_due: None,
            listed: false,
            ready: false,
        }
    }

    /// A cgroup executed its first program: its processes are where they will stay.
    pub fn executed(&mut self, cgroup: u32, clerk: &mut Clerk) {
        self.executed.insert(cgroup);
        self.named(cgroup, clerk);
    }

    /// It is known whose a cgroup is: it is looked where, and there again once it runs. A pair may be on its way to it.
    pub fn named(&mut self, cgroup: u32, clerk: &mut Clerk) {
        if let Some(account) = clerk.book.account_of(cgroup) {
            if self.executed.contains(&cgroup) {
                clerk.meter.settled(account);
            }
            self.ask_where(clerk.book.select(|other| other == account));
        }
    }

    /// Whether a cgroup executed a program, as far as is known.
    #[must_use]
    pub fn has_executed(&self, cgroup: u32) -> bool {
        self.executed.contains(&cgroup)
    }

    /// All that are there count as if they had executed one: that may have been missed.
    pub fn all_executed(&mut self, clerk: &Clerk) {
        let there = clerk.book.members().filter(|(_, member)| !member.removed);
        self.executed.extend(there.map(|(cgroup, _)| cgroup));
    }

    /// A cgroup is gone.
    pub fn removed(&mut self, cgroup: u32) {
        self.executed.remove(&cgroup);
    }

    /// Everything that was there at the start is known.
    pub fn ready(&mut self, clerk: &mut Clerk) {
        self.ready = true;
        self.all_executed(clerk);
        let there = clerk.book.candidates();
        for candidate in &there {
            clerk.meter.settled(candidate.account);
        }
        self.wires.ask(Question::Everybody(there));
    }

    /// Looks where all accounts are.
    pub fn locate_all(&mut self, clerk: &Clerk) {
        self.search = false;
        if self.ready {
            self.wires.ask(Question::Everybody(clerk.book.candidates()));
        }
    }

    fn ask_where(&self, candidates: Vec<Candidate>) {
        if self.ready {
            self.wires.ask(Question::Where(candidates));
        }
    }

    /// Asks what interfaces have counted; `false` where there is none to ask.
    #[must_use]
    pub fn read(&self, clerk: &Clerk) -> bool {
        let there = clerk.meter.watched && !clerk.meter.lines.is_empty();
        if there {
            self.wires.ask(Question::Counters);
        }
        there
    }

    /// Takes in what the watcher of interfaces tells.
    ///
    /// # Errors
    /// The kernel's.
    pub fn listen(&mut self, heard: Heard, clerk: &mut Clerk) -> Result<(), Error> {
        match &heard {
            Heard::Wire(_) => {
                let lines = &clerk.meter.lines;
                let unseen = clerk.book.select(|account| lines.place(account).is_none());
                self.ask_where(unseen);
                self.search = true;
            }
            Heard::Listed(_) | Heard::Failed(_) => self.listed = true,
            _ => {}
        }
        if !matches!(heard, Heard::Counters(_)) {
            self.sources_due.get_or_insert_with(|| Instant::now() + SOURCES_AFTER);
        }
        for question in clerk.heard(heard)? {
            self.wires.ask(question);
        }
        Ok(())
    }

    /// Does what is due.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tick(&mut self, now: Instant, clerk: &mut Clerk) -> Result<(), Error> {
        // Who had a pair is gone, and the pair is not: it may be another's who is there.
        let forsaken = clerk.meter.lines.forsaken(|account| clerk.book.is_live(account));
        if !forsaken.is_empty() {
            self.wires.ask(Question::Release(forsaken));
            self.search = true;
        }
        // What such an interface received is forgotten at its end: it is known as of the last look.
        if clerk.meter.lines.any_by_interface() {
            let _asked = self.read(clerk);
        }
        if self.search {
            self.locate_all(clerk);
        }
        if self.sources_due.is_some_and(|due| due <= now) {
            self.sources_due = None;
            clerk.choose_sources()?;
        }
        Ok(())
    }
}
