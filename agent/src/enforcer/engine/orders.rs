//! What the engine is told, and what it does then.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::oneshot;

use super::{Engine, Line, Mode, Place, Policies};
use crate::{
    enforcer::{ByHand, Numbers, Protected},
    kernel::Error,
    ledger::{
        journal::{Kind, Note, Who},
        limits::{self, What},
        roster::Subject,
    },
};

/// One order.
#[derive(Debug)]
pub enum Order {
    /// These are there now.
    Roster(Arc<[Subject]>),
    /// A configuration is in force.
    Policies(Box<Policies>),
    /// A configuration is not in force, and why.
    Refused(String),
    /// Somebody sets or unsets limits of one container.
    Hand(Box<HandRequest>, oneshot::Sender<Result<Settled, Refusal>>),
    /// The task limit of the cgroup with this id was hit.
    Hit(u64),
}

/// Limits by hand for one container.
#[derive(Debug)]
pub struct HandRequest {
    /// Its account.
    pub account: u64,
    /// What becomes of each thing that is named: a number, or none any more.
    pub changes: Vec<(What, Option<u64>)>,
    /// They shall be counted only.
    pub dry_run: bool,
    /// When they are over.
    pub until: Option<SystemTime>,
    /// Who asks: a user id.
    pub uid: u32,
}

/// What a request came to.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The lines that the container has now.
    pub lines: Vec<limits::Line>,
    /// What is not, or not wholly, as it was asked for.
    pub notes: Vec<String>,
}

/// Why it came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is protected.
    #[error("{0}")]
    Protected(Protected),
    /// A number that cannot be, or nothing that could be unset.
    #[error("{0}")]
    Impossible(String),
    /// The kernel refused.
    #[error("{0}")]
    Failed(String),
}

impl Engine {
    /// Takes orders that came together; of who is there, only the last word counts.
    pub(super) fn take_all(&mut self, orders: Vec<Order>) {
        let is_roster = |order: &Order| matches!(order, Order::Roster(_));
        let last = orders.iter().rposition(is_roster);
        for (place, order) in orders.into_iter().enumerate() {
            if !is_roster(&order) || Some(place) == last {
                self.take(order);
            }
        }
        self.tell();
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Roster(roster) => {
                self.roster = Some(roster);
                self.settle();
            }
            Order::Policies(policies) => {
                self.policies = *policies;
                self.problem = None;
                self.loaded = SystemTime::now();
                self.settle();
                let (held, dry) = (self.count(Mode::Enforce), self.count(Mode::DryRun));
                let why = format!("{held} limits enforced, {dry} in a dry run");
                self.write(Note { why, ..Note::new(Kind::ConfigLoaded, Who::Agent) });
            }
            Order::Refused(why) => {
                self.problem = Some(why.clone());
                self.write(Note { why, ..Note::new(Kind::ConfigRefused, Who::Agent) });
            }
            Order::Hit(cgroup) => {
                self.alarm.again(cgroup);
                if let Some(line) = self.line_at(Place::Tasks(cgroup)).cloned() {
                    self.sample_tasks(&line, Duration::ZERO);
                }
            }
            Order::Hand(request, answer) => {
                if !answer.is_closed() {
                    let result = self.by_hand(&request);
                    let _ = answer.send(result); // who asked may have gone
                }
            }
        }
    }

    fn by_hand(&mut self, request: &HandRequest) -> Result<Settled, Refusal> {
        let HandRequest { account, changes, dry_run, until, uid } = request;
        let roster = self.roster.clone().unwrap_or_default();
        let subject = roster.iter().find(|subject| subject.account == *account).cloned();
        let subject = subject.ok_or_else(|| Refusal::Failed("it is gone".into()))?;
        let wanted = super::wanted(&self.policies, &self.hands, &self.protection, &subject);
        if let Some(reason) = wanted.protected {
            return Err(Refusal::Protected(reason));
        }
        let before = self.hands.get(*account).cloned();
        let mut hand = before.unwrap_or_else(|| ByHand {
            numbers: Numbers::default(),
            dry_run: *dry_run,
            by: format!("uid {uid}"),
            until: *until,
        });
        let sets = changes.iter().any(|(_, number)| number.is_some());
        if sets && let Some(other) = other_terms(&hand, request) {
            return Err(Refusal::Impossible(other));
        }
        if sets {
            (hand.dry_run, hand.until, hand.by) = (*dry_run, *until, format!("uid {uid}"));
        }
        let mut notes = Vec::new();
        for (what, number) in changes {
            let from = change(&mut hand.numbers, *what, *number).map_err(Refusal::Impossible)?;
            let kind = if number.is_some() { Kind::Set } else { Kind::Unset };
            let show = |number: Option<u64>| number.map_or_else(String::new, |number| shown(*what, number));
            let note = Note { from: show(from), to: show(*number), ..Note::new(kind, Who::Uid(*uid)) };
            notes.push(note.of(*account, &subject.identity, Some(*what)));
        }
        let failed = |error: Error| Refusal::Failed(error.to_string());
        if self.hands.put(*account, hand.clone()).is_err() {
            // There may be room that containers which are gone for good have.
            self.hands.keep(|other| roster.iter().any(|one| one.account == other)).map_err(failed)?;
            self.hands.put(*account, hand).map_err(failed)?;
        }
        for note in notes {
            self.write(note);
        }
        self.settle();
        let wanted = super::wanted(&self.policies, &self.hands, &self.protection, &subject);
        let report = self.compose();
        let named = |line: &limits::Line| changes.iter().any(|(what, _)| *what == line.what);
        let lines = report.lines.into_iter().filter(|line| line.account == *account && named(line)).collect();
        let notes = wanted.ignored.iter().map(ToString::to_string).collect();
        Ok(Settled { lines, notes })
    }
}

