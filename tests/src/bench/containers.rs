//! Cgroups that look like Docker's containers, with one sleeping process each and a name on disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result};
use serde_json::json;
use tempfile::TempDir;

use super::loads::Sleeper;
use crate::{
    cgroup::{self, Hierarchy, PREFIX},
    host,
};

/// Containers. Their end removes processes, cgroups and files.
#[derive(Debug)]
pub struct Containers {
    parents: Vec<PathBuf>,
    root: TempDir,
    sleepers: Vec<Sleeper>,
}

impl Containers {
    /// Makes `count` of them.
    pub fn start(count: u32) -> Result<Self> {
        let root = TempDir::with_prefix("plimsoll-test-bench").context("make a folder")?;
        let name = format!("{PREFIX}bench-{}", process::id());
        let parents = hierarchies()?.iter().map(|hierarchy| hierarchy.join(&name)).collect();
        let mut containers = Self { parents, root, sleepers: Vec::new() };
        for number in 0..count {
            containers.add(number)?;
        }
        Ok(containers)
    }

    /// What the agent calls `--docker-root`.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    fn add(&mut self, number: u32) -> Result<()> {
        let id = format!("{number:064x}");
        let folder = self.root.path().join("containers").join(&id);
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let sleeper = Sleeper::start()?;
        let config = config(&id, number, sleeper.pid());
        fs::write(folder.join("config.v2.json"), config).context("write a container's configuration")?;
        for parent in &self.parents {
            let cgroup = parent.join(&id);
            fs::create_dir_all(&cgroup).with_context(|| format!("make cgroup {}", cgroup.display()))?;
            fs::write(cgroup.join("cgroup.procs"), sleeper.pid().to_string())
                .with_context(|| format!("move a process into {}", cgroup.display()))?;
        }
        self.sleepers.push(sleeper);
        Ok(())
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        self.sleepers.clear();
        for parent in &self.parents {
            if let Err(error) = cgroup::remove(parent) {
                eprintln!("left behind: {error:#}");
            }
        }
    }
}

/// Mount points of the hierarchy that is counted and of the one with `pids.max`: a container is in both.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mut points = vec![Hierarchy::find()?.root().to_owned()];
    let pids = host::mounts()?
        .into_iter()
        .find(|mount| mount.kind == "cgroup" && mount.options.split(',').any(|option| option == "pids"));
    points.extend(pids.map(|mount| mount.point).filter(|point| *point != points[0]));
    Ok(points)
}

/// What dockerd would write of it.
fn config(id: &str, number: u32, pid: i32) -> String {
    let time = "2026-01-02T03:04:05.678901234Z";
    let labels = json!({
        "com.docker.compose.project": "bench",
        "com.docker.compose.service": format!("service-{}", number % 20),
    });
    let state =
        json!({ "Running": true, "Pid": pid, "StartedAt": time, "FinishedAt": "0001-01-01T00:00:00Z" });
    json!({
        "ID": id,
        "Name": format!("/bench-{number}"),
        "Image": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "Created": time,
        "Config": { "Image": "registry.example/team/service:1.2.3", "Labels": labels },
        "State": state,
    })
    .to_string()
}
