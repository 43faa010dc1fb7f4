//! The table: which rows, in which order, and their lines. Pure.

use clap::ValueEnum;

use super::{rates::Rated, screen};
use crate::{
    cli::{table::table, units},
    inventory::visible,
};

/// What rows are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// By name.
    Name,
    /// Most live processes first.
    Processes,
    /// Most bytes received per second first.
    Rx,
    /// Most bytes transmitted per second first.
    Tx,
}

const HEADING: [&str; 9] = ["NAME", "PROCESSES", "THREADS", "FORKS", "EXECS", "EXITS", "RX/S", "TX/S", "AGE"];
/// The columns of numbers.
const RIGHT: [usize; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
/// Between two columns.
const GAP: usize = 2;
/// Columns that a name keeps on the narrowest terminal.
const NAME: usize = 8;

/// Live containers, or all rows, in order.
pub(super) fn chosen(mut rows: Vec<Rated<'_>>, all: bool, sort: Sort) -> Vec<Rated<'_>> {
    let is_container = |rated: &Rated<'_>| matches!(&*rated.row.kind, "container" | "unresolved");
    rows.retain(|rated| all || (is_container(rated) && rated.row.alive));
    order(&mut rows, sort);
    rows
}

/// Orders rows: numbers from the largest, what is not known last, equal ones by name.
pub(super) fn order(rows: &mut [Rated<'_>], sort: Sort) {
    rows.sort_by(|one, other| {
        let number = |rated: &Rated<'_>| match sort {
            Sort::Name => None,
            Sort::Processes => {
                rated.row.processes.map(|count| u32::try_from(count).map_or(f64::MAX, f64::from))
            }
            Sort::Rx => rated.receive_bytes_per_second,
            Sort::Tx => rated.transmit_bytes_per_second,
        };
        let numbers = [one, other].map(|rated| number(rated).unwrap_or(-1.0));
        let names = (shown_name(one), &*one.row.id).cmp(&(shown_name(other), &*other.row.id));
        numbers[1].total_cmp(&numbers[0]).then(names)
    });
}

/// The table's lines, the heading first: none wider than `columns`, where there is such a limit.
pub(super) fn lines(rows: &[Rated<'_>], at: f64, columns: Option<usize>) -> Vec<String> {
    let mut cells: Vec<Vec<String>> = rows.iter().map(|rated| line(rated, at)).collect();
    if let Some(columns) = columns {
        let room = columns.saturating_sub(width_of_numbers(&cells)).max(NAME);
        for name in cells.iter_mut().filter_map(|row| row.first_mut()) {
            *name = screen::cut(name, room);
        }
    }
    let text = table(&HEADING, cells, &RIGHT);
    let lines = text
        .lines()
        .map(|line| columns.map_or_else(|| line.to_owned(), |columns| screen::cut(line, columns)));
    lines.collect()
}

/// What all columns but the first take, with the gaps.
fn width_of_numbers(cells: &[Vec<String>]) -> usize {
    let widest = |(column, heading): (usize, &&str)| {
        let cells = cells.iter().filter_map(|row| row.get(column));
        cells.map(String::len).fold(heading.len(), usize::max) + GAP
    };
    HEADING.iter().enumerate().skip(1).map(widest).sum()
}

fn shown_name<'a>(rated: &Rated<'a>) -> &'a str {
    if rated.row.name.is_empty() { &rated.row.id } else { &rated.row.name }
}

fn line(rated: &Rated<'_>, at: f64) -> Vec<String> {
    let Rated { row, receive_bytes_per_second, transmit_bytes_per_second } = rated;
    let unknown = || "-".to_owned();
    let gauge = |value: Option<u64>| value.map_or_else(unknown, |value| value.to_string());
    let rate = |value: &Option<f64>| value.map_or_else(unknown, units::bytes);
    let exits = row.exits.ok + row.exits.error + row.exits.signal;
    vec![
        visible(shown_name(rated)),
        gauge(row.processes),
        gauge(row.threads),
        row.forks.to_string(),
        row.execs.to_string(),
        exits.to_string(),
        rate(receive_bytes_per_second),
        rate(transmit_bytes_per_second),
        row.started.filter(|_| row.alive).map_or_else(unknown, |started| units::age(at - started)),
    ]
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            rates::{
                rated,
                tests::{reading, row},
            },
            reading::Reading,
        },
        *,
    };
    use crate::exporter::accounts::Row;

    fn readings() -> (Reading, Reading) {
        let before = reading(999.0, vec![row("b", 0, 0), row("a", 0, 0), row("c", 0, 0)]);
        let dead = Row { processes: None, threads: None, alive: false, ..row("dead", 0, 0) };
        let unit =
            Row { kind: "cgroup".into(), name: "".into(), id: "/system.slice".into(), ..row("x", 0, 0) };
        let few = Row { processes: Some(1), ..row("a", 1, 4_000) };
        let rows = vec![row("b", 12_300, 0), few, row("c", 12_300, 1_000), dead, unit, row("new", 9, 9)];
        (before, reading(1_000.0, rows))
    }

    fn names(all: bool, sort: Sort) -> Vec<String> {
        let (before, now) = readings();
        let rows = chosen(rated(Some(&before), &now), all, sort);
        rows.iter().map(|rated| shown_name(rated).to_owned()).collect()
    }

    #[test]
    fn rows_are_chosen_and_ordered() {
        assert_eq!(names(false, Sort::Name), ["a", "b", "c", "new"]);
        assert_eq!(names(false, Sort::Rx), ["b", "c", "a", "new"]);
        assert_eq!(names(false, Sort::Tx), ["a", "c", "b", "new"]);
        assert_eq!(names(true, Sort::Processes), ["/system.slice", "b", "c", "new", "a", "dead"]);
    }

    #[test]
    fn a_line_has_rates_and_an_age() {
        let (before, mut now) = readings();
        now.at += 3_700.0;
        let rows = rated(Some(&before), &now);
        let cells = |place: usize| line(&rows[place], now.at);
        assert_eq!(cells(0), ["b", "2", "3", "10", "5", "8", "3 B", "0 B", "1h"]);
        assert_eq!(cells(3), ["dead", "-", "-", "10", "5", "8", "-", "-", "-"]);
        assert_eq!(cells(4)[0], "/system.slice");
        assert_eq!(cells(5)[6..8], ["-", "-"]);
    }

    #[test]
    fn names_give_way_and_no_line_is_too_wide() {
        let long = [
            row(&"x".repeat(64), 0, 0),
            row("容器容器容器容器容器容器容器容器容器容器", 0, 0),
            row("short", 0, 0),
        ];
        let now = reading(1_000.0, long.into());
        let rows = rated(None, &now);
        let whole = lines(&rows, now.at, None);
        assert!(whole[1].starts_with(&"x".repeat(64)), "{whole:?}");
        for columns in [0, 1, 20, 60, 80, 100] {
            for line in lines(&rows, now.at, Some(columns)) {
                assert!(screen::width(&line) <= columns, "{columns}: {line:?}");
            }
        }
        let cut = lines(&rows, now.at, Some(80));
        assert!(cut[1].contains("xx…  ") && cut[1].ends_with("  0s"), "{cut:?}");
        assert!(cut[2].contains("器…  ") && cut[3].starts_with("short  "), "{cut:?}");
        assert!(screen::width(&cut[1]) >= 79, "{cut:?}");
    }
}
