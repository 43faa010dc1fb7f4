//! The thread that watches: one piece of news after the other.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvError, TryRecvError},
    thread,
    time::Duration,
};

use plimsoll_common::traffic::Count;
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Candidate, Heard, Location, Question, Reading, Told, Wire, as_the_container_sees,
    offset::{Offset, Progress},
};
use crate::{
    cgroup,
    kernel::veths::{State, Veths},
    network::{Change, Counters, Link, Namespace, NamespaceId, Peer, Requests, interfaces},
};

/// Between two readings for an offset: longer than packets stay between an interface's counter and its program.
const BETWEEN: Duration = Duration::from_micros(300);

/// What is known of a pair.
#[derive(Debug)]
struct Known {
    /// The other end, once that is in another namespace. Until then a pair is counted only: it has no account.
    peer: Option<Peer>,
    /// It was told that it is there; until then nobody is told whose it is.
    told: bool,
    owned: bool,
    /// What the host's end had received when it was looked at last: at its end the kernel does not know any more.
    received: Counters,
}

impl Known {
    /// The host's end told what it had received. Between the end of its pair and its own it says 0.
    fn saw(&mut self, received: Counters) {
        if received.bytes >= self.received.bytes {
            self.received = received;
        }
    }
}

/// What watches.
pub(super) struct Watcher {
    requests: Requests,
    veths: Option<Veths>,
    own: Namespace,
    mount: PathBuf,
    wires: BTreeMap<u32, Known>,
    /// Pairs that count already, and are not told of until their offset is known.
    measured: VecDeque<(u32, Offset)>,
    /// Gone, and to be forgotten; another interface of that number waits so long.
    leaving: HashMap<u32, Option<Link>>,
    /// Those that were asked for, the last time in this order, and the namespace in which they were found.
    asked: Vec<(Candidate, Option<NamespaceId>)>,
    heard: UnboundedSender<Heard>,
}

impl Watcher {
    /// One that has seen nothing yet.
    pub(super) fn new(pins: &Path, mount: PathBuf, heard: UnboundedSender<Heard>) -> anyhow::Result<Self> {
        Ok(Self {
            requests: Requests::open()?,
            veths: Veths::open(pins)?,
            own: Namespace::own()?,
            mount,
            wires: BTreeMap::new(),
            measured: VecDeque::new(),
            leaving: HashMap::new(),
            asked: Vec::new(),
            heard,
        })
    }

    /// Looks at all that is there, then goes on with what it is told, until nobody is left to tell.
    pub(super) fn run(mut self, told: &Receiver<Told>) {
        let mut result = self.list();
        while result.is_ok() {
            let Ok(news) = self.next(told) else { return };
            result = match news {
                None => self.measure(),
                Some(Told::Change(Change::Link(link))) => self.appeared(&link),
                Some(Told::Change(Change::Gone(link))) => {
                    if let Some(waiting) = self.leaving.get_mut(&link.ifindex) {
                        *waiting = None;
                    }
                    if self.wires.contains_key(&link.ifindex) {
                        self.gone(link.ifindex, Some(link));
                    }
                    Ok(())
                }
                Some(Told::Change(Change::Lost)) => self.list(),
                Some(Told::Question(question)) => self.asked(question),
                Some(Told::Deaf(error)) => Err(error.into()),
            };
        }
        if let Err(error) = result {
            self.tell(Heard::Failed(format!("{error:#}")));
        }
    }

