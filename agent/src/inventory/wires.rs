//! Watches the host's ends of veth pairs: has them counted, and finds the account whose namespace the other end is in.
//! On a thread of its own: the kernel holds one lock over all of its network configuration, and whoever asks may wait.

mod offset;
mod watcher;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::mpsc::{Sender, channel},
    thread,
};

use plimsoll_common::traffic::{Count, Direction};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use watcher::Watcher;

use crate::network::{Change, Changes, Counters, Link, Namespace, NetworkError};

/// One that may be at the other end of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its account.
    pub account: u64,
    /// Its cgroups, from the hierarchy's root.
    pub paths: Vec<Vec<u8>>,
}

/// What is asked of the watcher.
#[derive(Debug)]
pub enum Question {
    /// Where are they, and which pairs are theirs? Of two in one namespace the first is its owner.
    Where(Vec<Candidate>),
    /// The same of all that there are.
    Everybody(Vec<Candidate>),
    /// What have the interfaces counted?
    Counters,
    /// The accounts that these pairs belonged to are gone: whoever is in their namespaces is to have them.
    Release(Vec<u32>),
    /// Nothing is to be kept of an interface any more.
    Forget(u32),
}

/// What the watcher tells.
#[derive(Debug)]
pub enum Heard {
    /// The host's end of a pair is there, and counted from now on.
    Wire(Wire),
    /// The host's end of a pair is gone, with its last counters where they were heard.
    Gone(u32, Option<Link>),
    /// Where somebody is.
    Found(u64, Location),
    /// The other end of a pair is in the namespace of that account, which calls it so.
    Owner(u32, u64, String),
    /// What interfaces have counted.
    Counters(Vec<Reading>),
    /// All interfaces that are there were told of.
    Listed(HashSet<u32>),
    /// It ended, and why.
    Failed(String),
}

/// The host's end of a veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// Its number.
    pub ifindex: u32,
    /// Whether programs count there; else why not.
    pub counted: Result<(), String>,
    /// What the interface had counted beyond what the programs did; received and transmitted by the container.
    pub offset: [Count; 2],
}

/// One reading of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The number of the host's end.
    pub ifindex: u32,
    /// Whether a queue at the host's end holds back what the container is to receive.
    pub is_queued: bool,
    /// What the host's end has counted, as the container sees it: received, transmitted.
    pub outside: [Counters; 2],
    /// The other end's name, and what it has counted: received, transmitted. `None` where it cannot be looked at.
    pub inside: Option<(String, [Counters; 2])>,
}

/// What the host's end of a pair transmits, the container receives.
#[must_use]
pub fn as_the_container_sees(outside: &Link) -> [Counters; 2] {
    let mut counters = [Counters::default(); 2];
    counters[Direction::Receive as usize] = outside.transmitted;
    counters[Direction::Transmit as usize] = outside.received;
    counters
}

/// Where an account's processes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In the host's network.
    Host,
    /// In another namespace, with these interfaces beside the loopback.
    Inside(Namespace, Vec<String>),
}

/// The asking end.
#[derive(Debug, Clone)]
pub struct Wires {
    questions: Sender<Told>,
}

/// What arrives at the watcher.
#[derive(Debug)]
enum Told {
    Change(Change),
    Question(Question),
    Deaf(NetworkError),
}

impl Wires {
    /// Starts to watch: first all that are there, then as they come and go. `pins` is the directory of the programs, `mount`
    /// that of the hierarchy of [`Candidate::paths`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn watch(pins: &Path, mount: PathBuf) -> anyhow::Result<(Self, UnboundedReceiver<Heard>)> {
        let (heard, answers) = mpsc::unbounded_channel();
        let (questions, told) = channel();
        // Listening comes first: what changes during the first look is heard.
        let changes = Changes::open()?;
        let watcher = Watcher::new(pins, mount, heard)?;
        let listener = questions.clone();
        thread::Builder::new().name("links".into()).spawn(move || listen(changes, &listener))?;
        thread::Builder::new().name("wires".into()).spawn(move || watcher.run(&told))?;
        Ok((Self { questions }, answers))
    }

    /// Where nothing can be watched: it ended before it began, for that reason.
    #[must_use]
    pub fn blind(reason: String) -> (Self, UnboundedReceiver<Heard>) {
        let (heard, answers) = mpsc::unbounded_channel();
        let _ = heard.send(Heard::Failed(reason)); // the receiver is here
        (Self { questions: channel().0 }, answers)
    }

    /// Asks. Answers come as they are found.
    pub fn ask(&self, question: Question) {
        let _ = self.questions.send(Told::Question(question)); // it ended, and said so
    }
}

fn listen(mut changes: Changes, told: &Sender<Told>) {
    loop {
        let arrived = match changes.hear() {
            Ok(changes) => changes.into_iter().map(Told::Change).collect(),
            Err(error) => vec![Told::Deaf(error)],
        };
        for news in arrived {
            let is_last = matches!(news, Told::Deaf(_));
            if told.send(news).is_err() || is_last {
                return;
            }
        }
    }
}
