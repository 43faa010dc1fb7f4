//! What the integration tests stand on: honest loads, real daemons, and guards that leave nothing behind.
//!
//! Tests are black boxes: they run the built agent, read its page over HTTP, and compare that with the kernel's files.
//! They run as root, one at a time. Environment: `PLIMSOLL_BIN` (the agent), `PLIMSOLL_LOAD` (the load program),
//! `PLIMSOLL_OTHER_OBJECT` (kernel programs of another build), `PLIMSOLL_NEXT_BIN` (an agent of the layout after this
//! one), `PLIMSOLL_SCALE` (divides every size),
//! `PLIMSOLL_REPORT` (gets a JSON line per case), `PLIMSOLL_HIERARCHY` (`pids`: use cgroup v1 where v2 exists too).
#![expect(
    clippy::missing_errors_doc,
    reason = "whatever cannot be set up fails the test, with what was tried"
)]

pub mod accounts;
pub mod agent;
pub mod bench;
pub mod births;
pub mod bpf;
pub mod bridge;
pub mod busybox;
pub mod cgroup;
pub mod counters;
pub mod docker;
pub mod foreign;
pub mod host;
pub mod http;
pub mod load;
mod netkit;
pub mod page;
pub mod pins;
pub mod process;
pub mod prometheus;
pub mod report;
pub mod runc;
pub mod sandbox;
pub mod settings;
pub mod storm;
pub mod sweep;
pub mod tcp;
pub mod terminal;
pub mod traffic;
pub mod wait;
