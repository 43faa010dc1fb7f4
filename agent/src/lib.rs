//! Plimsoll: what each container of a Linux host has and did, counted by eBPF programs, served to Prometheus.
//!
//! Imports go down: `cli` -> `app` -> `config` -> `enforcer`, `exporter` -> `ledger` -> `inventory` -> `kernel`, `cgroup`,
//! `network`, `runtimes`.

pub mod app;
pub mod cgroup;
pub mod cli;
pub mod config;
pub mod control;
pub mod enforcer;
pub mod exporter;
pub mod http;
pub mod inventory;
pub mod kernel;
pub mod ledger;
pub mod network;
pub mod privilege;
pub mod runtimes;
