//! A container's root file system: busybox and a link for each command that tests use.

use std::{fs, os::unix::fs::symlink, path::Path};

use anyhow::{Context as _, Result, bail};

const COMMANDS: [&str; 8] = ["cat", "false", "kill", "seq", "sh", "sleep", "true", "wc"];
const PLACES: [&str; 3] = ["/usr/bin/busybox", "/bin/busybox", "/usr/sbin/busybox"];

/// Makes one in `folder`.
pub fn make_root(folder: &Path) -> Result<()> {
    let Some(busybox) = PLACES.iter().find(|path| Path::new(path).is_file()) else {
        bail!("no busybox in {PLACES:?}: install busybox-static");
    };
    for below in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(folder.join(below)).context("make a container's root")?;
    }
    fs::copy(busybox, folder.join("bin/busybox")).context("copy busybox")?;
    for command in COMMANDS {
        symlink("busybox", folder.join("bin").join(command)).context("make a container's root")?;
    }
    Ok(())
}
