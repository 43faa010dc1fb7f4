//! What was used: accounts that never go backwards, the one task that owns them, and the snapshot that readers get.

#![forbid(unsafe_code)]

mod audit;
mod book;
mod clerk;
mod compose;
pub mod journal;
pub mod limits;
mod lookout;
mod meter;
pub mod moment;
mod owner;
mod proc_list;
mod reader;
mod record;
pub mod roster;
pub mod snapshot;
pub mod span;
mod tcp;
mod traffic;

pub use self::{
    compose::Files,
    owner::{Owner, Settings},
    reader::{FRESH, Reader},
};
