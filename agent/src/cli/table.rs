//! Tables for terminals.

use comfy_table::{CellAlignment, Table, presets};

use crate::inventory::visible;

/// A table without lines: a heading, then rows; `right` names the columns whose numbers stand under each other.
pub(super) fn table(
    heading: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    right: &[usize],
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heading.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell)));
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
