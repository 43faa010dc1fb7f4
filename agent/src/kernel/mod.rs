//! The kernel's side of the agent, and the only module that knows aya: facts about the host, the plan that follows,
//! programs, maps, pins. Never decides whose a cgroup is.

pub mod btf;
mod commands;
mod error;
pub mod events;
mod inherit;
mod load;
pub mod logs;
pub mod maps;
pub mod memory;
pub mod pins;
pub mod plan;
pub mod programs;
pub mod records;
mod selftest;
pub mod shapers;
pub mod start;
mod status;
mod sys;
pub mod taps;
pub mod traffic;
pub mod veths;

pub use self::{
    commands::Commands,
    error::Error,
    start::{Kernel, Options, Started},
    status::{Status, statuses},
};
