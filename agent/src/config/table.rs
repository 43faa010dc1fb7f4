//! One table of the file: each key is taken once, and what is left over is unknown.

use std::{fmt::Display, ops::Range, str::FromStr};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    KINDS,
    problem::Findings,
    text::{Text, cut, quoted},
};
use crate::enforcer::nearest::nearest;

/// A table that is being read.
pub(super) struct Table<'f> {
    /// Its name from the top; empty for the top.
    pub(super) path: String,
    /// Where it begins.
    pub(super) at: Range<usize>,
    kind: &'static Kind,
    entries: DeTable<'f>,
}

/// Which keys a table may have.
pub(super) struct Kind {
    /// How a file names it: `[limits]`; empty for the top.
    pub(super) name: &'static str,
    /// The keys that it may have.
    pub(super) keys: &'static [&'static str],
}

/// A key's value.
pub(super) struct Entry<'f> {
    /// The key from the top.
    pub(super) path: String,
    /// Where the value is.
    pub(super) at: Range<usize>,
    value: DeValue<'f>,
}

impl<'f> Table<'f> {
    pub(super) fn top(entries: DeTable<'f>, kind: &'static Kind) -> Self {
        Self { path: String::new(), at: 0..0, kind, entries }
    }

    /// The value of a key, which is not there any more then.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'f>> {
        debug_assert!(self.kind.keys.contains(&key), "{key} is a key of {}", self.kind.name);
        self.entries
            .remove_entry(key)
            .map(|(key, value)| entry(joined(&self.path, key.get_ref()), key.span(), value))
    }

    /// Whether it has one of these keys, not taken yet.
    pub(super) fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.entries.contains_key(*key))
    }

    /// Where a key is that was not taken yet, and its path.
    pub(super) fn place_of(&self, key: &str) -> Option<(Range<usize>, String)> {
        self.entries.get_key_value(key).map(|(key, _)| (key.span(), joined(&self.path, key.get_ref())))
    }

    /// Where it begins, and its path.
    pub(super) fn whereabouts(&self) -> (Range<usize>, String) {
        (self.at.clone(), self.path.clone())
    }

    /// Notes every key that was not taken, and tells whether there were any.
    pub(super) fn finish(self, findings: &mut Findings<'_>) -> bool {
        for key in self.entries.keys() {
            let hint = self.kind.hint(key.get_ref());
            let path = joined(&self.path, key.get_ref());
            findings.error(&key.span(), &path, format!("there is no such key{hint}"));
        }
        !self.entries.is_empty()
    }
}

impl Kind {
    /// What may be meant by a key that it has not.
    fn hint(&self, key: &str) -> String {
        if let Some(near) = nearest(key, self.keys.iter().copied()) {
            return format!("; did you mean {near:?}?");
        }
        match KINDS.iter().find(|other| other.keys.contains(&key)) {
            Some(Self { name: "", .. }) => "; it belongs above the first [table]".to_owned(),
            Some(other) => format!("; it belongs in {}", other.name),
            None => format!("; there are {}", self.keys.join(", ")),
        }
    }
}

