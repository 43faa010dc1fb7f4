//! The links of this host's network namespace, which namespace a process is in, and the qdiscs, filters and ifbs that shape
//! what passes, by rtnetlink. Changes only what is ours, decides nothing, never knows a container.

#![forbid(unsafe_code)]

mod attributes;
mod backlog;
mod bucket;
mod changes;
mod control;
mod error;
mod filter;
mod handle;
mod htb;
mod ifb;
mod interface;
#[cfg(test)]
mod lab;
mod link;
mod place;
mod probe;
mod qdisc;
mod refusal;
mod requests;
mod statistics;
mod tbf;

pub use self::{
    backlog::packets_wait,
    bucket::Bucket,
    changes::{Change, Changes},
    error::ShapingError,
    filter::{Filter, Hook, Side},
    handle::Handle,
    htb::Class,
    ifb::{Ifb, IfbName},
    link::{Counters, Link, Peer},
    place::{Namespace, interfaces},
    probe::Probed,
    qdisc::Qdisc,
    requests::{NamespaceId, Requests},
    statistics::Statistics,
    tbf::Tbf,
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
