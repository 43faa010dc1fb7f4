//! What the kernel refused, with the words that it may have said about it.

use std::{fmt, io};

use netlink_packet_core::{ErrorMessage, NLM_F_ACK_TLVS, NLM_F_CAPPED};

use super::attributes::{attribute, text};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG`, include/uapi/linux/netlink.h.
const MESSAGE: u16 = 1;

/// An error of a question.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: io::Error,
    /// The kernel's words, from 4.12 on, where it has some.
    pub(super) words: Option<String>,
}

impl Refusal {
    /// What an answer says, whose header has these flags.
    pub(super) fn new(answer: &ErrorMessage, flags: u16) -> Self {
        Self { error: answer.to_io(), words: words(&answer.header, flags) }
    }

    /// The number of the error.
    pub(super) fn errno(&self) -> Option<i32> {
        self.error.raw_os_error()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.words {
            Some(words) => write!(f, "{}: {}", words.trim_end_matches('.'), self.error),
            None => self.error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { error, words: None }
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// What follows the question, of which only the header is repeated where the answer is capped.
fn words(question: &[u8], flags: u16) -> Option<String> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let length = u32::from_ne_bytes(*question.first_chunk()?) as usize;
    let repeated = if flags & NLM_F_CAPPED == 0 { length.next_multiple_of(4) } else { HEADER };
    attribute(question.get(repeated..)?, MESSAGE).map(text).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED};

    use super::{super::attributes::Attributes, words};

    #[test]
    fn the_kernels_words_follow_the_question() {
        let said = Attributes::default().with(2, &[0; 4]).text(1, "Exclusivity flag on");
        let answer = |repeated: usize| {
            let mut bytes = vec![0; repeated];
            bytes[..4].copy_from_slice(&30_u32.to_ne_bytes());
            bytes.extend(said.bytes());
            bytes
        };
        let wanted = Some("Exclusivity flag on");
        let rows = [
            (answer(16), NLM_F_ACK_TLVS | NLM_F_CAPPED, wanted),
            (answer(32), NLM_F_ACK_TLVS, wanted),
            (answer(16), NLM_F_CAPPED, None),
            (answer(16), NLM_F_ACK_TLVS, None),
            (vec![1], NLM_F_ACK_TLVS, None),
        ];
        for (answer, flags, wanted) in rows {
            assert_eq!(words(&answer, flags).as_deref(), wanted, "{flags:x} {answer:?}");
        }
    }
}
