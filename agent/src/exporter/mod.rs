//! Shows the ledger to others: `/metrics`, a read-only JSON API, and the client that `plimsoll ps` uses.
//! Never changes anything, never asks the kernel: it renders the snapshot that it is given.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod client;
mod escape;
mod families;
pub mod hosts;
pub mod http;
mod labels;
mod own;
pub mod process;
mod routes;
mod text;

#[cfg(test)]
mod fixture;
