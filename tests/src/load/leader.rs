//! Processes whose leader thread exits first, the others together later: the leader stays a zombie meanwhile.

use std::{
    sync::atomic::{AtomicI32, Ordering::SeqCst},
    thread,
};

use anyhow::{Context as _, Result};

use super::{
    birth, share,
    tally::{Place, Tally},
    windowed::births,
};

/// Threads beside the leader.
const THREADS: usize = 8;
/// Such processes in flight per worker.
const WINDOW: u64 = 4;
const STACK: usize = 64 << 10;

/// The kernel clears it when the leader has gone.
static LEADER: AtomicI32 = AtomicI32::new(1);

/// `count` such processes.
pub(super) fn run(tally: &Tally, workers: u64, count: u64) -> Result<()> {
    share(tally, workers, count, |share| work(tally, share))
}

fn work(tally: &Tally, count: u64) -> Result<()> {
    births(tally, Place::Source, count, WINDOW, |_| birth::worker(tally, || leave_first(tally)).map(|_| ()))
}

/// Goes on in a cgroup as three threads without a leader, until it is killed; says `ready` when the leader ends.
pub(super) fn headless(cgroup: &str) -> Result<()> {
    std::fs::write(format!("{cgroup}/cgroup.procs"), "0").context("move into the cgroup")?;
    for _ in 0..3 {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
    }
    println!("ready");
    end_this_thread(0);
    Ok(())
}

/// Creates the threads and ends only this one, with a status that is not theirs.
fn leave_first(tally: &Tally) -> Result<()> {
    // SAFETY: the place lives as long as the process.
    unsafe { libc::syscall(libc::SYS_set_tid_address, LEADER.as_ptr()) };
    for _ in 0..THREADS {
        thread::Builder::new().stack_size(STACK).spawn(leave_later).context("create a thread")?;
        tally.of(Place::Source).thread_creations.add(1);
    }
    end_this_thread(3);
    Ok(())
}

fn leave_later() {
    while LEADER.load(SeqCst) != 0 {
        thread::yield_now();
    }
    end_this_thread(0);
}

/// Ends the calling thread alone, not the process.
fn end_this_thread(status: i32) {
    // SAFETY: nothing of this thread is needed any more; the process ends with its last thread.
    unsafe { libc::syscall(libc::SYS_exit, status) };
}
