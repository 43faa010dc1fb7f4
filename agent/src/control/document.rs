//! Answers as JSON. One type for both sides.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::desk::{Refused, Settled};
use crate::{
    inventory::bounded,
    ledger::{
        journal::Container,
        limits::{Counts, Limits, Line, What},
        moment::seconds,
    },
};

/// What `GET /v1/limits` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitsDocument<'a> {
    /// `off`, `dry-run` or `enforce`: what is done at most.
    pub mode: Cow<'a, str>,
    /// What somebody else had changed, and was put back or told of, since counting began.
    pub drift: u64,
    /// When the configuration in force was read, in seconds since 1970; `null` where there is none.
    pub loaded: Option<f64>,
    /// Why a newer configuration is not in force; `null` where none was refused.
    pub problem: Option<Cow<'a, str>>,
    /// One per container and thing that is limited.
    pub limits: Vec<Row<'a>>,
}

/// One limit of one container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row<'a> {
    /// The container.
    pub container: Container,
    /// Its cgroup's path from the hierarchy's root.
    pub cgroup: Cow<'a, str>,
    /// What is limited.
    pub what: What,
    /// The line: tasks, or bits per second.
    pub value: u64,
    /// What is used of it now; `null` where nobody knows.
    pub used: Option<u64>,
    /// `dry-run` or `enforce`.
    pub mode: Cow<'a, str>,
    /// Who wants it: `by hand (uid 0)`, `policy web`, `label plimsoll.pids`.
    pub origin: Cow<'a, str>,
    /// When it ends by itself, in seconds since 1970; `null`: it does not.
    pub until: Option<f64>,
    /// What holds it: `pids.max`, `tbf`, `ifb`; empty where nothing does.
    pub method: Cow<'a, str>,
    /// Whether it is held.
    pub state: State,
    /// Why it is not held, or not as well as elsewhere.
    pub degraded: Option<Cow<'a, str>>,
    /// What came of it since it was first set.
    pub counts: Counts,
}

/// Whether a limit is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is.
    Held,
    /// It is decided and counted, and nothing is touched.
    DryRun,
    /// It cannot be.
    NotHeld,
}

/// What `POST /v1/limits/set` and `/unset` answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettledDocument<'a> {
    /// The container that was meant.
    pub container: Container,
    /// What is not, or not wholly, as it was asked for: a sentence each.
    pub notes: Vec<Cow<'a, str>>,
    /// Of what the request named: the limits that it has now.
    pub limits: Vec<Row<'a>>,
}

/// What everything else answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument<'a> {
    /// What is wrong.
    pub error: Cow<'a, str>,
    /// What to do; may be empty.
    pub hint: Cow<'a, str>,
}

/// Entries that a stream of events could not tell any more, as a line between those it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// How many.
    pub lost: u64,
}

impl<'a> From<&'a Limits> for LimitsDocument<'a> {
    fn from(limits: &'a Limits) -> Self {
        let Limits { mode, lines, drift, loaded, problem, first: _ } = limits;
        Self {
            mode: (*mode).into(),
            drift: *drift,
            loaded: loaded.map(seconds),
            problem: problem.as_deref().map(Cow::Borrowed),
            limits: lines.iter().map(Row::from).collect(),
        }
    }
}

impl<'a> From<&'a Line> for Row<'a> {
    fn from(line: &'a Line) -> Self {
        let Line { account: _, identity, what, value, used, mode, origin, until, method, degraded, counts } =
            line;
        let state = match (*mode, *method) {
            ("dry-run", _) => State::DryRun,
            (_, "") => State::NotHeld,
            _ => State::Held,
        };
        Self {
            container: identity.as_ref().into(),
            cgroup: bounded(&identity.id),
            what: *what,
            value: *value,
            used: *used,
            mode: (*mode).into(),
            origin: origin.as_str().into(),
            until: until.map(seconds),
            method: (*method).into(),
            state,
            degraded: degraded.as_deref().map(Cow::Borrowed),
            counts: *counts,
        }
    }
}

impl<'a> From<&'a Settled> for SettledDocument<'a> {
    fn from(settled: &'a Settled) -> Self {
        let Settled { container, lines, notes } = settled;
        Self {
            container: container.clone(),
            notes: notes.iter().map(|note| note.as_str().into()).collect(),
            limits: lines.iter().map(Row::from).collect(),
        }
    }
}

impl<'a> From<&'a Refused> for ErrorDocument<'a> {
    fn from(refused: &'a Refused) -> Self {
        let Refused { why: _, error, hint } = refused;
        Self { error: error.into(), hint: hint.into() }
    }
}
