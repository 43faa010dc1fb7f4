//! Cuts strings from outside to a length that pages and pinned maps can bear.

use std::borrow::Cow;

use plimsoll_common::key::key;

/// Bytes that a string from outside has at most.
pub const MAX_BYTES: usize = 256;
/// Stands in a cut string where it was cut; a hash of the whole follows.
const MARK: &str = "…";
/// Bytes of the mark and of the 16 hexadecimal digits that follow it.
const TAIL: usize = MARK.len() + 16;

/// The string itself or, where it is longer than [`MAX_BYTES`], its beginning, `…` and a hash of the whole.
///
/// Different strings stay different: of two that begin alike the hashes differ.
#[must_use]
pub fn bounded(raw: &str) -> Cow<'_, str> {
    if raw.len() <= MAX_BYTES {
        return Cow::Borrowed(raw);
    }
    let (kept, _) = raw.split_at(raw.floor_char_boundary(MAX_BYTES - TAIL));
    Cow::Owned(format!("{kept}{MARK}{:016x}", key(&[raw.as_bytes()])))
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, bounded};

    #[test]
    fn short_strings_stay_and_long_ones_differ_still() {
        assert_eq!(bounded("/docker/4f"), "/docker/4f");
        let (one, two) = ("é".repeat(5_000), "é".repeat(5_001));
        assert!(bounded(&one).len() <= MAX_BYTES && bounded(&one) != bounded(&two));
        assert_eq!(bounded(&bounded(&one)), bounded(&one));
    }
}
