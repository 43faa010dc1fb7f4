//! Whether a limit is held, only counted, or neither.

use std::fmt;

/// What becomes of a limit. The weaker of two is the lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// Nothing is done and nothing counted.
    Off,
    /// Everything is decided and counted, nothing is touched.
    DryRun,
    /// It is held: what somebody wrote is meant.
    #[default]
    Enforce,
}

impl Mode {
    /// All of them, the weakest first.
    pub const ALL: [Self; 3] = [Self::Off, Self::DryRun, Self::Enforce];

    /// Its name in the configuration, on the command line and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DryRun => "dry-run",
            Self::Enforce => "enforce",
        }
    }

    /// The mode of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }

    /// The weaker of the two.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        self.min(other)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Mode::{self, DryRun, Enforce, Off};

    #[test]
    fn each_has_its_name_and_the_weaker_is_the_lesser() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_name(mode.as_str()), Some(mode));
        }
        assert_eq!(Mode::from_name("Off"), None);
        assert_eq!((Off.weaker(Enforce), Enforce.weaker(DryRun), Mode::default()), (Off, DryRun, Enforce));
    }
}
