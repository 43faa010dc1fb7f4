//! The one thread that decides and acts: takes in who is there, what the configuration says and what is set by hand, and sees
//! to it that what is wanted holds. Files and netlink may make it wait; nobody waits for it but who asks by hand.

mod alarm;
mod orders;
mod report;
mod sample;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use tokio::sync::watch;

use self::alarm::Alarm;
pub use self::orders::{HandRequest, Order, Refusal, Settled};
use super::{
    Mode, OnPidsLimit, Policies,
    apply::{Doer, Held, Look, NotHeld},
    decide::{Action, decide},
    hands::Hands,
    lines::{Line, Protection, desired, lines, wanted},
    record::{Place, Record},
    spending::{Reading, Spending},
};
use crate::{
    cgroup::{Hierarchy, Tasks, directory},
    kernel::records::{Records, Spent},
    ledger::{
        journal::{Journal, Kind, Note, Who},
        limits::Limits,
        roster::Subject,
    },
};

/// How often what is held is read.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody changed what is held, and what was refused is tried again.
const LOOK: Duration = Duration::from_secs(10);

/// What an engine is made of.
pub struct Setting<'a> {
    /// The directory of the pins.
    pub pins: &'a Path,
    /// The hierarchy of the pids controller.
    pub pids: Option<Hierarchy>,
    /// Where the freezer of containers is.
    pub freezer: PathBuf,
    /// The hierarchy that is counted: where the roster's paths are.
    pub counted: Hierarchy,
    /// What is never limited.
    pub protection: Protection,
    /// What the configuration says.
    pub policies: Policies,
    /// Where what happens is written.
    pub journal: Journal,
    /// What is left of agents that nobody knows any more is removed.
    pub sweeps: bool,
    /// Where its orders come from: it gives itself some.
    pub orders: Sender<Order>,
}

/// The engine.
pub struct Engine {
    doer: Doer,
    hands: Hands,
    spending: Spending,
    journal: Journal,
    policies: Policies,
    /// Who is there; nothing is decided before that is known.
    roster: Option<Arc<[Subject]>>,
    lines: Vec<Line>,
    /// How each place was held, or why not, when that was tried last.
    tried: HashMap<Place, Tried>,
    /// What each line used when it was read last, and whether it was over.
    used: HashMap<u64, sample::Used>,
    pids: Option<Hierarchy>,
    counted: Hierarchy,
    protection: Protection,
    report: watch::Sender<Arc<Limits>>,
    drift: u64,
    loaded: SystemTime,
    problem: Option<String>,
    sweeps: bool,
    alarm: Alarm,
    looked: Instant,
    read: Instant,
}

/// What came of holding a limit.
struct Tried {
    wanted: u64,
    result: Result<Option<Held>, NotHeld>,
    at: Instant,
}

impl Tried {
    /// It was refused a short while ago.
    fn is_to_wait(&self) -> bool {
        self.result.is_err() && self.at.elapsed() < LOOK
    }
}

impl Engine {
    /// One that goes on from what another agent wrote down, and a reader of what it says.
    ///
    /// # Errors
    /// Pins are missing, or the kernel's.
    pub fn new(setting: Setting<'_>) -> anyhow::Result<(Self, watch::Receiver<Arc<Limits>>)> {
        let Setting { pins, pids, freezer, counted, protection, policies, journal, sweeps, orders } = setting;
        let (report, reads) = watch::channel(Arc::new(Limits::default()));
        let engine = Self {
            doer: Doer::open(pins, pids.clone(), freezer)?,
            hands: Hands::open(Records::hands(pins)?)?,
            spending: Spending::open(Spent::open(pins)?)?,
            journal,
            policies,
            roster: None,
            lines: Vec::new(),
            tried: HashMap::new(),
            used: HashMap::new(),
            pids,
            counted,
            protection,
            report,
            drift: 0,
            loaded: SystemTime::now(),
            problem: None,
            sweeps,
            alarm: Alarm::start(orders).context("watch for hits of limits")?,
            looked: Instant::now(),
            read: Instant::now(),
        };
        Ok((engine, reads))
    }

