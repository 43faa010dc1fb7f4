//! What crosses the boundary between the kernel programs and the agent, and maths worth testing on a host.
//! No I/O, no allocation.
#![no_std]
#![cfg_attr(not(feature = "user"), forbid(unsafe_code))]

pub mod command;
pub mod event;
pub mod fields;
pub mod key;
pub mod names;
pub mod row;
pub mod seen;
pub mod tally;
pub mod word;

/// Version of everything that pinned maps hold: the layout of [`row::Row`], of the names and the commands.
///
/// `PROC` never changes its layout: its words are shared by all versions.
pub const LAYOUT: u32 = 1;
