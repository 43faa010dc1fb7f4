//! `kernel.bpf_stats_enabled`: the kernel measures programs while it is 1.

use std::fs;

use anyhow::{Context as _, Result};

const FILE: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The kernel measures programs until the end of this.
#[derive(Debug)]
pub struct Stats {
    before: String,
}

impl Stats {
    /// From now on.
    pub fn on() -> Result<Self> {
        let before = fs::read_to_string(FILE).with_context(|| format!("read {FILE}"))?;
        fs::write(FILE, "1").with_context(|| format!("write {FILE}"))?;
        Ok(Self { before })
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        if let Err(error) = fs::write(FILE, &self.before) {
            eprintln!("left behind: {FILE} is 1: {error}");
        }
    }
}
