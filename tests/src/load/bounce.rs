//! Processes that fork and create threads while they are moved to and fro between two cgroups.

use std::{fs::OpenOptions, io::Write as _, path::Path};

use anyhow::{Context as _, Result, ensure};

use super::{
    WINDOW,
    birth::{self, Ending},
    start_workers,
    tally::{Place, Tally},
    threads,
    windowed::births,
};

/// `count` children and as many threads, by workers that this process moves until they end. Gives the moves made.
pub(super) fn run(tally: &Tally, workers: u64, count: u64, cgroups: [&Path; 2]) -> Result<u64> {
    ensure!(count < u64::MAX, "bounce needs --count");
    let mut left = start_workers(tally, workers, count, |share| work(tally, share))?;
    let mut moves = 0;
    while !left.is_empty() {
        for cgroup in cgroups.iter().rev() {
            for worker in &left {
                moves += u64::from(move_into(*worker, cgroup)?);
            }
        }
        left.retain(|worker| !has_ended(*worker));
    }
    (0..workers).try_for_each(|_| birth::reap(tally, Place::Source))?;
    Ok(moves)
}

fn work(tally: &Tally, count: u64) -> Result<()> {
    births(tally, Place::Source, count, WINDOW, |n| {
        birth::fork(tally, || Ending::nth(n).perform())?;
        threads::one(tally)
    })
}

/// Moves a process; false when it has ended meanwhile.
fn move_into(process: libc::pid_t, cgroup: &Path) -> Result<bool> {
    let procs = cgroup.join("cgroup.procs");
    let written = OpenOptions::new().write(true).open(&procs).and_then(|mut file| write!(file, "{process}"));
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("move process {process} by {}", procs.display())),
    }
}

/// Whether a child has ended; it stays to be waited for.
fn has_ended(child: libc::pid_t) -> bool {
    // SAFETY: all fields of the structure are integers, 0 is a value of each.
    let mut report: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `report` outlives the call.
    unsafe { libc::waitid(libc::P_PID, child.cast_unsigned(), &raw mut report, flags) };
    report.si_signo != 0
}
