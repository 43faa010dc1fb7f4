//! How a guest ended, as its `rc` port tells it.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The job's script ended with this code.
    Exited(i32),
    /// The job, or the whole guest, went over the limit and was killed.
    Overdue,
    /// The guest ended before the job did: its kernel panicked.
    Died,
}

impl Outcome {
    /// Reads the file behind the guest's port `rc`.
    pub fn read(file: &Path) -> Result<Self> {
        Self::parse(std::fs::read_to_string(file).unwrap_or_default().trim())
    }

    fn parse(told: &str) -> Result<Self> {
        match told {
            "" => Ok(Self::Died),
            "overdue" => Ok(Self::Overdue),
            other => match other.parse() {
                Ok(code) => Ok(Self::Exited(code)),
                Err(_) => bail!("the guest could not set itself up: {other}"),
            },
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Overdue => f.write_str("over its limit of time, killed"),
            Self::Died => f.write_str("the guest died before the job ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_tells_the_end() {
        assert_eq!(Outcome::parse("0").unwrap(), Outcome::Exited(0));
        assert_eq!(Outcome::parse("101").unwrap(), Outcome::Exited(101));
        assert_eq!(Outcome::parse("overdue").unwrap(), Outcome::Overdue);
        assert_eq!(Outcome::parse("").unwrap(), Outcome::Died);
        assert!(Outcome::parse("guest set-up: mount -t bpf").is_err());
    }
}
