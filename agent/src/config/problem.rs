//! What is wrong with a file, and where. A file is read to its end: whoever wrote it sees everything at once.

use std::{fmt, ops::Range};

/// Problems that are told at most.
const MOST: usize = 50;

/// Where in a file something begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
}

/// What cannot be, or looks as if it were not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The key, from the top: `limits.policy[2].egress`, counted from 0; empty where it is about none.
    pub key: String,
    /// What is wrong, and what may be meant.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, reason } = self;
        let separator = if key.is_empty() { "" } else { ": " };
        write!(f, "{place}: {key}{separator}{reason}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Everything found in one file so far.
pub(super) struct Findings<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let begins = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(begins).collect();
        Self { text, lines, errors: Vec::new(), warnings: Vec::new() }
    }

    /// Notes what cannot be.
    pub(super) fn error(&mut self, at: &Range<usize>, key: &str, reason: impl Into<String>) {
        let problem = self.problem(at, key, reason.into());
        self.errors.push(problem);
    }

    /// Notes what can be and is hardly meant.
    pub(super) fn warn(&mut self, at: &Range<usize>, key: &str, reason: impl Into<String>) {
        let problem = self.problem(at, key, reason.into());
        self.warnings.push(problem);
    }

    /// Whether nothing was found that cannot be.
    pub(super) const fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    fn problem(&self, at: &Range<usize>, key: &str, reason: String) -> Problem {
        Problem { place: self.place(at.start), key: key.to_owned(), reason }
    }

    /// Where the byte at `offset` is.
    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|begin| *begin <= offset);
        let begin = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let before = self.text.get(begin..offset.min(self.text.len())).unwrap_or_default();
        Place { line: line.max(1), column: before.chars().count() + 1 }
    }

    /// The warnings.
    ///
    /// # Errors
    /// The errors, in the file's order, if there are any.
    pub(super) fn into_result(self) -> Result<Vec<Problem>, Vec<Problem>> {
        let Self { mut errors, mut warnings, .. } = self;
        if errors.is_empty() {
            warnings.sort_by_key(|problem| problem.place);
            return Ok(warnings);
        }
        errors.sort_by_key(|problem| problem.place);
        let more = errors.len().saturating_sub(MOST);
        errors.truncate(MOST);
        if let Some(last) = errors.last_mut().filter(|_| more > 0) {
            last.reason = format!("{} (and {more} more)", last.reason);
        }
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, MOST, Place};

    #[test]
    fn places_are_lines_and_characters() {
        let findings = Findings::new("a\n\nübc\nd");
        for (offset, line, column) in [
            (0, 1, 1),
            (1, 1, 2),
            (2, 2, 1),
            (3, 3, 1),
            (5, 3, 2),
            (6, 3, 3),
            (7, 3, 4),
            (8, 4, 1),
            (99, 4, 2),
        ] {
            assert_eq!(findings.place(offset), Place { line, column }, "{offset}");
        }
        assert_eq!(Findings::new("").place(0), Place { line: 1, column: 1 });
    }

    #[test]
    fn errors_come_in_the_files_order_and_not_too_many() {
        let mut findings = Findings::new("a\nb\nc");
        findings.warn(&(0..1), "a", "odd");
        assert_eq!(findings.place(4).line, 3);
        for at in [4, 0, 2] {
            findings.error(&(at..at + 1), "key", at.to_string());
        }
        let errors = findings.into_result().unwrap_err();
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["1:1: key: 0", "2:1: key: 2", "3:1: key: 4"]);

        let mut findings = Findings::new("a");
        (0..MOST + 7).for_each(|_| findings.error(&(0..1), "", "wrong"));
        let errors = findings.into_result().unwrap_err();
        assert_eq!(
            (errors.len(), errors[MOST - 1].to_string()),
            (MOST, "1:1: wrong (and 7 more)".to_owned())
        );
    }
}
