//! Tables for terminals.

use comfy_table::{CellAlignment, Table, presets};

/// A table without lines: a heading, then rows; `right` names the columns whose numbers stand under each other.
pub(super) fn table(
    heading: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    right: &[usize],
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heading.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for index in right {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Names from outside may hold what moves a terminal's cursor, turns a line around, or joins characters to one.
pub(super) fn printable(cell: &str) -> String {
    let moves = |c: char| c.is_control() || is_invisible(c);
    cell.chars()
        .flat_map(|c| if moves(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// Marks of direction, joiners, and spaces without a width.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_align_and_control_characters_are_shown() {
        let rows = [vec!["a\u{1b}[2J\u{202e}".into(), "1".into()], vec!["longer name".into(), "1000".into()]];
        let text = table(&["NAME", "FORKS"], rows, &[1]);
        assert!(!text.contains('\u{1b}') && text.contains("a\\u{1b}[2J\\u{202e}"), "{text}");
        let ends: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(ends.len(), 3);
        assert!(ends.iter().all(|end| *end == ends[0]), "{text}");
    }
}
