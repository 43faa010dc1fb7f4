//! Reads the limits themselves, of a policy or of the cap.

use std::fmt::Display;

use super::{
    problem::Findings,
    table::{Entry, Table},
};
use crate::enforcer::{BitsPerSecond, Numbers, Tasks, rate};

/// The keys that hold a limit.
pub(super) const NUMBERS: [&str; 3] = ["pids", "egress", "ingress"];

/// Fewer tasks are hardly meant: what starts a container, and whoever looks into it, need some too.
const FEW_TASKS: u32 = 10;

/// The limits that a table has; those above the cap are told.
pub(super) fn read(table: &mut Table<'_>, cap: Option<&Numbers>, findings: &mut Findings<'_>) -> Numbers {
    let pids = table.take("pids").and_then(|it| tasks(it, cap.and_then(|cap| cap.pids), findings));
    let egress = table.take("egress").and_then(|it| rate(it, cap.and_then(|cap| cap.egress), findings));
    let ingress = table.take("ingress").and_then(|it| rate(it, cap.and_then(|cap| cap.ingress), findings));
    Numbers { pids, egress, ingress }
}

fn tasks(entry: Entry<'_>, cap: Option<Tasks>, findings: &mut Findings<'_>) -> Option<Tasks> {
    let (at, path) = entry.whereabouts();
    let tasks: Tasks = entry.integer("a number of tasks without quotes, as in 200", findings)?;
    if tasks.get() < FEW_TASKS {
        findings.warn(
            &at,
            &path,
            format!("{tasks}: few containers run with so few tasks; threads count, too"),
        );
    }
    tell_capped(&tasks, cap, (&at, &path), findings);
    Some(tasks)
}

fn rate(entry: Entry<'_>, cap: Option<BitsPerSecond>, findings: &mut Findings<'_>) -> Option<BitsPerSecond> {
    let (at, path) = entry.whereabouts();
    let in_bytes = entry.as_str().is_some_and(rate::is_in_bytes);
    let rate: BitsPerSecond = entry.integer_or_text("a rate in quotes, as in \"10mbit\"", findings)?;
    if in_bytes {
        findings.warn(&at, &path, format!("bps is bytes per second, as tc has it: this is {rate}"));
    }
    tell_capped(&rate, cap, (&at, &path), findings);
    Some(rate)
}

fn tell_capped<T: PartialOrd + Display>(
    number: &T,
    cap: Option<T>,
    (at, path): (&std::ops::Range<usize>, &str),
    findings: &mut Findings<'_>,
) {
    if let Some(cap) = cap.filter(|cap| cap < number) {
        findings.warn(at, path, format!("{number} is above the cap, and {cap} will hold in its place"));
    }
}
