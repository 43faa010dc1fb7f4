//! Reads one `[[limits.policy]]`.

use super::{
    numbers::{self, NUMBERS},
    problem::Findings,
    select::{self, SELECT},
    table::{Kind, Table},
    text::Text,
};
use crate::enforcer::{Mode, Numbers, OnPidsLimit, Policy, Selector};

pub(super) const POLICY: Kind = Kind {
    name: "[[limits.policy]]",
    keys: &[
        "name",
        "select",
        "pids",
        "egress",
        "ingress",
        "smooth",
        "mode",
        "on-pids-limit",
        "above-runtime",
    ],
};

/// Bytes of a policy's name.
const MOST_NAME: usize = 64;

/// What the rest of the file says.
pub(super) struct Around<'a> {
    /// The mode of all limits.
    pub(super) mode: Mode,
    /// What no limit may be above.
    pub(super) cap: Numbers,
    /// The policies before this one.
    pub(super) before: &'a [Policy],
}

/// The policy; `None` where it has no name or selects nothing, which is told.
pub(super) fn read(mut table: Table<'_>, around: &Around<'_>, findings: &mut Findings<'_>) -> Option<Policy> {
    let (at, path) = table.whereabouts();
    let limits_something = table.has_any(&NUMBERS);
    tell_useless(&table, findings);
    let name = read_name(&mut table, around.before, findings);
    let select = read_select(&mut table, findings);
    let numbers = numbers::read(&mut table, Some(&around.cap), findings);
    let smooth = read_smooth(&mut table, findings);
    let mode = read_mode(&mut table, around.mode, findings);
    let actions = OnPidsLimit::ALL.map(|it| (it.as_str(), it));
    let on_pids_limit = table.take("on-pids-limit").and_then(|it| it.choice(&actions, findings));
    let above_runtime = table.take("above-runtime").and_then(|it| it.boolean(findings));
    // One of its unknown keys may have been meant as a limit.
    if !table.finish(findings) && !limits_something {
        findings.error(&at, &path, "sets no limit; give it pids, egress or ingress, or leave it out");
    }
    Some(Policy {
        name: name?,
        line: findings.place(at.start).line,
        select: select?,
        numbers,
        mode,
        smooth,
        on_pids_limit: on_pids_limit.unwrap_or_default(),
        above_runtime: above_runtime.unwrap_or_default(),
    })
}

/// What says how a limit is held that the policy does not set.
fn tell_useless(table: &Table<'_>, findings: &mut Findings<'_>) {
    for (key, of) in [("on-pids-limit", "pids"), ("above-runtime", "pids"), ("smooth", "egress")] {
        if !table.has_any(&[of])
            && let Some((at, path)) = table.place_of(key)
        {
            findings.error(&at, &path, format!("does nothing: the policy sets no {of}"));
        }
    }
}

fn read_name(table: &mut Table<'_>, before: &[Policy], findings: &mut Findings<'_>) -> Option<String> {
    let Some(entry) = table.take("name") else {
        findings.error(&table.at, &table.path, "has no name; what it does is told by its name");
        return None;
    };
    let name = entry.text("a string", findings)?;
    match name_problem(&name, before) {
        Some(problem) => {
            name.wrong(problem, findings);
            None
        }
        None => Some(name.string),
    }
}

fn name_problem(name: &Text, before: &[Policy]) -> Option<String> {
    let name = &name.string;
    if let Some(same) = before.iter().find(|policy| policy.name == *name) {
        return Some(format!("the policy in line {} has that name", same.line));
    }
    if name.trim().is_empty() {
        return Some("a name has a letter at least".to_owned());
    }
    if name.len() > MOST_NAME {
        return Some(format!("a name has at most {MOST_NAME} bytes, and this one {}", name.len()));
    }
    name.contains(char::is_control).then(|| "a name has no control characters".to_owned())
}

fn read_select(table: &mut Table<'_>, findings: &mut Findings<'_>) -> Option<Selector> {
    let Some(entry) = table.take("select") else {
        let reason = "selects nothing; say whom it is for, as in select = { name = \"web*\" }; { all = true } is for every container";
        findings.error(&table.at, &table.path, reason);
        return None;
    };
    select::read(entry.table(&SELECT, findings)?, findings)
}

fn read_smooth(table: &mut Table<'_>, findings: &mut Findings<'_>) -> bool {
    let Some(entry) = table.take("smooth") else { return false };
    let (at, path) = entry.whereabouts();
    let smooth = entry.boolean(findings).unwrap_or_default();
    if smooth {
        findings.warn(&at, &path, "has no effect yet: TCP is not paced at its sockets");
    }
    smooth
}

fn read_mode(table: &mut Table<'_>, global: Mode, findings: &mut Findings<'_>) -> Option<Mode> {
    let entry = table.take("mode")?;
    let (at, path) = entry.whereabouts();
    let mode = entry.choice(&Mode::ALL.map(|it| (it.as_str(), it)), findings)?;
    if mode > global && global != Mode::Off {
        findings.warn(&at, &path, format!("\"{mode}\": the weaker holds, and limits.mode is \"{global}\""));
    }
    Some(mode)
}
