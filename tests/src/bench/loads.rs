//! What the machine does while something is measured.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::{bridge::Bridge, cgroup::Cgroup, host, sandbox::Sandbox, settings};

/// A load that makes certain programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Forks and exits.
    Forks,
    /// Executes programs after vforks.
    Execs,
    /// A process goes to and fro between two cgroups.
    Moves,
    /// Cgroups are made and removed.
    Cgroups,
    /// A cgroup with a process is frozen and thawed.
    Freezes,
    /// TCP connections from one network namespace to another.
    Connections,
    /// The same to a port where nobody listens.
    Refusals,
}

impl Load {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Forks,
        Self::Execs,
        Self::Moves,
        Self::Cgroups,
        Self::Freezes,
        Self::Connections,
        Self::Refusals,
    ];

    /// Runs it once, in and below a cgroup.
    pub fn run(self, cgroup: &Cgroup) -> Result<()> {
        match self {
            Self::Forks => storm("fork", cgroup, 4_000),
            Self::Execs => storm("vforkexec", cgroup, 1_000),
            Self::Moves => {
                let (one, other, sleeper) = (cgroup.child("one")?, cgroup.child("other")?, Sleeper::start()?);
                (0..50).try_for_each(|_| one.add(sleeper.pid()).and_then(|()| other.add(sleeper.pid())))
            }
            Self::Cgroups => (0..50).try_for_each(|_| cgroup.child("short").map(drop)),
            Self::Freezes if cgroup.hierarchy().is_v2() => {
                let (child, sleeper) = (cgroup.child("cold")?, Sleeper::start()?);
                child.add(sleeper.pid())?;
                (0..25).try_for_each(|_| child.freeze().map(drop))
            }
            Self::Freezes => Ok(()),
            Self::Connections => connect("connections", 300),
            Self::Refusals => connect("closed", 300),
        }
    }
}

/// A load of connections between two namespaces made for it.
fn connect(mode: &str, count: u32) -> Result<()> {
    let bridge = Bridge::new()?;
    let [from, to] = [1, 2].map(|number| Sandbox::new(&format!("bench-{number}"), &bridge, number));
    let (from, to) = (from?, to?);
    let _sink = to.sink()?;
    from.traffic(&[mode, &to.ipv4(), &count.to_string()])
}

/// The load program, with one worker, to its end.
pub fn storm(mode: &str, cgroup: &Cgroup, count: u32) -> Result<()> {
    let mut load = Command::new(settings::load()?);
    load.arg(mode).arg("--cgroup").arg(cgroup.path());
    host::run(load.args(["--workers", "1", "--count", &count.to_string()])).map(drop)
}

/// A process that does nothing. Its end kills it.
#[derive(Debug)]
pub struct Sleeper(Child);

impl Sleeper {
    /// Starts one. It ends by itself after an hour, should nobody be left to kill it.
    pub fn start() -> Result<Self> {
        let mut sleep = Command::new("sleep");
        sleep.arg("3600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        sleep.spawn().map(Self).context("start sleep")
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}
