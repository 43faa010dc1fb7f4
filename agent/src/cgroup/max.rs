//! A limit of tasks, as `pids.max` has it. Pure.

use std::fmt;

/// The most that the kernel takes: `PID_MAX_LIMIT`, include/linux/threads.h.
pub(super) const MOST: u64 = 4 << 20;

/// How many tasks (processes and threads) may be in a cgroup and below; a lower one is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Max {
    /// So many; 0 refuses every fork.
    Number(u64),
    /// As many as there can be.
    None,
}

impl Max {
    /// What the file says.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        match text.trim_ascii() {
            b"max" => Some(Self::None),
            number => str::from_utf8(number).ok()?.parse().ok().map(Self::Number),
        }
    }
}

/// As the file says it.
impl fmt::Display for Max {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::None => f.write_str("max"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Max;

    #[test]
    fn a_limit_is_a_number_or_max() {
        let rows: [(&[u8], Option<Max>); 7] = [
            (b"max\n", Some(Max::None)),
            (b"0\n", Some(Max::Number(0))),
            (b"4194304\n", Some(Max::Number(4_194_304))),
            (b"", None),
            (b"-1\n", None),
            (b"maximum", None),
            (b"\xff", None),
        ];
        for (text, max) in rows {
            assert_eq!(Max::parse(text), max);
        }
        for text in ["max", "0", "50"] {
            assert_eq!(Max::parse(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn no_limit_is_the_highest() {
        let lowest = [Max::None, Max::Number(7), Max::Number(3)].into_iter().min();
        assert_eq!(lowest, Some(Max::Number(3)));
    }
}
