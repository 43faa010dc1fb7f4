//! A storm of threads: every worker has threads that create and join threads.

use std::thread;

use anyhow::{Context as _, Result, bail};

use super::{
    share,
    tally::{Place, Tally},
};

/// Threads of a worker that create the storm's threads.
const CREATORS: u64 = 4;
const STACK: usize = 64 << 10;

/// `count` short-lived threads, and a few that create them.
pub(super) fn run(tally: &Tally, workers: u64, count: u64) -> Result<()> {
    share(tally, workers, count, |share| work(tally, share))
}

fn work(tally: &Tally, count: u64) -> Result<()> {
    thread::scope(|scope| {
        let start = |n| {
            let share = count / CREATORS + u64::from(n < count % CREATORS);
            let create = move || (0..share).take_while(|_| !tally.stopped()).try_for_each(|_| one(tally));
            let creator = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, create);
            tally.of(Place::Source).thread_creations.add(1);
            creator.context("create a thread")
        };
        let creators: Vec<_> = (0..CREATORS).map(start).collect::<Result<_>>()?;
        creators.into_iter().try_for_each(|creator| joined(creator.join()))
    })
}

/// Creates a thread that does nothing, and waits for it.
pub(super) fn one(tally: &Tally) -> Result<()> {
    let thread = thread::Builder::new().stack_size(STACK).spawn(|| ()).context("create a thread")?;
    tally.of(Place::Source).thread_creations.add(1);
    joined(thread.join().map(Ok))
}

fn joined(result: thread::Result<Result<()>>) -> Result<()> {
    result.unwrap_or_else(|_| bail!("a thread of the load panicked"))
}
