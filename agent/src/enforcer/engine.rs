//! The one thread that decides and acts: takes in who is there, what the configuration says and what is set by hand, and sees
//! to it that what is wanted holds. Files and netlink may make it wait; nobody waits for it but who asks by hand.

mod orders;
mod report;
mod sample;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

pub use self::orders::{HandRequest, Order, Refusal, Settled};
use super::{
    Mode, Policies,
    apply::{Doer, Held, Look, NotHeld},
    decide::{Action, decide},
    hands::Hands,
    lines::{Line, Protection, desired, lines, wanted},
    record::{Place, Record},
    spending::Spending,
};
use crate::{
    cgroup::{Hierarchy, directory},
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
}

/// The engine.
pub struct Engine {
    doer: Doer,
    hands: Hands,
    spending: Spending,
    journal: Journal,
    policies: Policies,
    roster: Arc<[Subject]>,
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
    looked: Instant,
    read: Instant,
}

/// What came of holding a limit.
struct Tried {
    wanted: u64,
    result: Result<Held, NotHeld>,
}

impl Engine {
    /// One that goes on from what another agent wrote down, and a reader of what it says.
    ///
    /// # Errors
    /// Pins are missing, or the kernel's.
    pub fn new(setting: Setting<'_>) -> anyhow::Result<(Self, watch::Receiver<Arc<Limits>>)> {
        let Setting { pins, pids, freezer, counted, protection, policies, journal } = setting;
        let (report, reads) = watch::channel(Arc::new(Limits::default()));
        let engine = Self {
            doer: Doer::open(pins, pids.clone(), freezer)?,
            hands: Hands::open(Records::hands(pins)?)?,
            spending: Spending::open(Spent::open(pins)?)?,
            journal,
            policies,
            roster: Arc::new([]),
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
            looked: Instant::now(),
            read: Instant::now(),
        };
        Ok((engine, reads))
    }

    /// Works until nobody can give it orders any more. What it holds stays held.
    pub fn run(mut self, orders: &Receiver<Order>) {
        match self.doer.sweep() {
            Ok(0) => {}
            Ok(swept) => tracing::info!("limits: {swept} interfaces that an agent left behind are removed"),
            Err(error) => tracing::warn!("limits: what an agent left behind stays: {error}"),
        }
        loop {
            let wait = TICK.saturating_sub(self.read.elapsed());
            match orders.recv_timeout(wait) {
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
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
            self.tried.retain(|_, tried| tried.result.is_ok());
            self.settle();
        }
        self.sample();
        self.tell();
    }

    /// Decides anew, and does what follows.
    fn settle(&mut self) {
        let mut all = Vec::new();
        for subject in self.roster.iter() {
            let wanted = wanted(&self.policies, &self.hands, &self.protection, subject);
            all.extend(lines(subject, &wanted, || self.cgroup_of(subject)));
        }
        self.lines = all;
        let wanted = desired(&self.lines);
        for action in decide(&wanted, &self.doer.done) {
            self.act(&action);
        }
        self.tried.retain(|place, _| wanted.contains_key(place));
        let keys: BTreeSet<u64> = self.lines.iter().map(Line::key).collect();
        // Of whom nobody knows yet, a sum may be somebody's who is about to be met.
        if !self.roster.is_empty() {
            let living: BTreeSet<u64> = keys;
            if let Err(error) = self.spending.keep(&living) {
                tracing::warn!("limits: sums of the dead stay: {error}");
            }
            self.used.retain(|key, _| living.contains(key));
        }
    }

    fn act(&mut self, action: &Action) {
        if let Action::Hold(place, desired) = action
            && self
                .tried
                .get(place)
                .is_some_and(|tried| tried.wanted == desired.wanted && tried.result.is_err())
        {
            return; // it is tried again after a while
        }
        let before = match action {
            Action::Hold(place, _) => self.doer.done.get(place).map(Record::wanted),
            Action::Undo(record) => Some(record.wanted()),
        };
        let result = self.doer.act(action);
        match action {
            Action::Undo(record) => self.undone(record, result.err()),
            Action::Hold(place, desired) => {
                let result = result.map(|held| held.unwrap_or(Held { method: "", degraded: None }));
                self.held(*place, before, desired.wanted, &result);
                self.tried.insert(*place, Tried { wanted: desired.wanted, result });
            }
        }
    }

    /// Whether all that is held is still as it was made.
    fn look(&mut self) {
        let done: Vec<Record> = self.doer.done.values().cloned().collect();
        for record in done {
            match self.doer.look(&record) {
                Ok(Look::Same) => {}
                Ok(Look::Gone) => self.act(&Action::Undo(record)),
                Ok(Look::Changed(how)) => {
                    self.drift += 1;
                    let place = record.place();
                    self.note(place, Kind::Drift, Who::Kernel, String::new(), String::new(), how);
                    self.tried.remove(&place);
                    let again = desired(&self.lines).remove(&place);
                    if let Some(desired) = again {
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
