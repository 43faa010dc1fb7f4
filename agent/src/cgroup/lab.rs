//! Cgroups of a test's own, in any hierarchy; with all that is in them they end with their guards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use plimsoll_tests::cgroup::{PREFIX, remove};

use super::{Hierarchies, Hierarchy, Tasks, directory, id_of};

/// A cgroup.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) mount: PathBuf,
    pub(super) path: Vec<u8>,
}

impl Ground {
    /// One below a mount; `None` without the right to make one.
    pub(super) fn new(mount: &Path, name: &str) -> Option<Self> {
        let path = format!("/{PREFIX}{name}-{}", std::process::id());
        match fs::create_dir(directory(mount, path.as_bytes())) {
            Ok(()) => Some(Self { mount: mount.to_owned(), path: path.into_bytes() }),
            Err(error) => {
                eprintln!("skipped: a cgroup takes root ({error})");
                None
            }
        }
    }

    /// One below it. It ends with this one.
    pub(super) fn child(&self, name: &str) -> Self {
        let path = [&self.path[..], b"/", name.as_bytes()].concat();
        // On cgroup2 a controller is passed on or not.
        let _on_v1 = fs::write(self.place().join("cgroup.subtree_control"), "+pids");
        fs::create_dir(directory(&self.mount, &path)).unwrap();
        Self { mount: self.mount.clone(), path }
    }

    /// Its directory.
    pub(super) fn place(&self) -> PathBuf {
        directory(&self.mount, &self.path)
    }

    pub(super) fn id(&self) -> u64 {
        id_of(&self.place()).unwrap()
    }

    /// One of its files.
    pub(super) fn file(&self, name: &str) -> String {
        fs::read_to_string(self.place().join(name)).unwrap()
    }

    /// Its tasks.
    pub(super) fn tasks(&self, hierarchy: &Hierarchy) -> Tasks {
        Tasks::open(hierarchy, &self.path, self.id()).unwrap()
    }

    /// A shell in it that runs a line.
    pub(super) fn shell(&self, line: &str) -> Running {
        let line = format!("echo 0 >{}/cgroup.procs; {line}", self.place().display());
        let mut shell = Command::new("sh");
        // Whoever waits for our output must not wait for it.
        shell.args(["-c", &line]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(shell.spawn().unwrap())
    }

    /// Processes in it.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.file("cgroup.procs").lines().map(|line| line.parse().unwrap()).collect()
    }
}

/// Lets a cgroup go on at its end: a frozen process of v1 does not even die.
#[derive(Debug)]
pub(super) struct Thawed<'a>(pub(super) &'a Ground);

impl Drop for Thawed<'_> {
    fn drop(&mut self) {
        for (file, text) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
            let _of_the_other_version = fs::write(self.0.place().join(file), text);
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.place()) {
            eprintln!("left behind: {error:#}");
        }
    }
}

/// A process. Its end kills it.
#[derive(Debug)]
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}

/// The hierarchy that has the pids controller.
pub(super) fn pids() -> Hierarchy {
    Hierarchies::read().unwrap().pids().unwrap().clone()
}

/// Waits until something is true.
pub(super) fn until(what: &str, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
