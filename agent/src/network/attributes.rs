//! Attributes of netlink messages as bytes. A typed parser fails as a whole where somebody else's qdisc says something new;
//! here what cannot be understood is passed over.

use netlink_packet_core::NLA_TYPE_MASK;

/// The attributes in some bytes: kind without its flags, and value. Ends at one that is cut off.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [low, high, kind @ ..] = *bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes(kind) & NLA_TYPE_MASK, value))
    })
}

/// The value of the first attribute of a kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// The 32 bits that begin at an offset.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// The 64 bits that begin at an offset.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

/// A text, which ends with a zero.
pub(super) fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Attributes to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// Adds one.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let Ok(length) = u16::try_from(value.len() + 4) else { return self };
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a text.
    pub(super) fn text(self, kind: u16, text: &str) -> Self {
        self.with(kind, &[text.as_bytes(), b"\0"].concat())
    }

    /// Adds attributes as one.
    pub(super) fn nest(self, kind: u16, inner: &Self) -> Self {
        self.with(kind, &inner.0)
    }

    /// Those of an answer, as they came.
    pub(super) fn received(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, attribute, attributes, text, u32_at, u64_at};

    #[test]
    fn what_is_written_is_read_again() {
        let inner = Attributes::default().with(3, &[1, 2, 3, 4, 5]).with(4, &[]);
        let all = Attributes::default().text(1, "tbf").nest(2 | 0x8000, &inner);
        assert_eq!(all.bytes().len() % 4, 0);
        let read: Vec<_> = attributes(all.bytes()).collect();
        assert_eq!(read, [(1, &b"tbf\0"[..]), (2, inner.bytes())], "without the flag of a nest");
        assert_eq!(attribute(inner.bytes(), 3), Some(&[1, 2, 3, 4, 5][..]));
        assert_eq!(attribute(inner.bytes(), 4), Some(&[][..]));
        assert_eq!(attribute(inner.bytes(), 5), None);
    }

    #[test]
    fn what_is_cut_off_ends_the_list() {
        let whole = Attributes::default().with(1, &[9; 6]).with(2, &[8; 4]);
        for length in 0..=whole.bytes().len() {
            let read = attributes(&whole.bytes()[..length]).count();
            assert_eq!(read, usize::from(length >= 10) + usize::from(length >= 20), "{length}");
        }
        assert_eq!(attributes(&[0; 64]).count(), 0, "a length below that of a header");
        assert_eq!(attributes(&[0xff; 64]).count(), 0);
    }

    #[test]
    fn numbers_and_texts_may_be_missing() {
        assert_eq!(u32_at(&[0, 1, 0, 0, 0], 1), Some(u32::from_ne_bytes([1, 0, 0, 0])));
        assert_eq!(u32_at(&[0; 4], 1), None);
        assert_eq!(u64_at(&[0; 8], 9), None);
        assert_eq!(text(b"fq_codel\0"), "fq_codel");
        assert_eq!(text(b"a\xff"), "a\u{fffd}");
        assert_eq!(text(b""), "");
    }
}
