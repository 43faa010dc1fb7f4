//! Builds the agent and runs it in the foreground.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::ebpf::{Build, Builder};
use crate::needs::Install;
use crate::root::as_root;
use crate::shell;
use crate::tree::Tree;

const BPFFS: &str = "/sys/fs/bpf";

/// Builds the kernel programs and then the agent around them.
pub fn build(tree: &Tree, install: Install) -> Result<PathBuf> {
    Builder::ready(tree, install)?.object(Build::Product)?;
    release(tree, "build the agent", "plimsoll", &["plimsoll"])?;
    Ok(tree.release("plimsoll"))
}

/// Builds the agent with the layout after this one; only tests run it, so it is built as they are.
pub fn build_next(tree: &Tree, install: Install) -> Result<PathBuf> {
    let object = Builder::ready(tree, install)?.object(Build::Next)?;
    shell::step("build the agent, next layout", || {
        let mut cargo = shell::cargo();
        cargo.current_dir(tree.root()).env("PLIMSOLL_EBPF_OBJECT", &object);
        cargo.args(["build", "--package", "plimsoll", "--bin", "plimsoll", "--features", "next-layout"]);
        shell::run(&mut cargo)
    })?;
    let (built, place) = (tree.debug("plimsoll"), tree.next_agent());
    fs::copy(&built, &place).with_context(|| format!("copy {} to {}", built.display(), place.display()))?;
    Ok(place)
}

/// Builds binaries of one package as they are to be used.
pub fn release(tree: &Tree, step: &str, package: &str, binaries: &[&str]) -> Result<()> {
    shell::step(step, || {
        let mut cargo = shell::cargo();
        cargo.current_dir(tree.root()).args(["build", "--release", "--package", package]);
        shell::run(cargo.args(binaries.iter().flat_map(|name| ["--bin", name])))
    })
}

/// Builds the agent and becomes it. Returns only if that cannot be done.
pub fn run(tree: &Tree, install: Install, arguments: &[String]) -> Result<()> {
    let agent = build(tree, install)?;
    if !pins_elsewhere(arguments) {
        mount_bpffs()?;
    }
    let mut command = Command::new(agent);
    command.arg("run").args(arguments);
    shell::forget_outer_cargo(&mut command);
    let mut command = as_root(command, "running the agent")?;
    eprintln!("    $ {}", shell::line(&command));
    Err(command.exec()).with_context(|| format!("start {}", shell::line(&command)))
}

/// True when the agent was told to pin nothing, or in another place.
fn pins_elsewhere(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument == "--no-pin" || argument.starts_with("--bpffs"))
}

/// Mounts the BPF filesystem, which holds the pins, where nobody has done so.
pub fn mount_bpffs() -> Result<()> {
    if statfs(Path::new(BPFFS)).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC) {
        return Ok(());
    }
    let mut mount = Command::new("mount");
    mount.args(["-t", "bpf", "-o", "mode=0700", "bpf", BPFFS]);
    shell::step("mount the BPF filesystem", || {
        shell::run(&mut as_root(mount, "mounting the BPF filesystem")?).with_context(|| {
            format!("no BPF filesystem at {BPFFS}: `cargo xtask run -- --no-pin` does without")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bpffs_is_needed_without_pins() {
        let arguments = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(pins_elsewhere(&arguments("--listen [::1]:1 --no-pin")));
        assert!(pins_elsewhere(&arguments("--bpffs=/tmp/bpf")));
        assert!(!pins_elsewhere(&arguments("--listen 127.0.0.1:1")));
    }
}