fn entry(path: String, key: Range<usize>, value: Spanned<DeValue<'_>>) -> Entry<'_> {
    // What a dotted key makes on its way has no place of its own.
    let at = if value.span().is_empty() { key } else { value.span() };
    Entry { path, at, value: value.into_inner() }
}

/// A key as a file would have it.
fn joined(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let key = if bare { key.to_owned() } else { quoted(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

impl<'f> Entry<'f> {
    fn wrong(&self, wanted: &str, findings: &mut Findings<'_>) {
        let found = match &self.value {
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Integer(number) => {
                let (digits, rest) = cut(number.as_str());
                format!("the integer {digits}{rest}")
            }
            other => format!("a {}", other.type_str()),
        };
        findings.error(&self.at, &self.path, format!("should be {wanted}, is {found}"));
    }

    /// Where the value is, and the key's path.
    pub(super) fn whereabouts(&self) -> (Range<usize>, String) {
        (self.at.clone(), self.path.clone())
    }

    /// Its string, if it is one.
    pub(super) fn as_str(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// A string. `wanted` says what else an error asks for.
    pub(super) fn text(self, wanted: &str, findings: &mut Findings<'_>) -> Option<Text> {
        let DeValue::String(string) = self.value else {
            self.wrong(wanted, findings);
            return None;
        };
        Some(Text { path: self.path, at: self.at, string: string.into_owned() })
    }

    /// `true` or `false`.
    pub(super) fn boolean(self, findings: &mut Findings<'_>) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.wrong("true or false", findings);
        }
        value
    }

    /// An integer, as something that is written in decimal digits.
    pub(super) fn integer<T: FromStr<Err: Display>>(
        self,
        wanted: &str,
        findings: &mut Findings<'_>,
    ) -> Option<T> {
        let DeValue::Integer(number) = &self.value else {
            self.wrong(wanted, findings);
            return None;
        };
        let digits = i128::from_str_radix(number.as_str(), number.radix()).map(|number| number.to_string());
        let digits = digits.unwrap_or_else(|_| number.as_str().to_owned());
        let (at, path) = (self.at, self.path);
        let (shown, rest) = cut(&digits);
        digits.parse().map_err(|error| findings.error(&at, &path, format!("{shown}{rest}: {error}"))).ok()
    }

    /// An integer or a string, as the same thing.
    pub(super) fn integer_or_text<T: FromStr<Err: Display>>(
        self,
        wanted: &str,
        findings: &mut Findings<'_>,
    ) -> Option<T> {
        match self.value {
            DeValue::String(_) => self.text(wanted, findings)?.parse(findings),
            _ => self.integer(wanted, findings),
        }
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(self, choices: &[(&str, T)], findings: &mut Findings<'_>) -> Option<T> {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        let wanted = format!("one of {}", names.join(", "));
        self.text(&wanted, findings)?.choice(choices, findings)
    }

    /// What `read` makes of each string of a list, or of a string alone where `one` is allowed; `None` where anything is
    /// wrong, after a look at all of them.
    pub(super) fn each<T>(
        self,
        one: bool,
        mut read: impl FnMut(&Text, &mut Findings<'_>) -> Option<T>,
        findings: &mut Findings<'_>,
    ) -> Option<Vec<T>> {
        let elements: Vec<Self> = match self.value {
            DeValue::String(_) if one => vec![self],
            DeValue::Array(_) => self.elements().collect(),
            _ => {
                self.wrong(if one { "a string or a list of strings" } else { "a list of strings" }, findings);
                return None;
            }
        };
        let each = elements.into_iter().map(|it| read(&it.text("a string", findings)?, findings));
        each.collect::<Vec<_>>().into_iter().collect()
    }

    /// A table.
    pub(super) fn table(self, kind: &'static Kind, findings: &mut Findings<'_>) -> Option<Table<'f>> {
        let DeValue::Table(entries) = self.value else {
            self.wrong("a table", findings);
            return None;
        };
        Some(Table { path: self.path, at: self.at, kind, entries })
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// The keys and values of a table whose keys may be any; nothing where it is none.
    pub(super) fn pairs(self) -> Vec<(Text, Self)> {
        let entries = if let DeValue::Table(entries) = self.value { entries } else { DeTable::new() };
        let pairs = entries.into_iter().map(|(key, value)| {
            let (at, path) = (key.span(), joined(&self.path, key.get_ref()));
            let text =
                Text { path: path.clone(), at: at.clone(), string: key.get_ref().clone().into_owned() };
            (text, entry(path, at, value))
        });
        pairs.collect()
    }

    /// A list of tables.
    pub(super) fn tables(self, kind: &'static Kind, findings: &mut Findings<'_>) -> Vec<Table<'f>> {
        match self.value {
            DeValue::Array(_) => {
                self.elements().filter_map(|element| element.table(kind, findings)).collect()
            }
            DeValue::Table(_) => {
                let reason = format!("there may be several: write {}, with two brackets", kind.name);
                findings.error(&self.at, &self.path, reason);
                Vec::new()
            }
            _ => {
                self.wrong("a list of tables", findings);
                Vec::new()
            }
        }
    }

    fn elements(self) -> impl Iterator<Item = Self> {
        let list = if let DeValue::Array(list) = self.value { list } else { DeArray::new() };
        list.into_iter()
            .enumerate()
            .map(move |(index, value)| entry(format!("{}[{index}]", self.path), self.at.clone(), value))
    }
}
