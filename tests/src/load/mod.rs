//! `plimsoll-load`: one honest load at a time inside a cgroup, which counts what it did there itself.
//!
//! The program moves itself into the cgroup first. From then on it counts what the kernel told it: a birth is a `fork`,
//! `clone` or `posix_spawn` that returned, an exit is what `wait` reported. Its own process was born elsewhere and is no
//! fork; its own exit is an exit, counted in the last line only, which is printed just before.

mod args;
mod birth;
mod bounce;
mod chain;
mod leader;
mod live;
mod storm;
mod tally;
mod threads;
mod windowed;

use std::{ffi::OsString, fs, io, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use args::{Args, Mode};
use birth::Ending;
use live::Live;
use tally::Place;
pub use tally::{Counts, Tally};

/// Children or threads that one worker has in flight at most.
const WINDOW: u64 = 16;

/// How far the kernel can be ahead of a counters file, in events of each kind, with up to four workers.
pub const IN_FLIGHT: u64 = 4 * (WINDOW + 1);

/// One line of the program's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The load is over.
    pub done: bool,
    /// What was held beside it has ended too; only the program's own exit is left, and counted already.
    pub ended: bool,
    /// What happened in the cgroup; for `bounce`, in both.
    #[serde(flatten)]
    pub counts: Counts,
    /// What happened in the target cgroup of `into`.
    pub target: Option<Counts>,
    /// Migrations between the two cgroups of `bounce`.
    pub moves: u64,
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let texts: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let result = match texts[..] {
        ["end", ending] => Ending::named(ending).map(Ending::perform),
        ["headless", cgroup] => leader::headless(cgroup),
        ["traffic", ..] => crate::traffic::run(&texts[1..]),
        ["chain", left, counters] => chain::go_on(left, counters),
        _ => Args::parse(&words).and_then(|args| run(&args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plimsoll-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let procs = args.cgroup.join("cgroup.procs");
    fs::write(&procs, "0").with_context(|| format!("move into {}", procs.display()))?;
    let tally = Tally::create(args.counters.as_deref())?;
    let live = Live::start(&tally, args.live_processes, args.live_threads)?;
    if args.start_on_stdin {
        println!("ready");
        wait_for_a_line()?;
    }
    let moves = load(args, &tally)?;
    if args.hold {
        print(&Report::of(args.mode, &tally, moves))?;
        wait_for_a_line()?;
    }
    live.end(&tally)?;
    tally.of(Place::Source).exits_ok.add(1);
    print(&Report { ended: true, ..Report::of(args.mode, &tally, moves) })
}

/// Runs the load with its workers and gives the migrations made.
fn load(args: &Args, tally: &Tally) -> Result<u64> {
    let Args { mode, count, workers, .. } = *args;
    let target = args.target.as_deref();
    match mode {
        Mode::Fork => storm::run(tally, workers, count, storm::Way::Fork)?,
        Mode::VforkExec => storm::run(tally, workers, count, storm::Way::VforkExec)?,
        Mode::Into => storm::into(tally, workers, count, target.context("into needs --target")?)?,
        Mode::Threads => threads::run(tally, workers, count)?,
        Mode::MtExec => chain::run(tally, workers, count)?,
        Mode::Leader => leader::run(tally, workers, count)?,
        Mode::Bounce => {
            let target = target.context("bounce needs --target")?;
            return bounce::run(tally, workers, count, [&args.cgroup, target]);
        }
    }
    Ok(0)
}

impl Report {
    fn of(mode: Mode, tally: &Tally, moves: u64) -> Self {
        let counts = tally.of(Place::Source).counts();
        let target = (mode == Mode::Into).then(|| tally.of(Place::Target).counts());
        Self { done: true, ended: false, counts, target, moves }
    }
}

fn print(report: &Report) -> Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

fn wait_for_a_line() -> Result<()> {
    io::stdin().read_line(&mut String::new()).context("read standard input")?;
    Ok(())
}

/// Forks `workers` processes that each do their share of `count`, and waits for them; a load without a count goes on
/// until a line comes on standard input.
///
/// A worker that fails makes every number void, so it fails the load.
fn share(tally: &Tally, workers: u64, count: u64, work: impl Fn(u64) -> Result<()>) -> Result<()> {
    let started = start_workers(tally, workers, count, work)?;
    if count == u64::MAX {
        wait_for_a_line()?;
        tally.stop();
    }
    started.into_iter().try_for_each(|worker| birth::wait_for(tally, Place::Source, worker))
}

fn start_workers(
    tally: &Tally,
    workers: u64,
    count: u64,
    work: impl Fn(u64) -> Result<()>,
) -> Result<Vec<libc::pid_t>> {
    if workers == 0 || workers > 4 {
        bail!("{workers} workers: 1 to 4 are possible");
    }
    let shares = (0..workers).map(|n| count / workers + u64::from(n < count % workers));
    shares.map(|share| birth::worker(tally, || work(share))).collect()
}
