//! The one task that owns the state. Events mark what changed; maps are read when somebody asks for a snapshot.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use plimsoll_common::{event::Kind, word::cgroup_key};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::StreamExt as _;

use super::{
    book::Book,
    clerk::Clerk,
    compose::Files,
    limits::Limits,
    lookout::Lookout,
    reader::{FRESH, Reader, Request},
    record::Action,
    roster::{Subject, roster},
    snapshot::Snapshot,
};
use crate::{
    cgroup::{Walk, walk},
    inventory::{
        Answer, Namer,
        wires::{Heard, Wires},
    },
    kernel::{
        Error, Kernel,
        events::{Event, Events},
    },
};

/// How often the owner looks after what no event tells.
const TICK: Duration = Duration::from_secs(1);
/// Events that a snapshot takes in at most: a storm of them must not keep a reader waiting.
const CATCH_UP: usize = 10_000;
/// Events that may wait: more than the ring buffer has room for, so that all that were there are taken in.
const BACKLOG: usize = 200_000;
/// How often containers are looked up again, for names that changed, and cgroups are listed, for whatever was missed.
const LOOK_UP: Duration = Duration::from_mins(1);

/// How long after a roster the next one is published at the soonest.
const BETWEEN_ROSTERS: Duration = Duration::from_millis(20);
/// How long a page waits for what interfaces tell of themselves.
const PATIENCE: Duration = Duration::from_millis(250);
/// What the owner may be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a dead account stays, if a page with it was handed out.
    pub retention: Duration,
}

/// The owner of the state.
pub struct Owner {
    clerk: Clerk,
    events: Events,
    namer: Namer,
    answers: mpsc::UnboundedReceiver<Answer>,
    lookout: Lookout,
    heard: mpsc::UnboundedReceiver<Heard>,
    requests: mpsc::Receiver<Request>,
    /// Readers that wait for what interfaces tell, and until when.
    waiting: Vec<oneshot::Sender<Arc<Snapshot>>>,
    patience: Instant,
    walks: (mpsc::UnboundedSender<Walked>, mpsc::UnboundedReceiver<Walked>),
    walking: bool,
    walk_again: bool,
    /// Cgroups that went while one walks.
    went: HashSet<u32>,
    listed: bool,
    /// Questions that wait for their answers.
    asking: usize,
    ready: watch::Sender<bool>,
    snapshot: Option<(Instant, Arc<Snapshot>)>,
    /// Who is there, for whoever decides about limits.
    rosters: watch::Sender<Option<Arc<[Subject]>>>,
    /// When that was published last, and when it is published again, if something changed since.
    published: Instant,
    roster_due: Option<Instant>,
    later: Vec<(Instant, u32)>,
    looked_up: Instant,
    settings: Settings,
}

/// A walk, and what was noted before it began.
struct Walked {
    rows: Vec<u32>,
    known: HashSet<u32>,
    walk: Walk,
}

impl Owner {
    /// The owner and a reader of it.
    ///
    /// # Errors
    /// Maps cannot be read.
    pub fn new(
        kernel: Kernel,
        events: Events,
        files: Files,
        namer: (Namer, mpsc::UnboundedReceiver<Answer>),
        wires: (Wires, mpsc::UnboundedReceiver<Heard>),
        settings: Settings,
    ) -> Result<(Self, Reader), Error> {
        let (asking, requests) = mpsc::channel(64);
        let (ready, hears_ready) = watch::channel(false);
        let ((namer, answers), (wires, heard)) = (namer, wires);
        let owner = Self {
            clerk: Clerk::new(kernel, files)?,
            events,
            namer,
            answers,
            lookout: Lookout::new(wires),
            heard,
            requests,
            waiting: Vec::new(),
            patience: Instant::now(),
            walks: mpsc::unbounded_channel(),
            walking: false,
            walk_again: false,
            went: HashSet::new(),
            listed: false,
            asking: 0,
            ready,
            snapshot: None,
            rosters: watch::Sender::new(None),
            published: Instant::now(),
            roster_due: None,
            later: Vec::new(),
            looked_up: Instant::now(),
            settings,
        };
        Ok((owner, Reader::new(asking, hears_ready)))
    }

    /// Who is there, once that is known: each time that somebody comes, goes, or is found elsewhere.
    #[must_use]
    pub fn rosters(&self) -> watch::Receiver<Option<Arc<[Subject]>>> {
        self.rosters.subscribe()
    }

    /// Snapshots show these limits from now on.
    pub fn show(&mut self, limits: watch::Receiver<Arc<Limits>>) {
        self.clerk.limits = limits;
    }

