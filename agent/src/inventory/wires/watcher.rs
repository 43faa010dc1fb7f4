//! The thread that watches: one piece of news after the other.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
    thread,
    time::Duration,
};

use plimsoll_common::traffic::{Count, Direction};
use tokio::sync::mpsc::UnboundedSender;

use super::{Candidate, Heard, Location, Question, Reading, Told, Wire};
use crate::{
    cgroup,
    kernel::veths::{State, Veths},
    network::{Change, Counters, Link, Namespace, NamespaceId, Peer, Requests, interfaces, packets_wait},
};

/// Readings at moments when no packet waited that are enough.
const SURE: u32 = 2;
/// Readings between which packets passed that are enough under a load without such moments.
const MOVED: u32 = 20;
/// How often an interface is read for one offset at most: packets wait for long where other work has all CPUs.
const TRIES: usize = 1_500;
/// Between two readings: longer than packets stay between an interface's counter and its program.
const BETWEEN: Duration = Duration::from_micros(300);

/// What is known of a pair.
#[derive(Debug)]
struct Known {
    peer: Peer,
    owned: bool,
}

/// What watches.
pub(super) struct Watcher {
    requests: Requests,
    veths: Option<Veths>,
    own: Namespace,
    mount: PathBuf,
    wires: BTreeMap<u32, Known>,
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
            leaving: HashMap::new(),
            asked: Vec::new(),
            heard,
        })
    }

    /// Looks at all that is there, then goes on with what it is told, until nobody is left to tell.
    pub(super) fn run(mut self, told: &Receiver<Told>) {
        let mut result = self.list();
        while result.is_ok() {
            let Ok(news) = told.recv() else { return };
            result = match news {
                Told::Change(Change::Link(link)) => self.appeared(&link),
                Told::Change(Change::Gone(link)) => {
                    if let Some(waiting) = self.leaving.get_mut(&link.ifindex) {
                        *waiting = None;
                    }
                    if self.wires.contains_key(&link.ifindex) {
                        self.gone(link.ifindex, Some(link));
                    }
                    Ok(())
                }
                Told::Change(Change::Lost) => self.list(),
                Told::Question(question) => self.asked(question),
                Told::Deaf(error) => Err(error.into()),
            };
        }
        if let Err(error) = result {
            self.tell(Heard::Failed(format!("{error:#}")));
        }
    }

    fn tell(&self, heard: Heard) {
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
        self.tell(Heard::Listed(there));
        Ok(())
    }

    fn gone(&mut self, ifindex: u32, last: Option<Link>) {
        self.wires.remove(&ifindex);
        self.leaving.insert(ifindex, None);
        self.tell(Heard::Gone(ifindex, last));
    }

    /// An interface is there, or changed.
    fn appeared(&mut self, link: &Link) -> anyhow::Result<()> {
        let Some(peer) = link.peer.filter(|_| link.is_veth) else { return Ok(()) };
        if let Some(waiting) = self.leaving.get_mut(&link.ifindex) {
            *waiting = Some(link.clone());
            return Ok(());
        }
        match self.wires.get_mut(&link.ifindex) {
            Some(known) if known.peer == peer => return Ok(()),
            Some(known) => {
                *known = Known { peer, owned: false };
                self.recognise(link.ifindex, peer)?;
            }
            None => {
                let wire = self.count(link.ifindex)?;
                self.wires.insert(link.ifindex, Known { peer, owned: false });
                self.tell(Heard::Wire(wire));
                self.recognise(link.ifindex, peer)?;
            }
        }
        Ok(())
    }

    /// Has an interface counted.
    fn count(&mut self, ifindex: u32) -> anyhow::Result<Wire> {
        // One that is gone already is told all the same: its last counters are about to be heard.
        let alone = |reason| Wire { ifindex, counted: Err(reason), offset: [Count::default(); 2] };
        let Some(veths) = &mut self.veths else {
            return Ok(alone("this kernel has no tcx links".to_owned()));
        };
        if let Err(error) = veths.attach(ifindex) {
            return Ok(alone(error.to_string()));
        }
        let offset = self.offset(ifindex)?.unwrap_or_default();
        Ok(Wire { ifindex, counted: Ok(()), offset })
    }

    /// What an interface has counted beyond what its programs did; `None` where it is gone.
    ///
    /// A packet passes the interface's counter and the program one after the other, so one reading may see it in one of
    /// them: of some consistent ones the least is right where the counter comes first, the greatest where the program does.
    fn offset(&mut self, ifindex: u32) -> anyhow::Result<Option<[Count; 2]>> {
        let Some(veths) = &self.veths else { return Ok(None) };
        let mut found: [Vec<Count>; 2] = [Vec::new(), Vec::new()];
        let (mut sure, mut moved, mut last) = (0, 0, None);
        for _ in 0..TRIES {
            let before = veths.traffic(ifindex)?;
            moved += u32::from(last.replace(before).is_some_and(|last| last != before));
            let Some(link) = self.requests.link(ifindex, None)? else { return Ok(None) };
            let between = packets_wait()?;
            let after = veths.traffic(ifindex)?;
            let outside = as_the_container_sees(&link);
            if outside.iter().all(|counted| counted.packets == 0) {
                return Ok(Some([Count::default(); 2])); // nothing passed before the programs were there
            }
            let mut still = true;
            for (place, found) in found.iter_mut().enumerate() {
                let (seen, counted) = (before[place].total(), outside[place]);
                if seen == after[place].total() {
                    let counted = Count { bytes: counted.bytes, packets: counted.packets };
                    found.push(counted.plus(seen.complement()));
                } else {
                    still = false;
                }
            }
            // Whatever the interface had counted then was counted by the programs before, or it would wait now.
            sure += u32::from(still && !between);
            if sure >= SURE || (moved >= MOVED && found.iter().all(|found| !found.is_empty())) {
                break;
            }
            thread::sleep(BETWEEN);
        }
        let signed = |count: &Count| count.bytes.cast_signed();
        let [received, transmitted] = found;
        let received = received.into_iter().max_by_key(signed).unwrap_or_default();
        let transmitted = transmitted.into_iter().min_by_key(signed).unwrap_or_default();
        Ok(Some([received, transmitted]))
    }

    fn asked(&mut self, question: Question) -> anyhow::Result<()> {
        match question {
            Question::Where(candidates) => self.search(candidates),
            Question::Everybody(candidates) => {
                self.asked.clear();
                self.search(candidates)
            }
            Question::Counters => self.read(),
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
        let unowned = self.wires.iter().filter(|(_, known)| !known.owned);
        let unowned: Vec<_> = unowned.map(|(ifindex, known)| (*ifindex, known.peer)).collect();
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
            let Some(Known { peer, owned }) = self.wires.get(&link.ifindex) else { continue };
            let inside = if *owned {
                self.requests.link(peer.ifindex, Some(peer.namespace)).ok().flatten()
            } else {
                None
            };
            readings.push(Reading {
                ifindex: link.ifindex,
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

/// What the host's end transmits, the container receives.
fn as_the_container_sees(outside: &Link) -> [Counters; 2] {
    let mut counters = [Counters::default(); 2];
    counters[Direction::Receive as usize] = outside.transmitted;
    counters[Direction::Transmit as usize] = outside.received;
    counters
}
