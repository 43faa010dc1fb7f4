//! What fits a screen. Pure.

use unicode_width::UnicodeWidthChar as _;

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What is drawn around the rows of a table: a line of state, and the heading.
const ABOVE: usize = 2;

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or_default()).sum()
}

/// A text in so many columns, with `…` at its end where it is cut.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns;
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or_default()) {
        // A column stays free for the mark.
        Some(rest) if rest > 0 => {
            left = rest;
            true
        }
        _ => false,
    };
    let kept: String = text.chars().take_while(fits).collect();
    if columns > 0 { kept + "…" } else { kept }
}

/// How many of so many rows are shown on a screen of that height. Those that are not take a line that says so.
pub(super) fn room(all: usize, height: usize) -> usize {
    let room = height.saturating_sub(ABOVE);
    if all <= room { all } else { room.saturating_sub(1) }
}

/// The lines of a screen: state, then a table of which so many rows are not there.
pub(super) fn lines(state: &str, table: Vec<String>, missing: usize, size: Size) -> Vec<String> {
    let mut lines = vec![cut(state, size.columns)];
    lines.extend(table);
    let more = (missing > 0).then(|| cut(&format!("... {missing} more"), size.columns));
    lines.truncate(size.rows.saturating_sub(usize::from(more.is_some())));
    lines.extend(more);
    lines.truncate(size.rows);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_says_so_and_fits() {
        let table = [
            ("short", 5, "short"),
            ("longer", 5, "long…"),
            ("longer", 1, "…"),
            ("longer", 0, ""),
            ("", 0, ""),
            ("容器容器", 8, "容器容器"),
            ("容器容器", 7, "容器容…"),
            ("容器容器", 6, "容器…"),
        ];
        for (text, columns, expected) in table {
            assert_eq!(cut(text, columns), expected, "{text} in {columns}");
        }
    }

    fn screen(all: usize, rows: usize) -> Vec<String> {
        let shown = room(all, rows);
        let table = (0..=shown).map(|row| if row == 0 { "NAME".into() } else { format!("row {row}") });
        lines("state", table.collect(), all - shown, Size { columns: 80, rows })
    }

    #[test]
    fn rows_that_do_not_fit_are_told() {
        assert_eq!(screen(2, 4), ["state", "NAME", "row 1", "row 2"]);
        assert_eq!(screen(2, 30).len(), 4);
        assert_eq!(screen(3, 4), ["state", "NAME", "row 1", "... 2 more"]);
        assert_eq!(screen(13, 3), ["state", "NAME", "... 13 more"]);
    }

    #[test]
    fn the_smallest_screens_are_not_left() {
        assert_eq!(screen(3, 2), ["state", "... 3 more"]);
        assert_eq!(screen(3, 1), ["... 3 more"]);
        assert_eq!(screen(3, 0), [""; 0]);
        assert_eq!(screen(0, 1), ["state"]);
        assert_eq!(
            lines("state", vec!["NAME".into()], 3, Size { columns: 4, rows: 9 }),
            ["sta…", "NAME", "...…"]
        );
    }
}
