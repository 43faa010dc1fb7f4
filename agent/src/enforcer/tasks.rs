//! A number of tasks: what `pids.max` counts, processes and threads alike.

use std::{fmt, str::FromStr};

/// A task limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tasks(u32);

/// A number that is no task limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TasksError {
    /// Nothing could run.
    #[error("with no task at all nothing runs; leave the limit out where there shall be none")]
    Zero,
    /// Less than none.
    #[error("a number of tasks is not negative; leave the limit out where there shall be none")]
    Negative,
    /// More than the kernel can have.
    #[error("more than {most} tasks, which is all that Linux can have", most = Tasks::MOST.0)]
    TooMany,
    /// No number.
    #[error(
        "not a number of tasks; write digits, as in 200, and leave the limit out where there shall be none"
    )]
    NotANumber,
}

impl Tasks {
    /// The most that Linux can have: `PID_MAX_LIMIT`, include/linux/threads.h.
    pub const MOST: Self = Self(4 << 20);

    /// That many tasks, from 1 to [`Tasks::MOST`].
    ///
    /// # Errors
    /// There can be no such limit.
    pub fn new(number: u64) -> Result<Self, TasksError> {
        match u32::try_from(number) {
            Ok(0) => Err(TasksError::Zero),
            Ok(number) if number <= Self::MOST.0 => Ok(Self(number)),
            _ => Err(TasksError::TooMany),
        }
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// That percentage of them, rounded down, and one at least.
    #[must_use]
    pub fn percent(self, percent: u8) -> Self {
        let part = u64::from(self.0) * u64::from(percent.min(100)) / 100;
        Self(u32::try_from(part).unwrap_or(self.0).max(1))
    }
}

impl FromStr for Tasks {
    type Err = TasksError;

    /// Digits alone.
    fn from_str(text: &str) -> Result<Self, TasksError> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.strip_prefix('-') {
            Some(number) if digits(number) => Err(TasksError::Negative),
            // Digits that are no u64 are too many for one.
            None if digits(text) => text.parse().map_or(Err(TasksError::TooMany), Self::new),
            _ => Err(TasksError::NotANumber),
        }
    }
}

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Tasks, TasksError};

    #[test]
    fn digits_from_one_to_what_linux_can_have() {
        for (text, expected) in [
            ("1", Ok(1)),
            ("200", Ok(200)),
            ("0200", Ok(200)),
            ("4194304", Ok(4_194_304)),
            ("4194305", Err(TasksError::TooMany)),
            ("99999999999999999999999999", Err(TasksError::TooMany)),
            ("0", Err(TasksError::Zero)),
            ("00", Err(TasksError::Zero)),
            ("-1", Err(TasksError::Negative)),
            ("-", Err(TasksError::NotANumber)),
            ("--1", Err(TasksError::NotANumber)),
            ("+1", Err(TasksError::NotANumber)),
            ("", Err(TasksError::NotANumber)),
            ("max", Err(TasksError::NotANumber)),
            ("2e2", Err(TasksError::NotANumber)),
            ("200 ", Err(TasksError::NotANumber)),
            ("٣", Err(TasksError::NotANumber)),
        ] {
            assert_eq!(text.parse::<Tasks>().map(Tasks::get), expected, "{text:?}");
        }
    }

    #[test]
    fn a_percentage_is_never_none_and_never_more() {
        for (tasks, percent, expected) in
            [(200, 80, 160), (1, 80, 1), (3, 50, 1), (4_194_304, 100, 4_194_304), (5, 0, 1), (5, 255, 5)]
        {
            assert_eq!(Tasks(tasks).percent(percent), Tasks(expected), "{tasks} {percent}");
        }
    }
}
