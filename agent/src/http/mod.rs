//! HTTP/1.1 as every server and client of the agent speaks it: what a connection may cost, how answers look.
//! Never knows who may ask for what.

#![forbid(unsafe_code)]

pub mod answer;
pub mod client;
pub mod events;
pub mod query;
pub mod server;
mod stall;
