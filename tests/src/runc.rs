//! A container that only runc knows.

use std::{
    fs,
    path::PathBuf,
    process::{self, Command},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    busybox,
    cgroup::{self, Hierarchy, PREFIX},
    host,
};

/// A running container. Its end kills and removes it.
#[derive(Debug)]
pub struct Runc {
    name: String,
    folder: TempDir,
}

impl Runc {
    /// Starts a container that runs a shell command, in the cgroup `plimsoll-test-<name>-<pid of this test>`.
    pub fn start(name: &str, shell: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("plimsoll-test-runc").context("make a folder")?;
        let runc = Self { name: format!("{PREFIX}{name}-{}", process::id()), folder };
        busybox::make_root(&runc.path("rootfs"))?;
        host::run(Command::new("runc").arg("spec").arg("--bundle").arg(runc.folder.path()))?;
        runc.configure(shell)?;
        let mut command = runc.command();
        command.args(["run", "--detach", "--bundle"]).arg(runc.folder.path()).arg(&runc.name);
        // Not through pipes: the container would hold them open.
        let status = command.stdin(process::Stdio::null()).stdout(process::Stdio::null()).status();
        anyhow::ensure!(status.context("run runc")?.success(), "runc started no container");
        Ok(runc)
    }

    /// Its cgroup's path from the root of the hierarchy, as in the label `id`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("/{}", self.name)
    }

    /// Its cgroup's directory.
    pub fn cgroup(&self) -> Result<PathBuf> {
        Ok(Hierarchy::find()?.root().join(&self.name))
    }

    fn configure(&self, shell: &str) -> Result<()> {
        let path = self.path("config.json");
        let text = fs::read_to_string(&path).context("read the bundle's config.json")?;
        let mut config: Value = serde_json::from_str(&text).context("read the bundle's config.json")?;
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sh", "-c", shell]);
        config["linux"]["cgroupsPath"] = json!(self.id());
        fs::write(&path, config.to_string()).context("write the bundle's config.json")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.path("state"));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        let deleted = host::run(self.command().args(["delete", "--force", &self.name])).map(|_| ());
        let cgroups = cgroup::everywhere(&self.name);
        let removed = cgroups.and_then(|found| found.iter().try_for_each(|path| cgroup::remove(path)));
        for result in [deleted, removed] {
            if let Err(error) = result {
                eprintln!("left behind: {error:#}");
            }
        }
    }
}