/// All limits by hand of a container last as long, and are enforced or not: which others would change with these, and how.
fn other_terms(hand: &ByHand, request: &HandRequest) -> Option<String> {
    let HandRequest { changes, dry_run, until, .. } = request;
    let Numbers { pids, egress, ingress } = &hand.numbers;
    let set = [
        (What::Tasks, pids.as_ref().map(ToString::to_string)),
        (What::Egress, egress.as_ref().map(ToString::to_string)),
        (What::Ingress, ingress.as_ref().map(ToString::to_string)),
    ];
    let is_other = |what| changes.iter().all(|(changed, _)| *changed != what);
    let others: Vec<String> = set
        .into_iter()
        .filter(|(what, _)| is_other(*what))
        .filter_map(|(what, number)| Some(format!("{} {}", what.as_str(), number?)))
        .collect();
    let is_same = hand.dry_run == *dry_run && hand.until.is_none() && until.is_none();
    (!others.is_empty() && !is_same).then(|| {
        format!(
            "{} by hand would last as long as this, and be enforced or not as this: name it, too, or unset it first",
            others.join(", ")
        )
    })
}

/// Puts a number in its place; gives the one that was there.
fn change(numbers: &mut Numbers, what: What, number: Option<u64>) -> Result<Option<u64>, String> {
    use crate::enforcer::{BitsPerSecond, Tasks};
    let rate =
        |number: Option<u64>| number.map(BitsPerSecond::new).transpose().map_err(|error| error.to_string());
    Ok(match what {
        What::Tasks => {
            let new = number.map(Tasks::new).transpose().map_err(|error| error.to_string())?;
            std::mem::replace(&mut numbers.pids, new).map(|tasks| tasks.get().into())
        }
        What::Ingress => std::mem::replace(&mut numbers.ingress, rate(number)?).map(BitsPerSecond::bits),
        What::Egress => std::mem::replace(&mut numbers.egress, rate(number)?).map(BitsPerSecond::bits),
    })
}

/// A number as people write it.
pub(super) fn shown(what: What, number: u64) -> String {
    match what {
        What::Tasks => number.to_string(),
        What::Ingress | What::Egress => crate::enforcer::BitsPerSecond::new(number)
            .map_or_else(|_| number.to_string(), |rate| rate.to_string()),
    }
}

impl Line {
    /// The key of what came of it.
    pub(super) fn key(&self) -> u64 {
        crate::enforcer::spending::sum_key(self.account, self.what)
    }
}