    /// Owns the state until the task is dropped.
    ///
    /// # Errors
    /// The ring buffer or the maps cannot be read any more.
    pub async fn run(mut self) -> Result<(), Error> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.walk()?;
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(Ok(event)) => self.happened(&event)?,
                    Some(Err(source)) => return Err(Error::pin("read", "the ring buffer")(source)),
                    None => return Ok(()),
                },
                Some(answer) = self.answers.recv() => self.answered(answer)?,
                Some(heard) = self.heard.recv() => self.listen(heard)?,
                () = tokio::time::sleep_until(self.patience.into()),
                    if !self.waiting.is_empty() && *self.ready.borrow() => self.serve()?,
                Some(walked) = self.walks.1.recv() => self.walked(walked)?,
                Some(request) = self.requests.recv() => self.requested(request),
                () = tokio::time::sleep_until(self.roster_due.unwrap_or(self.published).into()),
                    if self.roster_due.is_some() => self.publish(),
                _ = tick.tick() => self.tick()?,
            }
        }
    }

    /// Who is there may have changed.
    fn stir(&mut self) {
        self.roster_due.get_or_insert(self.published + BETWEEN_ROSTERS);
    }

    /// Publishes who is there, if that changed and somebody wants to know.
    fn publish(&mut self) {
        self.roster_due = None;
        if self.rosters.is_closed() || !*self.ready.borrow() {
            return;
        }
        self.published = Instant::now();
        let now: Arc<[Subject]> = roster(&self.clerk.book, &self.clerk.meter.lines, &self.lookout).into();
        self.rosters.send_if_modified(|roster| {
            let is_new = roster.as_ref() != Some(&now);
            *roster = Some(now);
            is_new
        });
    }

    fn happened(&mut self, event: &Event) -> Result<(), Error> {
        if matches!(event.kind, Kind::Mkdir | Kind::Rmdir | Kind::FirstExec) {
            self.stir();
        }
        tracing::debug!(?event);
        let (cgroup, now) = (cgroup_key(event.cgroup), SystemTime::now());
        let book = &mut self.clerk.book;
        let actions = match event.kind {
            Kind::Mkdir => match &event.path {
                Some(path) => book.appeared(cgroup, path, now),
                None => return self.walk(),
            },
            Kind::FirstExec => {
                let actions = book.started(cgroup);
                self.lookout.executed(cgroup, &mut self.clerk);
                actions
            }
            Kind::Rmdir => {
                self.lookout.removed(cgroup);
                if self.walking {
                    self.went.insert(cgroup);
                }
                let mut actions = book.removed(cgroup, now);
                actions.extend(book.ask(cgroup));
                self.clerk.ended(cgroup);
                actions
            }
            Kind::Release => book.released(cgroup, now),
            Kind::Populated | Kind::Frozen | Kind::Oom => Vec::new(),
        };
        self.act(actions)
    }

    fn answered(&mut self, answer: Answer) -> Result<(), Error> {
        self.stir();
        if let Some(problem) = &answer.problem {
            tracing::warn!("{problem}");
        }
        self.asking = self.asking.saturating_sub(1);
        let cgroup = answer.cgroup;
        let actions = self.clerk.book.answered(answer, SystemTime::now());
        self.act(actions)?;
        self.lookout.named(cgroup, &mut self.clerk);
        self.tell_ready();
        Ok(())
    }

    /// Takes in what the watcher of interfaces tells.
    fn listen(&mut self, heard: Heard) -> Result<(), Error> {
        if matches!(heard, Heard::Counters(_)) {
            self.patience = Instant::now();
        } else {
            self.stir();
        }
        self.lookout.listen(heard, &mut self.clerk)?;
        self.tell_ready();
        Ok(())
    }

    /// Lists rows, then walks the hierarchy on another thread: a cgroup made later cannot be in the list, so a row
    /// without a directory is dead.
    fn walk(&mut self) -> Result<(), Error> {
        if self.walking {
            // What this one was asked for may be where the other has been already.
            self.walk_again = true;
            return Ok(());
        }
        self.walking = true;
        let (rows, known) = (self.clerk.row_keys()?, self.clerk.book.known());
        let (mount, walks) = (self.clerk.files.counted.mount.clone(), self.walks.0.clone());
        tokio::task::spawn_blocking(move || {
            let _ = walks.send(Walked { rows, known, walk: walk(&mount) }); // nobody listens any more: the agent ends
        });
        Ok(())
    }

    fn walked(&mut self, walked: Walked) -> Result<(), Error> {
        // A row whose cgroup was made, and is gone, may have its events still before us: it is no stranger's.
        self.drain(BACKLOG)?;
        self.walking = false;
        let Walked { rows, known, walk: Walk { cgroups, complete } } = walked;
        // Nor is one there that went since it was seen.
        let walk = cgroups.into_iter().map(|(id, path)| (cgroup_key(id), path));
        let walk: Vec<_> = walk.filter(|(cgroup, _)| !self.went.contains(cgroup)).collect();
        self.went.clear();
        let now = SystemTime::now();
        let actions = if complete {
            self.clerk.book.reconcile(&rows, &known, &walk, now)
        } else {
            // What was not listed may still live.
            walk.iter().flat_map(|(cgroup, path)| self.clerk.book.appeared(*cgroup, path, now)).collect()
        };
        self.act(actions)?;
        self.listed = true;
        self.tell_ready();
        if std::mem::take(&mut self.walk_again) { self.walk() } else { Ok(()) }
    }

    /// Ready once all cgroups were listed, and everything that was asked about them is answered.
    fn tell_ready(&mut self) {
        let is_ready = self.listed && self.asking == 0 && self.lookout.listed;
        if self.ready.send_if_modified(|ready| is_ready && !std::mem::replace(ready, true)) {
            self.stir();
            self.lookout.ready(&mut self.clerk);
            self.look();
        }
    }

    fn requested(&mut self, request: Request) {
        match request {
            Request::Shown(taken) => self.clerk.book.shown(taken),
            Request::Snapshot(reader) => {
                let fresh = self.snapshot.as_ref().filter(|(taken, _)| taken.elapsed() < FRESH);
                if let Some((_, snapshot)) = fresh {
                    let _ = reader.send(snapshot.clone()); // it did not wait
                    return;
                }
                self.waiting.push(reader);
                if self.waiting.len() == 1 {
                    self.look();
                }
            }
        }
    }

    /// Asks what interfaces have counted, and sets how long that is waited for. Before it is ready nobody is answered: what
    /// was counted of cgroups that are not met again yet would be missing.
    fn look(&mut self) {
        let waits = self.lookout.read(&self.clerk);
        self.patience = Instant::now() + if waits { PATIENCE } else { Duration::ZERO };
    }

    /// Makes a snapshot for all that wait for one.
    fn serve(&mut self) -> Result<(), Error> {
        self.catch_up()?;
        let taken = Instant::now();
        let snapshot = Arc::new(self.clerk.snapshot()?);
        for reader in self.waiting.drain(..) {
            let _ = reader.send(snapshot.clone()); // it did not wait
        }
        self.snapshot = Some((taken, snapshot));
        Ok(())
    }

    /// Takes in what has happened already: events and answers that wait, and names that are being read.
    fn catch_up(&mut self) -> Result<(), Error> {
        self.drain(CATCH_UP)?;
        while let Ok(answer) = self.answers.try_recv() {
            self.answered(answer)?;
        }
        while let Ok(heard) = self.heard.try_recv() {
            self.listen(heard)?;
        }
        Ok(())
    }

    /// Takes in events that wait, so many at most.
    fn drain(&mut self, most: usize) -> Result<(), Error> {
        for _ in 0..most {
            let Some(event) = self.events.waiting() else { break };
            self.happened(&event)?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let (due, later): (Vec<(Instant, u32)>, _) = self.later.iter().partition(|(at, _)| *at <= now);
        self.later = later;
        let mut asks: Vec<_> =
            due.into_iter().filter_map(|(_, cgroup)| self.clerk.book.ask(cgroup)).collect();
        let is_due = now.duration_since(self.looked_up) >= LOOK_UP;
        if self.clerk.events_were_lost()? || is_due {
            // Those whose first program was missed, or whose processes were moved in, count as running.
            self.lookout.all_executed(&self.clerk);
            self.stir();
            self.walk()?;
        }
        if is_due {
            self.looked_up = now;
            let book: &Book = &self.clerk.book;
            asks.extend(book.containers().into_iter().filter_map(|cgroup| book.ask(cgroup)));
            self.lookout.locate_all(&self.clerk);
        }
        self.act(asks)?;
        self.lookout.tick(now, &mut self.clerk)?;
        self.clerk.look_after(self.settings.retention)
    }

    fn act(&mut self, actions: Vec<Action>) -> Result<(), Error> {
        for action in actions {
            match action {
                Action::Ask { cgroup, path, proposals } => {
                    self.asking += 1;
                    self.namer.ask(cgroup, path, proposals);
                }
                Action::AskLater(cgroup, wait) => self.later.push((Instant::now() + wait, cgroup)),
                action => self.clerk.act(action)?,
            }
        }
        Ok(())
    }
}
