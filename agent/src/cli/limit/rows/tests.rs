//! Tables as they are printed.

use super::*;
use crate::ledger::{journal::Container, limits::Passed};

fn row(name: &'static str, what: What, value: u64) -> Row<'static> {
    Row {
        container: Container { id: "4f2a11bc0d9e77".to_owned(), name: name.to_owned() },
        cgroup: "/docker/4f2a11bc0d9e77".into(),
        what,
        value,
        used: None,
        mode: "enforce".into(),
        origin: "policy web".into(),
        until: None,
        method: "tbf".into(),
        state: State::Held,
        degraded: None,
        counts: Counts::default(),
    }
}

fn rows() -> Vec<Row<'static>> {
    let dropped = Counts { dropped: Passed { bytes: 9_000, packets: 6 }, ..Counts::default() };
    let mut rows = vec![
        Row { counts: dropped, used: Some(1_234_567), ..row("web", What::Egress, 10_000_000) },
        Row {
            state: State::NotHeld,
            method: "".into(),
            degraded: Some("no sch_tbf".into()),
            ..row("", What::Ingress, 1_500_000)
        },
        Row {
            used: Some(49),
            until: Some(160.5),
            origin: "by hand (uid 0)".into(),
            method: "pids.max".into(),
            counts: Counts { hits: 12, at_line_ms: 90_500, ..Counts::default() },
            ..row("web", What::Tasks, 50)
        },
        Row {
            state: State::DryRun,
            mode: "dry-run".into(),
            method: "".into(),
            counts: Counts { violations: 3, at_line_ms: 250, ..Counts::default() },
            ..row("a\u{1b}[2J", What::Tasks, 200)
        },
    ];
    order(&mut rows);
    rows
}

#[test]
fn columns_align_and_say_what_is_held() {
    let expected = "\
CONTAINER       LIMIT        LINE      USED  MODE     FROM             METHOD    STATE                 HITS/DROPPED  UNTIL
4f2a11bc0d9e    ingress  1.5mbit          -  enforce  policy web       -         not held: no sch_tbf             0  -
a\\u{1b}[2J      tasks        200          -  dry-run  policy web       -         dry-run                          0  -
web             tasks         50         49  enforce  by hand (uid 0)  pids.max  held                            12  in 1m
web             egress    10mbit  1.23mbit  enforce  policy web       tbf       held                             6  -";
    let text = table_of(&rows(), 100.0, false);
    let words = |text: &str| {
        text.lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&text), words(expected), "\n{text}");
    let lines: Vec<_> = text.lines().collect();
    for (heading, cell) in [("LIMIT", "ingress"), ("MODE", "enforce"), ("STATE", "not held")] {
        assert_eq!(lines[0].find(heading), lines[1].find(cell), "\n{text}");
    }
    let end = |line: &str, cell: &str| line.find(cell).map(|at| at + cell.len());
    assert_eq!(end(lines[0], "LINE"), end(lines[1], "1.5mbit"), "numbers stand under each other:\n{text}");
}

#[test]
fn who_was_at_a_line_is_told_with_how_long() {
    let rows: Vec<_> = rows().into_iter().filter(was_at_its_line).collect();
    assert_eq!(rows.len(), 3);
    let text = violations(&rows, false);
    let lasts: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().rev().take(2).collect()).collect();
    assert_eq!(lasts, [["LASTED", "TIMES"], ["250ms", "3"], ["1m30s", "12"], ["0ms", "0"]], "\n{text}");
}

#[test]
fn an_end_is_told_as_what_is_left() {
    for (until, at, expected) in [
        (None, 0.0, "-"),
        (Some(3_700.0), 100.0, "in 1h"),
        (Some(100.4), 100.0, "now"),
        (Some(1.0), 100.0, "now"),
    ] {
        assert_eq!(super::until(&Row { until, ..row("web", What::Tasks, 1) }, at), expected);
    }
}

#[test]
fn colours_are_for_terminals_and_for_what_is_wrong() {
    let mut rows = rows();
    rows[3].degraded = Some("fq_codel missing".into());
    let plain = table_of(&rows, 0.0, false);
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let painted = table_of(&rows, 0.0, true);
    let colours: Vec<_> = painted.lines().map(|line| line.get(..5).unwrap_or_default()).collect();
    assert_eq!(colours[1], RED, "{painted:?}");
    assert_eq!(colours[4], YELLOW, "{painted:?}");
    assert!([0, 2, 3].iter().all(|line| !colours[*line].contains('\u{1b}')), "{painted:?}");
    assert_eq!(painted.replace(RED, "").replace(YELLOW, "").replace(PLAIN, ""), plain);
}
