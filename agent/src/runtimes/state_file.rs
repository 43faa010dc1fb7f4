//! Reads a file that somebody else writes: bounded, never blocking, regular files only.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::de::DeserializeOwned;

use super::RuntimeError;

/// Whether a symbolic link may stand in the place of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// Refused: a file that a runtime writes itself.
    Refuse,
    /// Followed: a file that the host's owner keeps.
    Follow,
}

/// Parses a JSON file of at most `max` bytes; `None` if there is none.
pub(super) fn read_json<T: DeserializeOwned>(
    path: &Path,
    links: Links,
    max: u64,
) -> Result<Option<T>, RuntimeError> {
    let Some(bytes) = read(path, links, max)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| RuntimeError::Json { path: path.to_owned(), source })
}

fn read(path: &Path, links: Links, max: u64) -> Result<Option<Vec<u8>>, RuntimeError> {
    let refused = |source| RuntimeError::Read { path: path.to_owned(), source };
    let file = match open(path, links) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(refused)?,
    };
    let metadata = file.metadata().map_err(refused)?;
    if !metadata.is_file() {
        return Err(RuntimeError::NotRegular { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that grows while it is read.
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(refused)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= max) {
        Ok(Some(bytes))
    } else {
        Err(RuntimeError::TooBig { path: path.to_owned(), max })
    }
}

/// Without `O_NONBLOCK` a pipe in the file's place would hold the agent until somebody writes.
fn open(path: &Path, links: Links) -> io::Result<File> {
    let nofollow = if links == Links::Refuse { libc::O_NOFOLLOW } else { 0 };
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | nofollow).open(path)
}
