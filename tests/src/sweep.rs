//! What tests may have left on the machine although their guards should have removed it.

use std::{
    env, fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};

use crate::{cgroup::PREFIX, host, process, settings};

/// Cgroups, mounts, folders and processes of tests, in words: of this run only, a killed one may have left others. Only
/// right while no test runs.
pub fn leftovers() -> Result<Vec<String>> {
    let since = UNIX_EPOCH + Duration::from_secs(settings::since()?);
    let mut found = Vec::new();
    let mounts = host::mounts()?;
    for mount in &mounts {
        if mount.kind.starts_with("cgroup") {
            let cgroups =
                fs::read_dir(&mount.point).with_context(|| format!("list {}", mount.point.display()))?;
            let ours =
                cgroups.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
            let ours = ours.map(|entry| entry.path()).filter(|path| is_of(path, since));
            found.extend(ours.map(|path| format!("cgroup {}", path.display())));
        }
        if mount.point.to_string_lossy().contains(PREFIX) && is_of(&mount.point, since) {
            found.push(format!("mount {}", mount.point.display()));
        }
    }
    let folder = env::temp_dir();
    let files = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?.flatten();
    let ours = files.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let ours = ours.map(|entry| entry.path()).filter(|path| is_of(path, since));
    found.extend(ours.map(|path| format!("folder {}", path.display())));
    let processes = process::using(&folder.join(PREFIX))?;
    found.extend(processes.iter().map(|pid| format!("process {pid}")));
    Ok(found)
}

/// Whether something was changed since then, as everything is that was made since; what went meanwhile was not left.
fn is_of(path: &Path, since: SystemTime) -> bool {
    fs::metadata(path).and_then(|data| data.modified()).is_ok_and(|changed| changed >= since)
}
