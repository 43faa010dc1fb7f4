//! What tests may have left on the machine although their guards should have removed it.

use std::{env, fs};

use anyhow::{Context as _, Result};

use crate::{cgroup::PREFIX, host, process};

/// Cgroups, mounts, folders and processes of tests, in words. Only right while no test runs.
pub fn leftovers() -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mounts = host::mounts()?;
    for mount in &mounts {
        if mount.kind.starts_with("cgroup") {
            let cgroups =
                fs::read_dir(&mount.point).with_context(|| format!("list {}", mount.point.display()))?;
            let ours =
                cgroups.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
            found.extend(ours.map(|entry| format!("cgroup {}", entry.path().display())));
        }
        if mount.point.to_string_lossy().contains(PREFIX) {
            found.push(format!("mount {}", mount.point.display()));
        }
    }
    let folder = env::temp_dir();
    let files = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?.flatten();
    let ours = files.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    found.extend(ours.map(|entry| format!("folder {}", entry.path().display())));
    let processes = process::using(&folder.join(PREFIX))?;
    found.extend(processes.iter().map(|pid| format!("process {pid}")));
    Ok(found)
}
