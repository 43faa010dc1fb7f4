//! What the engine says: to the journal as it happens, and to readers as a whole.

use std::{collections::HashMap, sync::Arc};

use super::{Action, Engine, Held, Line, Mode, NotHeld, Place, orders::shown};
use crate::{
    enforcer::Origin,
    ledger::{
        journal::{Container, Kind, Note, Who},
        limits::{self, Limits, What},
    },
};

impl Engine {
    /// What came of an action.
    pub(super) fn acted(
        &mut self,
        action: &Action,
        before: Option<u64>,
        result: &Result<Option<Held>, NotHeld>,
    ) {
        let (place, now) = match action {
            Action::Hold(place, desired) => (*place, Some(desired.wanted)),
            Action::Undo(record) => (record.place(), None),
        };
        let number =
            |number: Option<u64>| number.map_or_else(String::new, |number| shown(what(place), number));
        let who = self.line_at(place).map_or(Who::Agent, |line| whose(&line.origin));
        let is_undone = now.is_none() && !self.doer.done.contains_key(&place);
        let (kind, why) = match result {
            Ok(Some(Held { method, degraded: Some(degraded) })) => {
                (Kind::Applied, format!("{method}: {degraded}"))
            }
            Ok(Some(Held { method, degraded: None })) => (Kind::Applied, (*method).to_owned()),
            Ok(None) => (Kind::Undone, String::new()),
            Err(NotHeld(why)) if is_undone => (Kind::Undone, why.clone()),
            Err(NotHeld(why)) if now.is_none() => (Kind::Degraded, format!("not undone: {why}")),
            Err(NotHeld(why)) => (Kind::Degraded, format!("not held: {why}")),
        };
        self.note(place, kind, who, number(before), number(now), why);
    }

    pub(super) fn note(&mut self, place: Place, kind: Kind, who: Who, from: String, to: String, why: String) {
        let (account, container) = self.line_at(place).map_or_else(
            || (0, Container { id: format!("{place:?}"), name: String::new() }),
            |line| (line.account, Container::from(&*line.identity)),
        );
        self.write(Note { kind, account, container, what: Some(what(place)), from, to, who, why });
    }

    /// Publishes how all limits are.
    pub(super) fn tell(&self) {
        self.report.send_replace(Arc::new(self.compose()));
    }

    pub(super) fn compose(&self) -> Limits {
        let mut first = HashMap::new();
        for (place, line) in self.lines.iter().enumerate() {
            first.entry(line.account).or_insert(place);
        }
        Limits {
            mode: self.policies.mode().as_str(),
            lines: self.lines.iter().map(|line| self.line(line)).collect(),
            first,
            drift: self.drift,
            loaded: Some(self.loaded),
            problem: self.problem.clone(),
        }
    }

    fn line(&self, line: &Line) -> limits::Line {
        let Line { account, identity, what, value, mode, origin, places, nowhere, .. } = line;
        let is_meant = *mode == Mode::Enforce;
        let tried = || places.iter().filter(|_| is_meant).filter_map(|place| self.tried.get(place));
        let refused = tried().find_map(|tried| tried.result.as_ref().err());
        let held = tried().find_map(|tried| tried.result.as_ref().ok()?.as_ref());
        let degraded = match (nowhere, refused, held) {
            (Some(nowhere), ..) => Some((*nowhere).to_owned()),
            (None, Some(NotHeld(why)), _) => Some(why.clone()),
            (None, None, Some(held)) => held.degraded.clone(),
            (None, None, None) => None,
        };
        limits::Line {
            account: *account,
            identity: identity.clone(),
            what: *what,
            value: *value,
            used: self.used.get(&line.key()).and_then(|used| used.now),
            mode: mode.as_str(),
            origin: origin.to_string(),
            until: match origin {
                Origin::Hand { until, .. } => *until,
                _ => None,
            },
            method: held.filter(|_| refused.is_none()).map_or("", |held| held.method),
            degraded,
            counts: self.spending.counts(line.key()),
        }
    }
}

/// What is limited at a place.
pub(super) const fn what(place: Place) -> What {
    match place {
        Place::Tasks(_) | Place::Frozen(_) => What::Tasks,
        Place::Ingress(_) => What::Ingress,
        Place::Egress(_) => What::Egress,
    }
}

fn whose(origin: &Origin) -> Who {
    match origin {
        Origin::Hand { by, .. } => {
            by.strip_prefix("uid ").and_then(|uid| uid.parse().ok()).map_or(Who::Agent, Who::Uid)
        }
        Origin::Policy { name, .. } => Who::Policy(name.clone()),
        Origin::Label { key } => Who::Label(key.clone()),
    }
}
