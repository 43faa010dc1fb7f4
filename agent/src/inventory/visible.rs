//! Strings from outside on a terminal and in a log.

/// The text, with characters written as escapes that move a cursor, turn a line around, or join others to one.
#[must_use]
pub fn visible(text: &str) -> String {
    let moves = |c: char| c.is_control() || is_invisible(c);
    text.chars()
        .flat_map(|c| if moves(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// Marks of direction, joiners, and spaces without a width.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_would_move_a_cursor_is_written_out() {
        assert_eq!(visible("é x"), "é x");
        assert_eq!(visible("a\u{1b}[2J\n\u{202e}b"), "a\\u{1b}[2J\\n\\u{202e}b");
    }
}
