//! Births on the whole machine by the kernel's own count, and by the page.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{agent::Agent, page::Page};

/// Processes and threads born since boot: what the kernel had counted before and after a page was made, and the page.
#[derive(Debug)]
pub struct Births {
    before: u64,
    after: u64,
    /// The page.
    pub page: Page,
}

impl Births {
    /// As it is now.
    pub fn now(agent: &Agent) -> Result<Self> {
        Ok(Self { before: kernels()?, page: agent.scrape()?, after: kernels()? })
    }

    /// Births since `earlier` by the pages, then the least and the most that the kernel counted.
    pub fn since(&self, earlier: &Self) -> Result<[u64; 3]> {
        let ours = ours(&self.page)? - ours(&earlier.page)?;
        Ok([ours, self.before - earlier.after, self.after - earlier.before])
    }
}

/// Counts every fork, clone and kernel thread (kernel: `total_forks`).
fn kernels() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("processes "));
    line.context("no `processes` in /proc/stat")?.parse().context("`processes` in /proc/stat")
}

fn ours(page: &Page) -> Result<u64> {
    let [forks, threads] =
        ["forks", "thread_creations"].map(|what| page.count(&format!("plimsoll_node_{what}_total"), &[]));
    Ok(forks? + threads?)
}
