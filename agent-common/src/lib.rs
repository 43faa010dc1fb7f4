//! What crosses the boundary between the kernel programs and the agent, and maths worth testing on a host.
//! No I/O, no allocation.
#![no_std]
#![cfg_attr(not(feature = "user"), forbid(unsafe_code))]

pub mod command;
pub mod event;
pub mod fields;
pub mod key;
pub mod loopback;
pub mod names;
pub mod port;
pub mod row;
pub mod seen;
pub mod tally;
pub mod traffic;
pub mod word;

/// Version of what pinned maps hold. One that appends words to [`row::Row`] or fields to the names is another; a set of
/// pins with an older one is imported.
///
/// `PROC`, `TALLIES` and `EVENTS` are shared by all versions: the first never changes, the others only get new kinds.
pub const LAYOUT: u32 = 3 + cfg!(feature = "next-layout") as u32;
