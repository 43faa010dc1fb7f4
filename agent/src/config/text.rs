//! One string of the file, and what it should say.

use std::{fmt::Display, ops::Range, str::FromStr};

use super::problem::Findings;
use crate::enforcer::nearest::nearest;

/// A string of the file.
pub(super) struct Text {
    /// The key from the top.
    pub(super) path: String,
    /// Where the string is.
    pub(super) at: Range<usize>,
    /// The string.
    pub(super) string: String,
}

impl Text {
    /// What the string says.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, findings: &mut Findings<'_>) -> Option<T> {
        self.read(str::parse, findings)
    }

    /// What `read` makes of the string.
    pub(super) fn read<T, E: Display>(
        &self,
        read: impl FnOnce(&str) -> Result<T, E>,
        findings: &mut Findings<'_>,
    ) -> Option<T> {
        read(&self.string).map_err(|error| self.wrong(error, findings)).ok()
    }

    /// The choice that has this name.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)], findings: &mut Findings<'_>) -> Option<T> {
        let names = || choices.iter().map(|(name, _)| *name);
        let chosen = choices.iter().find(|(name, _)| *name == self.string).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let hint = nearest(&self.string, names()).map_or_else(
                || format!("; there are {}", names().collect::<Vec<_>>().join(", ")),
                |near| format!("; did you mean {near:?}?"),
            );
            self.wrong(format_args!("there is no such choice{hint}"), findings);
        }
        chosen
    }

    /// Notes what is wrong with the string.
    pub(super) fn wrong(&self, reason: impl Display, findings: &mut Findings<'_>) {
        findings.error(&self.at, &self.path, format!("{}: {reason}", quoted(&self.string)));
    }
}

/// A string of the file as an error shows it.
pub(super) fn quoted(string: &str) -> String {
    let (shown, rest) = cut(string);
    format!("{shown:?}{rest}")
}

/// The beginning of something that an error shows, and a mark where that is not all.
pub(super) fn cut(text: &str) -> (&str, &'static str) {
    const MOST: usize = 80;
    text.char_indices().nth(MOST).map_or((text, ""), |(end, _)| (text.split_at(end).0, "…"))
}
