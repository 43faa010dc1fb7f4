//! Daemons that tests start, and their processes.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::wait;

/// Lines of a daemon's log that its end prints. The test runner shows them only if the test fails.
const LOG_LINES: usize = 30;

/// A daemon with its log in a file. Its end kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a command; what it prints goes to `log`. It dies with the thread that started it.
    pub fn start(command: &mut Command, log: PathBuf) -> Result<Self> {
        let file = fs::File::create(&log).with_context(|| format!("make {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        // SAFETY: between fork and exec, one plain system call on the child itself.
        unsafe { command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)) };
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        Ok(Self { child, log })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("look after a daemon")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal::kill(Pid::from_raw(self.pid()), signal).context("signal a daemon")
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        wait::until("a daemon ends", || self.ended())
    }

    /// Sends a signal and waits until it ends.
    pub fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.signal(signal)?;
        self.wait()
    }

    /// What it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(LOG_LINES);
        eprintln!("--- {}, its last lines:", self.log.display());
        log.lines().skip(skipped).for_each(|line| eprintln!("{line}"));
    }
}

/// Kills a process; one that is gone is fine.
pub fn kill(pid: i32) {
    let _gone_before = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// Processes whose command line names something in `folder`.
pub fn using(folder: &Path) -> Result<Vec<i32>> {
    let wanted = folder.as_os_str().as_bytes();
    let uses = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.windows(wanted.len()).any(|window| window == wanted)
    };
    let all = fs::read_dir("/proc").context("read /proc")?.flatten();
    let own = std::process::id().cast_signed();
    let pids = all.filter_map(|entry| number(&entry.file_name())).filter(|pid| *pid != own);
    Ok(pids.filter(uses).collect())
}

/// Kills the processes that [`using`] finds, until there are none.
pub fn kill_using(folder: &Path) -> Result<()> {
    wait::until_true("no process is left", || {
        let left = using(folder)?;
        left.iter().copied().for_each(kill);
        Ok(left.is_empty())
    })
}

fn number(name: &OsStr) -> Option<i32> {
    name.to_str()?.parse().ok()
}
