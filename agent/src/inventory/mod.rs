//! Who is it: from a cgroup to the account it belongs to. Never knows what was used.

#![forbid(unsafe_code)]

mod bounded;
mod identity;
mod namer;
mod place;
mod stored;
mod visible;
pub mod wires;

pub use self::{
    bounded::{MAX_BYTES, bounded},
    identity::{Identity, Kind, Workload, WorkloadKind},
    namer::{Answer, Namer, id},
    place::{Place, depth, place},
    stored::{Stored, Value},
    visible::visible,
};

/// The key of an account in pinned maps: of the container id, so that a restart goes on in the same account; else of
/// the path.
#[must_use]
pub fn account_key(identity: &Identity) -> u64 {
    let Identity { kind, id, container_id, .. } = identity;
    match kind {
        Kind::Container | Kind::Unresolved => {
            plimsoll_common::key::key(&[b"container", container_id.as_bytes()])
        }
        Kind::Cgroup => plimsoll_common::key::key(&[b"cgroup", id.as_bytes()]),
        Kind::Other => plimsoll_common::key::key(&[b"other"]),
    }
}
