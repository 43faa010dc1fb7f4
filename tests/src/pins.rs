//! A bpffs of a test's own, so that pins of tests never meet those of a real agent. Outlives agents.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};
use tempfile::TempDir;

use crate::{host, settings};

/// A mounted bpffs. Its end removes what an agent pinned, unmounts and removes it.
#[derive(Debug)]
pub struct Pins {
    folder: TempDir,
}

impl Pins {
    /// Mounts a new, empty one.
    pub fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("plimsoll-test-bpf").context("make a folder")?;
        let none: Option<&str> = None;
        mount(none, folder.path(), Some("bpf"), MsFlags::empty(), none)
            .with_context(|| format!("mount a bpffs on {}", folder.path().display()))?;
        Ok(Self { folder })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Everything that agents pinned, from the mount point, sorted. The kernel's own files there are left out.
    pub fn list(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = Vec::from_iter(Some(self.path().join("plimsoll")).filter(|folder| folder.exists()));
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
                let entry = entry.context("list pins")?;
                if entry.file_type().context("list pins")?.is_dir() {
                    folders.push(entry.path());
                } else {
                    found.push(entry.path().strip_prefix(self.path())?.to_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The pin of this name, in whatever folder.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        let found = self.list()?.into_iter().find(|pin| pin.file_name().is_some_and(|last| last == name));
        found.map(|pin| self.path().join(pin)).with_context(|| format!("nothing is pinned as {name}"))
    }

    /// Runs `plimsoll cleanup` on it.
    pub fn clean_up(&self) -> Result<String> {
        host::run(Command::new(settings::agent()?).arg("cleanup").arg("--bpffs").arg(self.path()))
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let cleaned =
            if self.list().is_ok_and(|pins| pins.is_empty()) { Ok(String::new()) } else { self.clean_up() };
        for result in [cleaned.map(|_| ()), host::unmount_below(self.path())] {
            if let Err(error) = result {
                eprintln!("left behind: {error:#}");
            }
        }
    }
}
