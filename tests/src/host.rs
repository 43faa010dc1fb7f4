//! Facts about the machine: its mounts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// One mount of this mount namespace.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// File system: `cgroup2`, `bpf`, `overlay`.
    pub kind: String,
    /// Options, separated by commas.
    pub options: String,
}

/// All mounts, in the order they were made.
pub fn mounts() -> Result<Vec<Mount>> {
    let text = fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    Ok(text.lines().filter_map(mount).collect())
}

fn mount(line: &str) -> Option<Mount> {
    let words: Vec<&str> = line.split(' ').collect();
    let [_, point, kind, options, ..] = words[..] else { return None };
    let point =
        point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
    Some(Mount { point: point.into(), kind: kind.to_owned(), options: options.to_owned() })
}

/// Unmounts everything at and below a folder, the newest first.
pub fn unmount_below(folder: &Path) -> Result<()> {
    for mount in mounts()?.iter().rev().filter(|mount| mount.point.starts_with(folder)) {
        let point = &mount.point;
        nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH)
            .with_context(|| format!("unmount {}", point.display()))?;
    }
    Ok(())
}

/// Runs a command to its end and gives what it printed; fails if it does.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}: {out}{err}", output.status);
    Ok(out.into_owned())
}

#[cfg(test)]
mod tests {
    use super::mount;

    #[test]
    fn a_mount_point_with_a_space_is_read() {
        let mount = mount("none /mnt/a\\040b bpf rw,relatime 0 0").unwrap();
        assert_eq!((mount.point.to_str(), mount.kind.as_str()), (Some("/mnt/a b"), "bpf"));
    }
}