    /// The next piece of news, which is waited for; `None` where there is none yet, and something to be measured.
    fn next(&self, told: &Receiver<Told>) -> Result<Option<Told>, RecvError> {
        if self.measured.is_empty() {
            return told.recv().map(Some);
        }
        match told.try_recv() {
            Ok(news) => Ok(Some(news)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(RecvError),
        }
    }

    fn tell(&self, heard: Heard) {
        tracing::trace!(?heard);
        let _ = self.heard.send(heard); // nobody listens any more: the agent ends
    }

    /// Looks at all interfaces that are there, and at all that left something behind.
    fn list(&mut self) -> anyhow::Result<()> {
        let links = self.requests.links()?;
        let there: HashSet<u32> = links.iter().map(|link| link.ifindex).collect();
        for attached in self.veths.as_ref().map(Veths::attached).transpose()?.unwrap_or_default() {
            if attached.state == State::Dead || !there.contains(&attached.ifindex) {
                self.gone(attached.ifindex, None);
            }
        }
        let unheard = self.wires.keys().filter(|ifindex| !there.contains(ifindex));
        for ifindex in unheard.copied().collect::<Vec<_>>() {
            self.gone(ifindex, None);
        }
        for link in links {
            self.appeared(&link)?;
        }
        while !self.measured.is_empty() {
            self.measure()?;
        }
        self.read()?;
        self.tell(Heard::Listed(there));
        Ok(())
    }

    fn gone(&mut self, ifindex: u32, mut last: Option<Link>) {
        if let Some(known) = self.wires.remove(&ifindex) {
            if let Some(last) = last.as_mut().filter(|last| last.received.bytes < known.received.bytes) {
                last.received = known.received;
            }
            if !known.told && known.peer.is_some() {
                // What its programs did not see, its last counters tell.
                self.measured.retain(|(other, _)| *other != ifindex);
                self.tell(Heard::Wire(Wire { ifindex, counted: Ok(()), offset: [Count::default(); 2] }));
            }
        }
        self.leaving.insert(ifindex, None);
        self.tell(Heard::Gone(ifindex, last));
    }

    /// An interface is there, or changed.
    ///
    /// A veth interface that is a bridge's port is the host's end of a pair, whose other end may be about to be taken
    /// into a container: it is counted before that, for a container may live for a moment only.
    fn appeared(&mut self, link: &Link) -> anyhow::Result<()> {
        if !link.is_veth || (link.peer.is_none() && !link.is_port) {
            return Ok(());
        }
        if let Some(waiting) = self.leaving.get_mut(&link.ifindex) {
            *waiting = Some(link.clone());
            return Ok(());
        }
        let (ifindex, received) = (link.ifindex, link.received);
        if !self.wires.contains_key(&ifindex)
            && let Some(Err(error)) = self.veths.as_mut().map(|veths| veths.attach(ifindex))
        {
            tracing::debug!("interface {ifindex} is not counted yet: {error}");
        }
        let new = Known { peer: None, told: false, owned: false, received };
        let known = self.wires.entry(ifindex).or_insert(new);
        known.saw(received);
        // An end that comes back is about to be removed: it stays who it was.
        let Some(peer) = link.peer.filter(|peer| known.peer != Some(*peer)) else { return Ok(()) };
        known.owned = false;
        match (known.peer.replace(peer), known.told) {
            (None, _) => self.count(ifindex),
            (Some(_), true) => self.recognise(ifindex, peer),
            (Some(_), false) => Ok(()), // it is being measured
        }
    }

    /// Has an interface counted. What it had counted before is measured when there are no more news: some other pair may
    /// live for a moment only.
    fn count(&mut self, ifindex: u32) -> anyhow::Result<()> {
        let attached = match &mut self.veths {
            None => Err("this kernel has no tcx links".to_owned()),
            Some(veths) => veths.attach(ifindex).map_err(|error| error.to_string()),
        };
        match attached {
            Ok(()) => {
                self.measured.push_back((ifindex, Offset::default()));
                Ok(())
            }
            // One that is gone already is told all the same: its last counters are about to be heard.
            counted => self.is_there(Wire { ifindex, counted, offset: [Count::default(); 2] }),
        }
    }

    /// Goes on with the measurement that waits longest.
    fn measure(&mut self) -> anyhow::Result<()> {
        let (Some(veths), Some((ifindex, mut offset))) = (&self.veths, self.measured.pop_front()) else {
            return Ok(());
        };
        match offset.read(ifindex, veths, &mut self.requests)? {
            Progress::Found(offset) => self.is_there(Wire { ifindex, counted: Ok(()), offset }),
            Progress::Again => {
                self.measured.push_back((ifindex, offset));
                thread::sleep(BETWEEN);
                Ok(())
            }
        }
    }

    /// Tells of a pair, and whose it is.
    fn is_there(&mut self, wire: Wire) -> anyhow::Result<()> {
        let ifindex = wire.ifindex;
        let Some(known) = self.wires.get_mut(&ifindex) else { return Ok(()) };
        known.told = true;
        let peer = known.peer;
        self.tell(Heard::Wire(wire));
        peer.map_or(Ok(()), |peer| self.recognise(ifindex, peer))
    }

    fn asked(&mut self, question: Question) -> anyhow::Result<()> {
        match question {
            Question::Where(candidates) => self.search(candidates),
            Question::Everybody(candidates) => {
                self.asked.clear();
                self.search(candidates)
            }
            Question::Counters => self.read(),
            Question::Release(ifindexes) => {
                for ifindex in ifindexes {
                    if let Some(known) = self.wires.get_mut(&ifindex) {
                        known.owned = false;
                    }
                }
                Ok(())
            }
            Question::Forget(ifindex) => self.forget(ifindex),
        }
    }

    fn search(&mut self, candidates: Vec<Candidate>) -> anyhow::Result<()> {
        let mut found: HashMap<NamespaceId, u64> = HashMap::new();
        for candidate in candidates {
            let account = candidate.account;
            let mut namespace_id = None;
            if let Some(pid) = self.process_of(&candidate)
                && let Ok(namespace) = Namespace::of(pid)
            {
                let location = if namespace == self.own {
                    Location::Host
                } else {
                    namespace_id = self.requests.namespace_of(pid)?;
                    Location::Inside(namespace, interfaces(pid).unwrap_or_default())
                };
                self.tell(Heard::Found(account, location));
            }
            if let Some(id) = namespace_id {
                found.entry(id).or_insert(account);
            }
            self.asked.retain(|(other, _)| other.account != account);
            self.asked.push((candidate, namespace_id));
        }
        let unowned = self.wires.iter().filter(|(_, known)| known.told && !known.owned);
        let unowned = unowned.filter_map(|(ifindex, known)| Some((*ifindex, known.peer?)));
        let unowned: Vec<_> = unowned.collect();
        for (ifindex, peer) in unowned {
            if let Some(account) = found.get(&peer.namespace) {
                self.give(ifindex, peer, *account);
            }
        }
        Ok(())
    }

    /// Looks for the account of a new pair among those that were found there, or where no pair led, before.
    fn recognise(&mut self, ifindex: u32, peer: Peer) -> anyhow::Result<()> {
        for place in 0..self.asked.len() {
            let (candidate, known) = &self.asked[place];
            if known.is_some_and(|id| id != peer.namespace) {
                continue;
            }
            let account = candidate.account;
            // It may have ended since, and its namespace's number be another's.
            let Some(pid) = self.process_of(candidate) else { continue };
            if self.requests.namespace_of(pid)? == Some(peer.namespace) {
                self.asked[place].1 = Some(peer.namespace);
                self.give(ifindex, peer, account);
                return Ok(());
            }
        }
        Ok(())
    }

    fn process_of(&self, candidate: &Candidate) -> Option<u32> {
        let mut directories = candidate.paths.iter().map(|path| cgroup::directory(&self.mount, path));
        directories.find_map(|directory| cgroup::first_pid(&directory))
    }

    /// The other end of a pair is that account's; what it is called there.
    fn give(&mut self, ifindex: u32, peer: Peer, account: u64) {
        let Ok(Some(inside)) = self.requests.link(peer.ifindex, Some(peer.namespace)) else {
            return; // it just went, or another question will find it
        };
        if let Some(known) = self.wires.get_mut(&ifindex) {
            known.owned = true;
        }
        self.tell(Heard::Owner(ifindex, account, inside.name));
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let links = self.requests.links()?;
        let mut readings = Vec::new();
        for link in links {
            let Some(known) = self.wires.get_mut(&link.ifindex) else { continue };
            known.saw(link.received);
            let inside = known
                .peer
                .filter(|_| known.owned)
                .and_then(|peer| self.requests.link(peer.ifindex, Some(peer.namespace)).ok().flatten());
            readings.push(Reading {
                ifindex: link.ifindex,
                is_queued: link.is_queued,
                outside: as_the_container_sees(&link),
                inside: inside.map(|link| (link.name, [link.received, link.transmitted])),
            });
        }
        self.tell(Heard::Counters(readings));
        Ok(())
    }

    fn forget(&mut self, ifindex: u32) -> anyhow::Result<()> {
        if let Some(veths) = &mut self.veths {
            veths.detach(ifindex)?;
        }
        match self.leaving.remove(&ifindex).flatten() {
            Some(link) => self.appeared(&link),
            None => Ok(()),
        }
    }
}
