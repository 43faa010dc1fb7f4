//! Runs the integration tests on this machine's own kernel, with the full numbers.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use super::binaries::{Binaries, list};
use super::record;
use super::verdict::Run;
use crate::agent::mount_bpffs;
use crate::root::as_root;
use crate::shell;
use crate::tree::Tree;

/// A file of tests that takes longer than this has hung; the slowest takes two minutes.
const LIMIT: [&str; 3] = ["--foreground", "--kill-after=30s", "15m"];

/// Runs the tests that the filter leaves, one at a time.
pub fn run(tree: &Tree, binaries: &Binaries, filter: &[String]) -> Result<Run> {
    let folder = tree.target().join("test");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let report = folder.join("native.jsonl");
    // Made here, so that a report written by root can be replaced by the user.
    fs::write(&report, "").with_context(|| format!("empty {}", report.display()))?;
    mount_bpffs()?;
    // What a killed run left behind is not this one's.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let (mut listed, mut broken) = (Vec::new(), None);
    for binary in &binaries.tests {
        let names = list(binary, filter)?;
        if names.is_empty() {
            continue;
        }
        listed.extend(names);
        let mut test = Command::new("timeout");
        test.args(LIMIT).arg(binary);
        shell::forget_outer_cargo(&mut test);
        test.arg("--test-threads=1").args(filter).current_dir(tree.root().join("tests"));
        test.envs(binaries.environment(None)).env("PLIMSOLL_SCALE", "1").env("PLIMSOLL_REPORT", &report);
        test.env("PLIMSOLL_SINCE", &since);
        let mut test = as_root(test, "testing on the real kernel")?;
        if let Err(error) = shell::run(&mut test) {
            broken = Some(format!("{error:#}"));
        }
    }
    let records = record::read(&report)?;
    Ok(Run { place: "here".into(), cgroup_v1: false, listed, records, broken })
}
