//! What the engine says: to the journal as it happens, and to readers as a whole.

use std::sync::Arc;

use super::{Engine, Held, Line, Mode, NotHeld, Place, Record, orders::shown};
use crate::{
    enforcer::Origin,
    ledger::{
        journal::{Container, Kind, Note, Who},
        limits::{self, Limits, What},
    },
};

impl Engine {
    pub(super) fn held(
        &mut self,
        place: Place,
        before: Option<u64>,
        now: u64,
        result: &Result<Held, NotHeld>,
    ) {
        let what = what(place);
        let from = before.map_or_else(String::new, |before| shown(what, before));
        let who = self.line_at(place).map_or(Who::Agent, |line| whose(&line.origin));
        match result {
            Ok(Held { method, degraded }) => {
                let why =
                    degraded.clone().map_or_else(|| (*method).to_owned(), |why| format!("{method}: {why}"));
                self.note(place, Kind::Applied, who, from, shown(what, now), why);
            }
            Err(NotHeld(why)) => {
                self.note(place, Kind::Degraded, who, from, shown(what, now), format!("not held: {why}"));
            }
        }
    }

    pub(super) fn undone(&mut self, record: &Record, told: Option<NotHeld>) {
        let place = record.place();
        let why = told.map_or_else(String::new, |NotHeld(why)| why);
        self.note(place, Kind::Undone, Who::Agent, shown(what(place), record.wanted()), String::new(), why);
        self.tried.remove(&place);
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
        Limits {
            mode: self.policies.mode().as_str(),
            lines: self.lines.iter().map(|line| self.line(line)).collect(),
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
        let held = tried().find_map(|tried| tried.result.as_ref().ok());
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
