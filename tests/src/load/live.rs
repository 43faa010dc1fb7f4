//! Processes and threads that stay alive beside a load until they are told to end.

use std::{
    io::{PipeReader, PipeWriter, Read as _, Write as _, pipe},
    os::fd::AsRawFd as _,
    thread,
};

use anyhow::{Context as _, Result};

use super::{
    birth,
    tally::{Place, Tally},
};

const STACK: usize = 16 << 10;

/// What is held. Threads are held by one more process, which is none of `processes`.
pub(super) struct Live {
    processes: Vec<libc::pid_t>,
    held: PipeReader,
    gate: PipeWriter,
}

impl Live {
    /// Starts `processes` processes and, if any, `threads` threads in a process of their own; all are up on return.
    pub(super) fn start(tally: &Tally, processes: u64, threads: u64) -> Result<Self> {
        let (held, gate) = pipe().context("make a pipe")?;
        let mut live = Self { processes: Vec::new(), held, gate };
        for _ in 0..processes {
            live.add(tally, || Ok(()))?;
        }
        if threads > 0 {
            let (mut ready, mut tell) = pipe().context("make a pipe")?;
            live.add(tally, || {
                (0..threads).try_for_each(|_| hold_thread(tally))?;
                tell.write_all(&[1]).context("tell that the threads are up")
            })?;
            drop(tell);
            ready.read_exact(&mut [0]).context("hold threads")?;
        }
        Ok(live)
    }

    /// Forks a process that does `prepare` and then waits for the gate to close.
    fn add(&mut self, tally: &Tally, prepare: impl FnOnce() -> Result<()>) -> Result<()> {
        let (held, gate) = (&self.held, self.gate.as_raw_fd());
        let process = birth::worker(tally, || {
            // SAFETY: the child's own copy, which it never uses otherwise and which no destructor closes again.
            unsafe { libc::close(gate) };
            prepare()?;
            let mut held = held;
            held.read_to_end(&mut Vec::new()).map(|_| ()).context("wait for the end")
        })?;
        self.processes.push(process);
        Ok(())
    }

    /// Ends all of them, with status 0, and counts that.
    pub(super) fn end(self, tally: &Tally) -> Result<()> {
        let Self { processes, held, gate } = self;
        drop((held, gate));
        processes.into_iter().try_for_each(|process| birth::wait_for(tally, Place::Source, process))
    }
}

/// A thread that sleeps until its process ends.
fn hold_thread(tally: &Tally) -> Result<()> {
    let sleep = || {
        loop {
            thread::park();
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(sleep).context("create a thread")?;
    tally.of(Place::Source).thread_creations.add(1);
    Ok(())
}
