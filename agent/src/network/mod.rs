//! The links of this host's network namespace, and which namespace a process is in, by rtnetlink. Never changes
//! anything, never knows a container.

#![forbid(unsafe_code)]

mod backlog;
mod changes;
mod link;
mod place;
mod requests;

pub use self::{
    backlog::packets_wait,
    changes::{Change, Changes},
    link::{Counters, Link, Peer},
    place::{Namespace, interfaces},
    requests::{NamespaceId, Requests},
};

/// What the kernel refused, or answered that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct NetworkError {
    what: &'static str,
    source: std::io::Error,
}

impl NetworkError {
    fn new(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self { what, source }
    }
}