    /// Works until the process ends: its own alarm may give it orders to the last. What it holds stays held.
    pub fn run(mut self, orders: &Receiver<Order>) {
        if self.sweeps {
            match self.doer.sweep() {
                Ok(0) => {}
                Ok(swept) => {
                    tracing::info!("limits: {swept} interfaces that an agent left behind are removed");
                }
                Err(error) => tracing::warn!("limits: what an agent left behind stays: {error}"),
            }
        }
        loop {
            match orders.recv_timeout(TICK.saturating_sub(self.read.elapsed())) {
                Ok(first) => self.take_all(std::iter::once(first).chain(orders.try_iter()).collect()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.read.elapsed() >= TICK {
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        let now = SystemTime::now();
        match self.hands.expire(now) {
            Ok(over) if over.is_empty() => {}
            Ok(over) => {
                for (account, hand) in over {
                    self.write(Note { account, why: hand.by, ..Note::new(Kind::Expired, Who::Agent) });
                }
                self.settle();
            }
            Err(error) => tracing::warn!("limits: what is over cannot be forgotten: {error}"),
        }
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.look();
            self.settle();
            let living: BTreeSet<u64> = self.lines.iter().map(Line::key).collect();
            if let Err(error) = self.spending.keep(&living) {
                tracing::warn!("limits: sums of the dead stay: {error}");
            }
        }
        self.sample();
        self.tell();
    }

    /// Decides anew, and does what follows.
    fn settle(&mut self) {
        let Some(roster) = self.roster.clone() else { return };
        if self.policies.is_empty() && self.hands.is_empty() && self.doer.done.is_empty() {
            self.lines.clear();
            return;
        }
        let mut all = Vec::new();
        for subject in roster.iter() {
            let wanted = wanted(&self.policies, &self.hands, &self.protection, subject);
            all.extend(lines(subject, &wanted, || self.cgroup_of(subject)));
        }
        self.lines = all;
        let wanted = desired(&self.lines);
        let is_known = |place| self.tried.get(&place).is_some_and(|tried| tried.result.is_ok());
        for action in decide(&wanted, &self.doer.done, is_known) {
            self.act(&action);
        }
        self.tried.retain(|place, _| wanted.contains_key(place) || self.doer.done.contains_key(place));
        self.set_alarm();
        let living: BTreeSet<u64> = self.lines.iter().map(Line::key).collect();
        self.used.retain(|key, _| living.contains(key));
    }

    fn act(&mut self, action: &Action) {
        let (place, wanted) = match action {
            Action::Hold(place, desired) => (*place, desired.wanted),
            Action::Undo(record) => (record.place(), 0),
        };
        let last = self.tried.get(&place).filter(|tried| tried.wanted == wanted);
        if last.is_some_and(Tried::is_to_wait) {
            return;
        }
        let last = last.map(|tried| tried.result.clone());
        let before = self.doer.done.get(&place).map(Record::wanted);
        let hits = if before.is_none() { self.hits_at(action) } else { None };
        let result = self.doer.act(action);
        if result.is_ok()
            && let Some((key, hits)) = hits
        {
            self.spending.begin(key, place, hits);
        }
        // Nothing new: what another agent held is held on, or it is refused as before.
        let is_news = match (&last, &result) {
            (None, Ok(Some(_))) => before != Some(wanted),
            (Some(Err(last)), Err(now)) => last != now,
            _ => true,
        };
        if is_news {
            self.acted(action, before, &result);
        }
        if matches!(action, Action::Undo(_)) && !self.doer.done.contains_key(&place) {
            self.tried.remove(&place);
        } else {
            self.tried.insert(place, Tried { wanted, result, at: Instant::now() });
        }
    }

    /// Hits of limits at which more is done than to refuse are to be told at once.
    fn set_alarm(&mut self) {
        let Some(pids) = &self.pids else { return };
        let acts = |line: &&Line| line.mode == Mode::Enforce && line.on_hit != OnPidsLimit::Deny;
        let places = self
            .lines
            .iter()
            .filter(acts)
            .flat_map(|line| line.places.iter().map(move |place| (place, line)));
        let cgroups = places.filter_map(|(place, line)| match place {
            Place::Tasks(cgroup) => Some((*cgroup, line.path.as_slice())),
            _ => None,
        });
        self.alarm.keep(pids, &cgroups.collect());
    }

    /// Of a task limit that is to be held: the hits before it, which are none of its own.
    fn hits_at(&self, action: &Action) -> Option<(u64, Reading)> {
        let Action::Hold(place @ Place::Tasks(cgroup), desired) = action else { return None };
        let tasks = Tasks::open(self.pids.as_ref()?, &desired.path, *cgroup).ok()?;
        let hits = tasks.hits().ok()?.count;
        Some((self.line_at(*place)?.key(), Reading { hits, ..Reading::default() }))
    }

    /// Whether all that is held is still as it was made.
    fn look(&mut self) {
        let done: Vec<Record> = self.doer.done.values().cloned().collect();
        for record in done {
            match self.doer.look(&record) {
                Ok(Look::Same) => {}
                Ok(Look::Gone) => self.act(&Action::Undo(record)),
                Ok(Look::Changed(how)) => {
                    let place = record.place();
                    if self.tried.get(&place).is_none_or(|tried| tried.result.is_err()) {
                        continue; // it is not held, and that is known
                    }
                    self.drift += 1;
                    self.note(place, Kind::Drift, Who::Kernel, String::new(), String::new(), how);
                    if let Some(desired) = desired(&self.lines).remove(&place) {
                        self.act(&Action::Hold(place, desired));
                    }
                }
                Err(error) => tracing::warn!("limits: {error}"),
            }
        }
    }

    /// The id of a container's cgroup in the hierarchy of the pids controller, if it still is the one that is counted.
    fn cgroup_of(&self, subject: &Subject) -> Option<u64> {
        let inode = |hierarchy: &Hierarchy| {
            std::fs::metadata(directory(&hierarchy.mount, &subject.path)).map(|found| found.ino()).ok()
        };
        let counted = inode(&self.counted)?;
        let is_it = plimsoll_common::word::cgroup_key(counted) == subject.cgroup;
        self.pids.as_ref().filter(|_| is_it).and_then(inode)
    }

    fn write(&mut self, note: Note) {
        self.journal.write(SystemTime::now(), note);
    }

    /// Limits that are held, or would be.
    fn count(&self, mode: Mode) -> usize {
        self.lines.iter().filter(|line| line.mode == mode).count()
    }

    /// The lines by the places that they have.
    fn line_at(&self, place: Place) -> Option<&Line> {
        self.lines.iter().find(|line| line.places.contains(&place))
    }

    fn places(&self) -> BTreeMap<Place, u64> {
        let places = |line: &Line| {
            let key = line.key();
            line.places.clone().into_iter().map(move |place| (place, key))
        };
        self.lines.iter().filter(|line| line.mode == Mode::Enforce).flat_map(places).collect()
    }
}
