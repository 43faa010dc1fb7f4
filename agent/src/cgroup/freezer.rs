//! Stops and continues a cgroup with all below, by v2's `cgroup.freeze` or v1's freezer. Does what it is told; that somebody
//! else stopped it is for the caller to know.

use std::path::Path;

use super::{TaskError, opened::Opened};

/// The freezer of a cgroup, held: another cgroup that gets its path is not touched.
#[derive(Debug)]
pub struct Freezer {
    cgroup: Opened,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// `freezer.state`
    V1,
    /// `cgroup.freeze`
    V2,
}

/// What a cgroup is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen {
    /// Whether it was told to stop, it itself and not one above.
    pub is_asked: bool,
    /// Whether all its tasks have stopped, for whatever reason; where there are none, too.
    pub is_reached: bool,
}

impl Freezer {
    /// Holds the cgroup at `path` below a mount if it is the one with that id. The mount is cgroup2's where the container's
    /// tasks are in it, else that of v1's freezer ([`super::freezer_mount`]).
    ///
    /// # Errors
    /// It is gone, another one is there, or it has no freezer.
    pub fn open(mount: &Path, path: &[u8], id: u64) -> Result<Self, TaskError> {
        let cgroup = Opened::open(mount, path, id)?;
        let version = if cgroup.has("freezer.state") { Version::V1 } else { Version::V2 };
        if version == Version::V2 && !cgroup.has("cgroup.freeze") {
            return Err(TaskError::NotSupported { path: cgroup.shown(), file: "cgroup.freeze" });
        }
        Ok(Self { cgroup, version })
    }

    /// Tells it to stop. Tasks stop some milliseconds later, those in the kernel when they leave it: see [`Self::state`].
    ///
    /// # Errors
    /// It is gone, or the kernel's.
    pub fn freeze(&self) -> Result<(), TaskError> {
        match self.version {
            Version::V1 => self.cgroup.write("freezer.state", "FROZEN"),
            Version::V2 => self.cgroup.write("cgroup.freeze", "1"),
        }
    }

    /// Tells it to go on, unless one above is stopped.
    ///
    /// # Errors
    /// It is gone, or the kernel's.
    pub fn thaw(&self) -> Result<(), TaskError> {
        match self.version {
            Version::V1 => self.cgroup.write("freezer.state", "THAWED"),
            Version::V2 => self.cgroup.write("cgroup.freeze", "0"),
        }
    }

    /// What it is doing.
    ///
    /// # Errors
    /// It is gone, or says what cannot be understood.
    pub fn state(&self) -> Result<Frozen, TaskError> {
        let [asked, reached] = match self.version {
            Version::V1 => ["freezer.self_freezing", "freezer.state"],
            Version::V2 => ["cgroup.freeze", "cgroup.events"],
        };
        Ok(Frozen {
            is_asked: self.cgroup.parsed(asked, parse_asked)?,
            is_reached: self.cgroup.parsed(reached, parse_reached)?,
        })
    }
}

fn parse_asked(text: &[u8]) -> Option<bool> {
    match text.trim_ascii() {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

/// The state of v1, or the lines of v2's `cgroup.events`.
fn parse_reached(text: &[u8]) -> Option<bool> {
    text.split(|byte| *byte == b'\n').find_map(|line| match line {
        b"FROZEN" | b"frozen 1" => Some(true),
        b"THAWED" | b"FREEZING" | b"frozen 0" => Some(false),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
