//! The load program, driven from a test.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tempfile::NamedTempFile;

use crate::{
    cgroup::Cgroup,
    load::{Counts, Report, Tally},
    settings,
};

/// A load to be run.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// `fork`, `threads`, `mtexec`, `leader`, `into`, `vforkexec` or `bounce`.
    pub mode: &'a str,
    /// How many; without a number, until [`Storm::enough`].
    pub count: Option<u64>,
    /// Processes held beside it.
    pub live_processes: u64,
    /// Threads held beside it, in one more process.
    pub live_threads: u64,
    /// The other cgroup of `into` and `bounce`.
    pub target: Option<&'a Cgroup>,
}

impl<'a> Plan<'a> {
    /// A load of `count` beside 1,000 live processes and threads, scaled.
    #[must_use]
    pub fn beside_1000(mode: &'a str, count: u64) -> Self {
        let (live_processes, live_threads) = (settings::scaled(500), settings::scaled(500));
        Self { mode, count: Some(settings::scaled(count)), live_processes, live_threads, target: None }
    }

    /// A load until it is told that it is enough, beside as many.
    #[must_use]
    pub fn endless(mode: &'a str) -> Self {
        Self { count: None, ..Self::beside_1000(mode, 0) }
    }

    fn arguments(&self, cgroup: &Cgroup, counters: &Path) -> Vec<OsString> {
        let Self { mode, count, live_processes, live_threads, target } = self;
        let number = |option: &str, number: u64| [option.into(), number.to_string().into()];
        let mut all: Vec<OsString> = vec![mode.into(), "--start-on-stdin".into(), "--hold".into()];
        all.extend(["--cgroup".into(), cgroup.path().into()]);
        all.extend(["--counters".into(), counters.into()]);
        all.extend(number("--live-processes", *live_processes));
        all.extend(number("--live-threads", *live_threads));
        all.extend(count.iter().flat_map(|count| number("--count", *count)));
        all.extend(target.iter().flat_map(|target| ["--target".into(), target.path().into()]));
        all
    }
}

/// A running load. It holds its live processes and threads after the load until [`Storm::end`].
#[derive(Debug)]
pub struct Storm {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    tally: Tally,
    _counters: NamedTempFile,
}

impl Storm {
    /// Starts the program in a cgroup and, once what it holds is up, its load.
    pub fn start(cgroup: &Cgroup, plan: &Plan<'_>) -> Result<Self> {
        let counters = NamedTempFile::with_prefix("plimsoll-test-load").context("make a counters file")?;
        let mut command = Command::new(settings::load()?);
        command.args(plan.arguments(cgroup, counters.path())).stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: between fork and exec, one plain system call on the child itself.
        unsafe { command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)) };
        let mut child = command.spawn().context("start the load")?;
        let input = child.stdin.take().context("input of the load")?;
        let mut output = BufReader::new(child.stdout.take().context("output of the load")?);
        let ready = line(&mut output)?;
        ensure!(ready == "ready", "the load said {ready:?} instead of `ready`");
        let tally = Tally::open(counters.path())?;
        let mut storm = Self { child, input, output, tally, _counters: counters };
        storm.tell()?;
        Ok(storm)
    }

    /// Ends a load that has no count.
    pub fn enough(&mut self) -> Result<()> {
        self.tell()
    }

    /// What it did so far: at most [`crate::load::IN_FLIGHT`] events of each kind behind the kernel, never ahead of it.
    #[must_use]
    pub fn so_far(&self) -> Counts {
        self.tally.counts()
    }

    /// Waits until this many things have happened since the call, at most two seconds.
    pub fn wait_for_events(&self, number: u64) {
        let (begun, first) = (Instant::now(), self.tally.events());
        while self.tally.events() < first + number && begun.elapsed() < Duration::from_secs(2) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the load is over. Nothing happens in the cgroup then until [`Storm::end`].
    pub fn done(&mut self) -> Result<Report> {
        let report: Report = serde_json::from_str(&line(&mut self.output)?).context("the load's report")?;
        ensure!(report.done && !report.ended, "the load ended early");
        Ok(report)
    }

    /// Ends what is held and the program itself.
    pub fn end(mut self) -> Result<Report> {
        self.tell()?;
        let report: Report = serde_json::from_str(&line(&mut self.output)?).context("the load's report")?;
        let status = self.child.wait().context("wait for the load")?;
        ensure!(report.ended && status.success(), "the load ended with {status}");
        Ok(report)
    }

    fn tell(&mut self) -> Result<()> {
        writeln!(self.input).context("tell the load to go on")
    }
}

/// One fork in each of so many cgroups below one: each has a row then, and no process.
pub fn fork_in_many(name: &str, number: u64) -> Result<Cgroup> {
    let parent = Cgroup::create(name)?;
    for n in 0..number {
        let child = parent.path().join(n.to_string());
        fs::create_dir(&child).with_context(|| format!("create {}", child.display()))?;
    }
    let each = "for each in */; do echo $$ > $each/cgroup.procs; (:); done";
    let status =
        Command::new("sh").args(["-c", each]).current_dir(parent.path()).status().context("start sh")?;
    ensure!(status.success(), "fork in many cgroups: {status}");
    Ok(parent)
}

fn line(output: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    output.read_line(&mut line).context("read what the load says")?;
    ensure!(line.ends_with('\n'), "the load failed: it ended before it was done");
    Ok(line.trim_end().to_owned())
}

impl Drop for Storm {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
    }
}
