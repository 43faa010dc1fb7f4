//! Reads `[limits]`: what holds for all limits, and the policies.

use std::{fmt, ops::Range, str::FromStr};

use super::{
    numbers::{self, NUMBERS},
    policy::{self, Around, POLICY},
    problem::Findings,
    table::{Kind, Table},
};
use crate::enforcer::{Mode, Numbers, Policies, Policy};

pub(super) const LIMITS: Kind =
    Kind { name: "[limits]", keys: &["mode", "labels", "soft", "uplink", "cap", "policy"] };
pub(super) const CAP: Kind = Kind { name: "[limits.cap]", keys: &NUMBERS };

/// What the table says.
pub(super) fn read(mut table: Table<'_>, findings: &mut Findings<'_>) -> Policies {
    let default = Policies::default();
    let mode = table.take("mode").and_then(|it| it.choice(&Mode::ALL.map(|it| (it.as_str(), it)), findings));
    let mode = mode.unwrap_or(default.mode);
    let labels = table.take("labels").and_then(|it| it.boolean(findings)).unwrap_or(default.labels);
    let percent = table.take("soft").and_then(|it| it.integer("a number of percent from 1 to 100", findings));
    let uplink = table.take("uplink").and_then(|it| {
        let (at, path) = it.whereabouts();
        let name = it.text("the name of an interface", findings)?.parse(findings)?;
        findings.warn(&at, &path, "has no effect yet: host-network containers have no bandwidth limit");
        Some(name)
    });
    let cap = table.take("cap").and_then(|it| it.table(&CAP, findings));
    let cap = cap.map_or_else(Numbers::default, |table| read_cap(table, findings));
    let policies = table.take("policy").map(|it| it.tables(&POLICY, findings)).unwrap_or_default();
    let policies = read_policies(policies, mode, cap, findings);
    table.finish(findings);
    Policies {
        mode,
        command_line: None,
        labels,
        soft_percent: percent.map_or(default.soft_percent, |Percent(percent)| percent),
        cap,
        uplink: uplink.map(|Interface(name)| name),
        policies,
    }
}

fn read_cap(mut table: Table<'_>, findings: &mut Findings<'_>) -> Numbers {
    if !table.has_any(&NUMBERS) {
        findings.warn(&table.at, &table.path, "an empty cap bounds nothing");
    }
    let cap = numbers::read(&mut table, None, findings);
    table.finish(findings);
    cap
}

fn read_policies(
    tables: Vec<Table<'_>>,
    mode: Mode,
    cap: Numbers,
    findings: &mut Findings<'_>,
) -> Vec<Policy> {
    if let Some(first) = tables.first().filter(|_| mode == Mode::Off) {
        findings.warn(&first.at, "limits.policy", "with limits.mode = \"off\", no policy does anything");
    }
    let mut policies: Vec<Policy> = Vec::new();
    for table in tables {
        let (at, path) = table.whereabouts();
        let Some(policy) = policy::read(table, &Around { mode, cap, before: &policies }, findings) else {
            continue;
        };
        tell_unreachable(&policy, &policies, (&at, &path), findings);
        policies.push(policy);
    }
    policies
}

/// The first policy that sets a limit holds: one behind others that select as much and set as much is never heard.
fn tell_unreachable(
    policy: &Policy,
    before: &[Policy],
    (at, path): (&Range<usize>, &str),
    findings: &mut Findings<'_>,
) {
    let covering = before.iter().filter(|earlier| earlier.select.covers(&policy.select));
    let mut set = Numbers::default();
    for earlier in covering {
        set = set.or(earlier.numbers);
        if set.has_all_of(&policy.numbers) {
            let reason = format!(
                "never holds: all it sets is set for the same containers before it, at last by policy {:?} in line {}",
                earlier.name, earlier.line
            );
            return findings.warn(at, path, reason);
        }
    }
}

/// A part of a task limit.
struct Percent(u8);

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let percent = text.parse().ok().filter(|percent| (1..=100).contains(percent));
        percent.map(Self).ok_or("should be a number of percent of the task limit, from 1 to 100")
    }
}

/// A name that an interface may have (`dev_valid_name`, net/core/dev.c).
struct Interface(String);

/// What no interface can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotAnInterface {
    Invalid,
    Loopback,
}

impl fmt::Display for NotAnInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "not the name of an interface: 1 to 15 bytes, no blank, no / and no :",
            Self::Loopback => "nothing leaves the host by loopback",
        })
    }
}

impl FromStr for Interface {
    type Err = NotAnInterface;

    fn from_str(name: &str) -> Result<Self, NotAnInterface> {
        let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
        match name {
            "" | "." | ".." => Err(NotAnInterface::Invalid),
            "lo" => Err(NotAnInterface::Loopback),
            name if name.len() > 15 || name.contains(refused) => Err(NotAnInterface::Invalid),
            name => Ok(Self(name.to_owned())),
        }
    }
}
