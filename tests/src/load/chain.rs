//! Threads that are not the leader execute a program: the kernel kills the others and gives the survivor the leader's id.

use std::{convert::Infallible, ffi::CString, io, ptr, thread};

use anyhow::{Context as _, Result};

use super::{
    birth::Ending,
    share,
    tally::{Place, Tally},
};

/// Threads per step that only wait to be killed by the exec.
const IDLE: u64 = 3;
const STACK: usize = 64 << 10;

/// `count` execs, each by the last of four new threads.
pub(super) fn run(tally: &Tally, workers: u64, count: u64) -> Result<()> {
    share(tally, workers, count, |share| step(tally, share))
}

/// The program's next image: proves the exec that led here, then does the next one.
pub(super) fn go_on(left: &str, counters: &str) -> Result<()> {
    let tally = Tally::inherit(counters.parse().context("number of the counters file")?)?;
    tally.of(Place::Source).execs.add(1);
    step(&tally, left.parse().context("execs left")?)
}

fn step(tally: &Tally, left: u64) -> Result<()> {
    if left == 0 || tally.stopped() {
        return Ok(());
    }
    let create = |body: fn()| thread::Builder::new().stack_size(STACK).spawn(body).context("create a thread");
    for _ in 0..IDLE {
        create(sleep)?;
        tally.of(Place::Source).thread_creations.add(1);
    }
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, || {
            // Counted by itself: once it executes, the leader is gone.
            tally.of(Place::Source).thread_creations.add(1);
            let Err(error) = exec(left - 1, tally.number());
            eprintln!("plimsoll-load: {error:#}");
            Ending::Error.perform();
        })?;
        Ok(())
    })
}

fn sleep() {
    loop {
        thread::park();
    }
}

fn exec(left: u64, counters: i32) -> Result<Infallible> {
    let [left, counters] = [CString::new(left.to_string())?, CString::new(counters.to_string())?];
    let program = c"/proc/self/exe";
    let words = [program.as_ptr(), c"chain".as_ptr(), left.as_ptr(), counters.as_ptr(), ptr::null()];
    // SAFETY: all words are C strings that outlive the call, the list ends with a null pointer.
    unsafe { libc::execv(program.as_ptr(), words.as_ptr()) };
    Err(io::Error::last_os_error()).context("exec")
}
