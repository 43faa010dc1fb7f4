//! The agent under test, as a process of its own that listens on a port of its own.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::Path,
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{cgroup::Hierarchy, host, http, page::Page, pins::Pins, process::Daemon, settings, wait};

/// A snapshot may be that old when it is served.
const FRESHNESS: Duration = Duration::from_millis(300);

/// A running agent. Its end kills it; its pins stay in their [`Pins`].
#[derive(Debug)]
pub struct Agent {
    daemon: Daemon,
    address: SocketAddr,
    folder: TempDir,
}

/// The name of its control socket.
const CONTROL: &str = "control.sock";

fn folder() -> Result<TempDir> {
    TempDir::with_prefix("plimsoll-test-agent").context("make a folder")
}

impl Agent {
    /// Starts `plimsoll run` on these pins with these arguments, and waits until it has attached and seeded.
    pub fn start(pins: &Pins, args: &[&str]) -> Result<Self> {
        let mut agent = Self::spawn(pins, args)?;
        agent.wait_until_ready()?;
        Ok(agent)
    }

    /// Starts `plimsoll run` and waits for nothing.
    pub fn spawn(pins: &Pins, args: &[&str]) -> Result<Self> {
        Self::spawn_program(&settings::agent()?, pins, args)
    }

    /// Starts `run` of another agent and waits for nothing.
    pub fn spawn_program(program: &Path, pins: &Pins, args: &[&str]) -> Result<Self> {
        let address = http::free_port()?;
        let mut all: Vec<OsString> = args.iter().map(OsString::from).collect();
        all.extend(["--listen".into(), address.to_string().into()]);
        all.extend(["--bpffs".into(), pins.path().into()]);
        if let Hierarchy::Pids(_) = Hierarchy::find()? {
            all.extend(["--hierarchy", "pids"].map(OsString::from));
        }
        Self::spawn_as(program, &all, address, folder()?)
    }

    /// Starts `plimsoll run` with exactly these arguments, which make it listen on `address`, and a control socket of its own
    /// where they name none.
    pub fn spawn_exactly(args: &[impl AsRef<OsStr>], address: SocketAddr) -> Result<Self> {
        Self::spawn_as(&settings::agent()?, args, address, folder()?)
    }

    fn spawn_as(
        program: &Path,
        args: &[impl AsRef<OsStr>],
        address: SocketAddr,
        folder: TempDir,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("run").args(args);
        if !args.iter().any(|arg| arg.as_ref() == "--control") {
            command.arg("--control").arg(folder.path().join(CONTROL));
        }
        let daemon = Daemon::start(&mut command, folder.path().join("agent.log"))?;
        Ok(Self { daemon, address, folder })
    }

    /// Waits until `/readyz` says 200.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let address = self.address;
        wait::until_true("the agent is ready", || {
            if let Some(status) = self.daemon.ended()? {
                bail!("the agent ended with {status} before it was ready: {}", self.daemon.log());
            }
            Ok(http::get(address, "/readyz").is_ok_and(|answer| answer.status == 200))
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it about limits, as `plimsoll limit` and `plimsoll events` do; gives what that prints.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(settings::agent()?);
        command.args(words).arg("--control").arg(self.folder.path().join(CONTROL));
        host::run(&mut command)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.daemon.pid()
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Its page as it is now, none of it from before this call.
    pub fn scrape(&self) -> Result<Page> {
        thread::sleep(FRESHNESS);
        let answer = http::get(self.address, "/metrics")?;
        ensure!(answer.status == 200, "/metrics: status {}", answer.status);
        let page = Page::parse(answer.text()?)?;
        let twice = page.duplicates();
        ensure!(twice.is_empty(), "series that occur twice: {twice:?}");
        Ok(page)
    }

    /// Scrapes until `look` finds something on the page.
    pub fn scrape_until<T>(&self, what: &str, mut look: impl FnMut(&Page) -> Result<Option<T>>) -> Result<T> {
        wait::until(what, || look(&self.scrape()?))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.daemon.signal(signal)
    }

    /// Ends it by SIGKILL.
    pub fn kill(mut self) -> Result<()> {
        self.daemon.end(Signal::SIGKILL).map(|_| ())
    }

    /// Ends it by SIGTERM, which it must answer by status 0. Gives its log.
    pub fn stop(mut self) -> Result<String> {
        let status = self.daemon.end(Signal::SIGTERM)?;
        ensure!(status.success(), "the agent ended with {status} after SIGTERM");
        Ok(self.log())
    }

    /// Waits until it ends by itself; gives how, the time that took, and its log.
    pub fn ended(mut self) -> Result<(ExitStatus, Duration, String)> {
        let begun = Instant::now();
        let status = self.daemon.wait()?;
        Ok((status, begun.elapsed(), self.log()))
    }
}
