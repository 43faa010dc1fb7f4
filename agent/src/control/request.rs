//! What the body of a request says. Pure: bytes in, a request or an error out. Rates stay as they were typed: the enforcer
//! reads them, as it reads those of the configuration.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::ledger::{limits::What, span::Span};

/// Bytes that the body of a request may have.
pub const MOST_BYTES: usize = 64 << 10;
/// Bytes that a name or an id may have, as everywhere.
const NAME_BYTES: usize = 256;
/// Bytes that a rate may have.
const RATE_BYTES: usize = 64;

/// Limits for one container. One type for both sides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Its name, or the first characters of its id, 4 at least.
    pub container: String,
    /// Tasks: processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// What it transmits, as it was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<String>,
    /// What it receives, as it was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<String>,
    /// For how long; without it, until it is unset.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// Everything is decided and counted, nothing is touched.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was set by hand for one container and shall be no more. One type for both sides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unset {
    /// Its name, or the first characters of its id, 4 at least.
    pub container: String,
    /// Which limits; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<What>,
}

/// A body that says what cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is no JSON, or not such an object.
    #[error("the request's body: {0}")]
    Json(#[from] serde_json::Error),
    /// It is a list.
    #[error("the request's body: a list, not an object")]
    List,
    /// No container is named.
    #[error("the request names no container")]
    NoContainer,
    /// A text is longer than any that could mean something.
    #[error("{field} has {bytes} bytes, at most {most} can mean something")]
    TooLong {
        /// Its name.
        field: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// There is nothing to set.
    #[error("the request names no limit to set: pids, egress and ingress are missing")]
    NoLimit,
}

impl Set {
    /// What the body of a request says.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let set: Self = read(body)?;
        let Self { container, pids, egress, ingress, lasts: _, dry_run: _ } = &set;
        check_container(container)?;
        for (field, rate) in [("egress", egress), ("ingress", ingress)] {
            rate.as_ref().map_or(Ok(()), |rate| check_length(field, rate, RATE_BYTES))?;
        }
        if pids.is_none() && egress.is_none() && ingress.is_none() {
            return Err(RequestError::NoLimit);
        }
        Ok(set)
    }
}

impl Unset {
    /// What the body of a request says. A limit that is named twice is meant once.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut unset: Self = read(body)?;
        check_container(&unset.container)?;
        unset.what.sort_unstable();
        unset.what.dedup();
        Ok(unset)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    // serde would take a list of values for the fields in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(RequestError::List);
    }
    Ok(serde_json::from_slice(body)?)
}

fn check_container(container: &str) -> Result<(), RequestError> {
    if container.is_empty() {
        return Err(RequestError::NoContainer);
    }
    check_length("container", container, NAME_BYTES)
}

fn check_length(field: &'static str, text: &str, most: usize) -> Result<(), RequestError> {
    let bytes = text.len();
    if bytes > most { Err(RequestError::TooLong { field, bytes, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
