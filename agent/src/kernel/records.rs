//! What the agent writes down for itself in pinned maps: a text per key. Never knows what it says.

use std::path::Path;

use aya::maps::{HashMap, MapData};
use plimsoll_common::names::{self, RECORD_LEN, SPENT_WORDS};

use super::{
    Error,
    maps::{absent_is_fine, entries, open},
};

/// One map of texts.
#[derive(Debug)]
pub struct Records {
    name: &'static str,
    map: HashMap<MapData, u64, [u8; RECORD_LEN]>,
}

impl Records {
    /// How acts of limits are undone, of the set pinned in `pins`.
    ///
    /// # Errors
    /// It is missing or of another shape.
    pub fn undo(pins: &Path) -> Result<Self, Error> {
        Self::open(pins, names::UNDO)
    }

    /// Limits that were set by hand, of the set pinned in `pins`.
    ///
    /// # Errors
    /// It is missing or of another shape.
    pub fn hands(pins: &Path) -> Result<Self, Error> {
        Self::open(pins, names::HANDS)
    }

    fn open(pins: &Path, name: &'static str) -> Result<Self, Error> {
        Ok(Self { name, map: open(&pins.join("maps"), name)? })
    }

    /// Bytes that a text may have.
    #[must_use]
    pub const fn room() -> usize {
        RECORD_LEN
    }

    /// All texts with their keys. One that is no text is left out.
    ///
    /// # Errors
    /// The kernel's.
    pub fn all(&self) -> Result<Vec<(u64, String)>, Error> {
        let texts = entries(&self.map, self.name)?.into_iter();
        Ok(texts.filter_map(|(key, bytes)| Some((key, text(&bytes)?))).collect())
    }

    /// Writes one down, in the place of what was there.
    ///
    /// # Errors
    /// It is too long, or the kernel's: E2BIG when the map is full.
    pub fn put(&mut self, key: u64, text: &str) -> Result<(), Error> {
        let mut bytes = [0; RECORD_LEN];
        let place = bytes.get_mut(..text.len()).ok_or_else(|| {
            Error::Refused(format!("a record of {} bytes: it may have {RECORD_LEN}", text.len()))
        })?;
        place.copy_from_slice(text.as_bytes());
        self.map.insert(key, bytes, 0).map_err(Error::map("write", self.name))
    }

    /// Forgets one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete(&mut self, key: u64) -> Result<(), Error> {
        absent_is_fine(self.map.remove(&key), self.name)
    }
}

/// What stands before the first zero.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes.get(..end)?.to_vec()).ok()
}

/// What limits have held back, as words.
#[derive(Debug)]
pub struct Spent(HashMap<MapData, u64, [u64; SPENT_WORDS]>);

impl Spent {
    /// That of the set pinned in `pins`.
    ///
    /// # Errors
    /// It is missing or of another shape.
    pub fn open(pins: &Path) -> Result<Self, Error> {
        open(&pins.join("maps"), names::SPENT).map(Self)
    }

    /// All words with their keys.
    ///
    /// # Errors
    /// The kernel's.
    pub fn all(&self) -> Result<Vec<(u64, [u64; SPENT_WORDS])>, Error> {
        entries(&self.0, names::SPENT)
    }

    /// Writes words down.
    ///
    /// # Errors
    /// The kernel's: E2BIG when the map is full.
    pub fn put(&mut self, key: u64, words: &[u64; SPENT_WORDS]) -> Result<(), Error> {
        self.0.insert(key, words, 0).map_err(Error::map("write", names::SPENT))
    }

    /// Forgets words.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete(&mut self, key: u64) -> Result<(), Error> {
        absent_is_fine(self.0.remove(&key), names::SPENT)
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_text_ends_before_the_first_zero() {
        assert_eq!(text(b"ab\0\0").as_deref(), Some("ab"));
        assert_eq!(text(b"ab").as_deref(), Some("ab"));
        assert_eq!(text(b"\xff\0"), None);
    }
}
