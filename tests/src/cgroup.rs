//! Test cgroups in the hierarchy that the agent counts, removed with all their processes at the end of their scope.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result};

use crate::{host, process::kill, wait};

/// What names of test cgroups begin with.
pub const PREFIX: &str = "plimsoll-test-";

/// A mounted hierarchy that can be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// cgroup v2 at this mount point.
    Cgroup2(PathBuf),
    /// The pids hierarchy of cgroup v1 at this mount point.
    Pids(PathBuf),
}

impl Hierarchy {
    /// cgroup2 where it is mounted, unless `PLIMSOLL_HIERARCHY` is `pids`; else v1's pids.
    pub fn find() -> Result<Self> {
        let mounts = host::mounts()?;
        let mount = |wanted: &dyn Fn(&host::Mount) -> bool| mounts.iter().find(|mount| wanted(mount));
        let cgroup2 = mount(&|mount| mount.kind == "cgroup2").map(|mount| Self::Cgroup2(mount.point.clone()));
        let pids =
            mount(&|mount| mount.kind == "cgroup" && mount.options.split(',').any(|word| word == "pids"));
        let pids = pids.map(|mount| Self::Pids(mount.point.clone()));
        let forced = env::var_os("PLIMSOLL_HIERARCHY").is_some_and(|value| value == "pids");
        let found = if forced { pids } else { cgroup2.or(pids) };
        found.context("no cgroup2 and no cgroup v1 pids hierarchy is mounted")
    }

    /// Whether it is cgroup v2: with a freezer, and with forks straight into a cgroup.
    #[must_use]
    pub fn is_v2(&self) -> bool {
        matches!(self, Self::Cgroup2(_))
    }

    /// Its mount point.
    #[must_use]
    pub fn root(&self) -> &Path {
        let (Self::Cgroup2(root) | Self::Pids(root)) = self;
        root
    }
}

/// A cgroup made for a test. Its end kills what is in it and removes it with everything below.
#[derive(Debug)]
pub struct Cgroup {
    hierarchy: Hierarchy,
    path: PathBuf,
}

impl Cgroup {
    /// The root of its hierarchy.
    #[must_use]
    pub fn hierarchy_root(&self) -> &Path {
        self.hierarchy.root()
    }

    /// A cgroup below the root, called `plimsoll-test-<name>-<pid of this test>`.
    pub fn create(name: &str) -> Result<Self> {
        Self::create_raw(OsStr::new(&format!("{name}-{}", process::id())))
    }

    /// A cgroup below the root whose name is not even text; only the prefix is added.
    pub fn create_raw(name: &OsStr) -> Result<Self> {
        let hierarchy = Hierarchy::find()?;
        let mut full = OsString::from(PREFIX);
        full.push(name);
        let path = hierarchy.root().join(full);
        Self::at(hierarchy, path)
    }

    /// A cgroup below this one.
    pub fn child(&self, name: &str) -> Result<Self> {
        Self::at(self.hierarchy.clone(), self.path.join(name))
    }

    fn at(hierarchy: Hierarchy, path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("make cgroup {}", path.display()))?;
        Ok(Self { hierarchy, path })
    }

    /// Lets cgroups below it have a controller, where this hierarchy has that.
    pub fn delegate(&self, controller: &str) -> Result<()> {
        let there = fs::read_to_string(self.path.join("cgroup.controllers")).unwrap_or_default();
        if !there.split_whitespace().any(|one| one == controller) {
            return Ok(());
        }
        self.write("cgroup.subtree_control", &format!("+{controller}"))
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its hierarchy.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Its path from the root of the hierarchy, as in the label `id`.
    #[must_use]
    pub fn id(&self) -> String {
        let below = self.path.strip_prefix(self.hierarchy.root()).unwrap_or(&self.path);
        format!("/{}", below.display())
    }

    /// Its number in the kernel.
    pub fn number(&self) -> Result<u64> {
        let path = &self.path;
        Ok(fs::metadata(path).with_context(|| format!("look at {}", path.display()))?.ino())
    }

    /// Processes in it, by `cgroup.procs`.
    pub fn processes(&self) -> Result<u64> {
        Ok(self.pids()?.len() as u64)
    }

    /// Threads in it, by `cgroup.threads` (v1: `tasks`).
    pub fn threads(&self) -> Result<u64> {
        let file = if self.hierarchy.is_v2() { "cgroup.threads" } else { "tasks" };
        Ok(self.read(file)?.lines().count() as u64)
    }

    /// Ids of its processes.
    pub fn pids(&self) -> Result<Vec<i32>> {
        pids_in(&self.path)
    }

    /// Moves a process into it.
    pub fn add(&self, pid: i32) -> Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// Stops everything in it until the guard's end; v2 only. Every task has stopped on return.
    pub fn freeze(&self) -> Result<Frozen<'_>> {
        self.write("cgroup.freeze", "1")?;
        let frozen = Frozen(self);
        wait::until_true("the cgroup is frozen", || Ok(self.read("cgroup.events")?.contains("frozen 1")))?;
        Ok(frozen)
    }

    /// Writes one of its files.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.path.join(file);
        fs::write(&path, text).with_context(|| format!("write {text} to {}", path.display()))
    }

    /// Reads one of its files.
    pub fn read(&self, file: &str) -> Result<String> {
        let path = self.path.join(file);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("left behind: {error:#}");
        }
    }
}

/// A frozen cgroup.
#[derive(Debug)]
pub struct Frozen<'a>(&'a Cgroup);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.write("cgroup.freeze", "0") {
            eprintln!("{error:#}");
        }
    }
}

/// Kills everything in a cgroup and below, and removes it. One that is gone is fine.
pub fn remove(cgroup: &Path) -> Result<()> {
    let mut refused = None;
    let gone = wait::until_true("a cgroup is removed", || {
        refused = remove_once(cgroup).err();
        Ok(!cgroup.exists())
    });
    gone.with_context(|| format!("remove cgroup {}: {refused:?}", cgroup.display()))
}

fn remove_once(cgroup: &Path) -> Result<()> {
    let Ok(below) = fs::read_dir(cgroup) else { return Ok(()) };
    for entry in below.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_once(&entry.path())?;
    }
    match fs::remove_dir(cgroup) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            for pid in pids_in(cgroup)? {
                kill(pid);
            }
            // A frozen process dies only once it is thawed.
            let _thawed = fs::write(cgroup.join("cgroup.freeze"), "0");
            Err(error.into())
        }
        other => Ok(other?),
    }
}

fn pids_in(cgroup: &Path) -> Result<Vec<i32>> {
    let path = cgroup.join("cgroup.procs");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    text.lines().map(|line| line.parse().with_context(|| format!("pid {line}"))).collect()
}

/// Every mounted hierarchy's directory of this name that exists.
pub fn everywhere(name: &str) -> Result<Vec<PathBuf>> {
    let hierarchies = host::mounts()?.into_iter().filter(|mount| mount.kind.starts_with("cgroup"));
    Ok(hierarchies.map(|mount| mount.point.join(name)).filter(|path| path.is_dir()).collect())
}
