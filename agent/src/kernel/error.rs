//! What can go wrong between the agent and the kernel.

use std::{io, path::PathBuf};

/// An operation on the kernel that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This host cannot run the programs that nothing works without.
    #[error("{0}")]
    Refused(String),
    /// The kernel's types could not be read.
    #[error("read kernel types from {path}: {reason}")]
    Btf {
        /// Where they were looked for.
        path: PathBuf,
        /// What is missing or broken.
        reason: String,
    },
    /// The object does not load.
    #[error("load kernel programs: {0}")]
    Load(#[from] aya::EbpfError),
    /// One program does not load or attach.
    #[error("{what} program {program}: {source}")]
    Program {
        /// What was tried: `load`, `attach` ...
        what: &'static str,
        /// The program.
        program: String,
        /// The kernel's answer, with the verifier's log where there is one.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A map could not be opened, read or written.
    #[error("{what} map {map}: {source}")]
    Map {
        /// What was tried.
        what: &'static str,
        /// The map.
        map: &'static str,
        /// The kernel's answer.
        source: aya::maps::MapError,
    },
    /// A file or directory of the pins.
    #[error("{what} {path}: {source}")]
    Pin {
        /// What was tried.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another agent holds the lock.
    #[error(
        "another agent ({holder}) already counts with the pins in {path}: stop it first, or use another --bpffs"
    )]
    Locked {
        /// `pid 123`, as /proc/locks tells.
        holder: String,
        /// The directory.
        path: PathBuf,
    },
    /// The pins are not ours, or not whole.
    #[error(
        "{path} holds pins that cannot be adopted: {reason}. `plimsoll run --takeover` moves them aside and starts anew, \
         `plimsoll cleanup` removes them"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The pins are of a newer version than this agent.
    #[error(
        "{path} was pinned by a newer version of plimsoll, whose counts this one cannot go on with: run that version, or \
         remove them with `plimsoll cleanup`"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
    },
    /// What the programs read by offset is not what /proc says.
    #[error("self-test: {0}; nothing is counted with offsets that lie")]
    SelfTest(String),
}

impl Error {
    /// For `map_err`: an operation on a program that failed.
    pub(crate) fn program<E>(what: &'static str, program: &str) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let program = program.to_owned();
        move |source| Self::Program { what, program, source: Box::new(source) }
    }

    /// For `map_err`: an operation on a map that failed.
    pub(crate) fn map(what: &'static str, map: &'static str) -> impl FnOnce(aya::maps::MapError) -> Self {
        move |source| Self::Map { what, map, source }
    }

    /// For `map_err`: an operation on a path that failed.
    pub(crate) fn pin<E: Into<io::Error>>(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Pin { what, path, source: source.into() }
    }
}
