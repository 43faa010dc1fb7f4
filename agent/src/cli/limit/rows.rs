//! The tables of limits: which rows, in which order, and their lines. Pure.

use crate::{
    cli::{table::table, units},
    control::document::{Row, State},
    ledger::{
        limits::{Counts, What},
        span::Span,
    },
};

const HEADING: [&str; 10] =
    ["CONTAINER", "LIMIT", "LINE", "USED", "MODE", "FROM", "METHOD", "STATE", "HITS/DROPPED", "UNTIL"];
const VIOLATIONS: [&str; 8] = ["CONTAINER", "LIMIT", "LINE", "USED", "MODE", "FROM", "TIMES", "LASTED"];

const YELLOW: &str = "\u{1b}[33m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// By the containers' names, then by what is limited.
pub(super) fn order(rows: &mut [Row<'_>]) {
    rows.sort_by(|one, other| {
        let key = |row: &Row<'_>| (name(row), row.container.id.clone(), row.what);
        key(one).cmp(&key(other))
    });
}

/// Whether a container was at this line, or over it in a dry run.
pub(super) fn was_at_its_line(row: &Row<'_>) -> bool {
    let Counts { hits, violations, at_line_ms, dropped, passed: _, delayed: _ } = row.counts;
    hits > 0 || violations > 0 || at_line_ms > 0 || dropped.packets > 0
}

/// The table of limits at a moment, in seconds since 1970.
pub(super) fn table_of(rows: &[Row<'_>], at: f64, painted: bool) -> String {
    let cells = rows.iter().map(|row| {
        let mut cells = first(row);
        let lost = if row.what == What::Tasks { row.counts.hits } else { row.counts.dropped.packets };
        cells.extend([or_dash(&row.method), state(row), lost.to_string(), until(row, at)]);
        cells
    });
    paint(&table(&HEADING, cells, &[2, 3, 8]), rows, painted)
}

/// The table of who was at their lines.
pub(super) fn violations(rows: &[Row<'_>], painted: bool) -> String {
    let cells = rows.iter().map(|row| {
        let Counts { hits, violations, at_line_ms, .. } = row.counts;
        let times = if row.state == State::DryRun { violations } else { hits };
        let mut cells = first(row);
        cells.extend([times.to_string(), lasted(at_line_ms)]);
        cells
    });
    paint(&table(&VIOLATIONS, cells, &[2, 3, 6, 7]), rows, painted)
}

/// The cells that both tables begin with.
fn first(row: &Row<'_>) -> Vec<String> {
    let used = row.used.map_or_else(
        || "-".to_owned(),
        |used| match row.what {
            What::Tasks => used.to_string(),
            What::Ingress | What::Egress => units::rate(units::about(used)),
        },
    );
    let line = match row.what {
        What::Tasks => row.value.to_string(),
        What::Ingress | What::Egress => units::rate(row.value),
    };
    vec![name(row), row.what.as_str().to_owned(), line, used, row.mode.to_string(), row.origin.to_string()]
}

/// The container's name; else what stands for it in an answer.
fn name(row: &Row<'_>) -> String {
    if row.container.name.is_empty() { row.container.to_string() } else { row.container.name.clone() }
}

fn state(row: &Row<'_>) -> String {
    let state = match row.state {
        State::Held => "held",
        State::DryRun => "dry-run",
        State::NotHeld => "not held",
    };
    row.degraded.as_ref().map_or_else(|| state.to_owned(), |reason| format!("{state}: {reason}"))
}

fn until(row: &Row<'_>, at: f64) -> String {
    let Some(until) = row.until else { return "-".to_owned() };
    let left = std::time::Duration::try_from_secs_f64(until - at).unwrap_or_default().as_secs();
    Span::of(left).map_or_else(|| "now".to_owned(), |left| format!("in {left}"))
}

fn lasted(milliseconds: u64) -> String {
    match Span::of(milliseconds / 1_000) {
        Some(span) => span.to_string(),
        None => format!("{milliseconds}ms"),
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// Lines of limits that are not held, or not as well as elsewhere, in colours.
fn paint(table: &str, rows: &[Row<'_>], painted: bool) -> String {
    if !painted {
        return table.to_owned();
    }
    let colours = rows.iter().map(|row| match row.state {
        State::NotHeld => Some(RED),
        State::Held if row.degraded.is_some() => Some(YELLOW),
        State::Held | State::DryRun => None,
    });
    let lines = table.lines().zip(std::iter::once(None).chain(colours));
    let lines = lines.map(|(line, colour)| match colour {
        Some(colour) => format!("{colour}{line}{PLAIN}"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
