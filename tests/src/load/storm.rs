//! Storms of processes: fork, fork into another cgroup, vfork and exec.

use std::{
    os::fd::{AsRawFd as _, RawFd},
    path::Path,
};

use anyhow::Result;

use super::{
    WINDOW,
    birth::{self, Ending},
    share,
    tally::{Place, Tally},
    windowed::births,
};

/// How the storm's processes are born.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Fork,
    VforkExec,
    Into(RawFd),
}

/// `count` processes, ending in every way, a window of them in flight per worker.
pub(super) fn run(tally: &Tally, workers: u64, count: u64, way: Way) -> Result<()> {
    share(tally, workers, count, |share| work(tally, share, way))
}

/// `count` processes born in the cgroup `target`.
pub(super) fn into(tally: &Tally, workers: u64, count: u64, target: &Path) -> Result<()> {
    let directory = birth::open_directory(target)?;
    run(tally, workers, count, Way::Into(directory.as_raw_fd()))
}

fn work(tally: &Tally, count: u64, way: Way) -> Result<()> {
    let place = if matches!(way, Way::Into(_)) { Place::Target } else { Place::Source };
    births(tally, place, count, WINDOW, |n| {
        let ending = Ending::nth(n);
        match way {
            Way::Fork => birth::fork(tally, || ending.perform()).map(|_| ()),
            Way::VforkExec => birth::vfork_exec(tally, ending),
            Way::Into(cgroup) => birth::fork_into(tally, cgroup, || ending.perform()).map(|_| ()),
        }
    })
}
