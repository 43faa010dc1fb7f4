//! What must be on the machine: looked for by file, told with the reason, installed with apt where that works.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::root::is_root;
use crate::shell;

/// Something that must be on the machine.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// What it is, as a user would call it.
    pub what: &'static str,
    /// What it is needed for.
    pub why: &'static str,
    /// How to tell that it is there.
    pub present: Present,
    /// The Debian packages that bring it.
    pub packages: &'static [&'static str],
}

/// How to tell that something is there: by looking at files only, so that a second run costs nothing.
#[derive(Debug, Clone, Copy)]
pub enum Present {
    /// A command of this name can be run.
    Command(&'static str),
    /// This file exists.
    File(&'static str),
    /// This question is answered with yes.
    Asked(fn() -> bool),
}

/// What to do about things that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// Install them where that is possible.
    Missing,
    /// Only tell what is missing.
    Nothing,
}

impl Need {
    fn is_met(&self) -> bool {
        match self.present {
            Present::Command(name) => shell::find(name).is_some(),
            Present::File(path) => Path::new(path).exists(),
            Present::Asked(ask) => ask(),
        }
    }
}

/// Makes sure that all needs are met, or says in one sentence what to do.
pub fn meet(needs: &[Need], install: Install) -> Result<()> {
    let mut missing: Vec<&Need> = needs.iter().filter(|need| !need.is_met()).collect();
    missing.sort_by_key(|need| need.what);
    missing.dedup_by_key(|need| need.what);
    if missing.is_empty() {
        return Ok(());
    }
    for Need { what, why, packages, .. } in &missing {
        eprintln!("missing: {what} (Debian: {}), for {why}", packages.join(" "));
    }
    let packages = packages(&missing);
    let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if install == Install::Nothing {
        bail!("nothing is installed with --no-install: {by_hand}");
    }
    if !is_debian_like() {
        bail!("only Debian and Ubuntu are set up automatically: install what is missing by hand");
    }
    if !is_root() {
        bail!("packages are installed by root only: sudo {by_hand}");
    }
    shell::step("install packages", || apt(&packages))
        .context("Debian 12 has all of these packages; elsewhere, install what is missing by hand")?;
    match missing.iter().find(|need| !need.is_met()) {
        Some(need) => bail!("{} is still missing after {by_hand}", need.what),
        None => Ok(()),
    }
}

/// The packages of what is missing, each once, in order.
fn packages(missing: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing.iter().flat_map(|need| need.packages.iter().copied()).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn apt(packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet=2");
        command
    };
    shell::run(apt().arg("update"))?;
    shell::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

fn is_debian_like() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let names = release.lines().filter(|line| line.starts_with("ID=") || line.starts_with("ID_LIKE="));
    names.into_iter().any(|line| line.contains("debian") || line.contains("ubuntu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Need =
        Need { what: "sh", why: "tests", present: Present::Command("sh"), packages: &["dash"] };
    const ABSENT: Need =
        Need { what: "nothing", why: "tests", present: Present::File("/nonexistent"), packages: &["b", "a"] };

    #[test]
    fn what_is_there_is_left_alone() {
        assert!(meet(&[SHELL], Install::Nothing).is_ok());
    }

    #[test]
    fn what_is_missing_is_told_with_its_packages() {
        let told = meet(&[SHELL, ABSENT], Install::Nothing).unwrap_err().to_string();
        assert!(told.ends_with("apt-get install --no-install-recommends a b"), "{told}");
    }

    #[test]
    fn a_package_is_named_once() {
        assert_eq!(packages(&[&ABSENT, &ABSENT]), ["a", "b"]);
    }
}
