//! How a load's processes are born and end, counted where the kernel confirms it.

use std::{io, os::fd::RawFd, path::Path, ptr};

use anyhow::{Context as _, Result, bail};

use super::tally::{Place, Tally};

/// `clone3`'s flag (kernel: `linux/sched.h`); the constant of `libc` overflows its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Status 0.
    Ok,
    /// Status 3.
    Error,
    /// SIGKILL.
    Killed,
    /// SIGTERM.
    Terminated,
}

impl Ending {
    /// Takes turns: every second process ends well.
    pub(super) fn nth(n: u64) -> Self {
        match n % 6 {
            1 => Self::Error,
            3 => Self::Killed,
            5 => Self::Terminated,
            _ => Self::Ok,
        }
    }

    pub(super) fn named(name: &str) -> Result<Self> {
        let all = [Self::Ok, Self::Error, Self::Killed, Self::Terminated];
        all.into_iter().find(|ending| ending.name() == name).with_context(|| format!("unknown ending {name}"))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Killed => "killed",
            Self::Terminated => "terminated",
        }
    }

    /// Ends this process.
    pub(super) fn perform(self) {
        // SAFETY: plain calls on this process; nothing runs after them.
        unsafe {
            match self {
                Self::Ok => libc::_exit(0),
                Self::Error => libc::_exit(3),
                Self::Killed => libc::kill(libc::getpid(), libc::SIGKILL),
                Self::Terminated => libc::kill(libc::getpid(), libc::SIGTERM),
            };
        }
    }
}

/// Forks; the child runs `child` and ends with status 0 however that returns.
pub(super) fn fork(tally: &Tally, child: impl FnOnce()) -> Result<libc::pid_t> {
    // SAFETY: this process has one thread, or the child calls only what is safe after a fork.
    let pid = unsafe { libc::fork() };
    born(tally, Place::Source, "fork", i64::from(pid), child)
}

/// Forks straight into the cgroup whose directory is open as `cgroup`.
pub(super) fn fork_into(tally: &Tally, cgroup: RawFd, child: impl FnOnce()) -> Result<libc::pid_t> {
    // SAFETY: all fields of the structure are integers, 0 is a value of each.
    let mut how: libc::clone_args = unsafe { std::mem::zeroed() };
    how.flags = CLONE_INTO_CGROUP;
    how.exit_signal = u64::try_from(libc::SIGCHLD)?;
    how.cgroup = u64::try_from(cgroup)?;
    // SAFETY: a fork by another name: no shared memory, no new stack; the structure outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const how, size_of_val(&how)) };
    born(tally, Place::Target, "clone3 into a cgroup", pid, child)
}

fn born(tally: &Tally, place: Place, what: &str, pid: i64, child: impl FnOnce()) -> Result<libc::pid_t> {
    match pid {
        0 => {
            child();
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(0) }
        }
        1.. => {
            tally.of(place).forks.add(1);
            Ok(libc::pid_t::try_from(pid)?)
        }
        _ => Err(io::Error::last_os_error()).with_context(|| what.to_owned()),
    }
}

/// Executes this program in a new process after a vfork; the new one ends as told.
pub(super) fn vfork_exec(tally: &Tally, ending: Ending) -> Result<()> {
    let ending = match ending {
        Ending::Ok => c"ok",
        Ending::Error => c"error",
        Ending::Killed => c"killed",
        Ending::Terminated => c"terminated",
    };
    let program = c"/proc/self/exe".as_ptr();
    let words = [program.cast_mut(), c"end".as_ptr().cast_mut(), ending.as_ptr().cast_mut(), ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: all words are C strings that outlive the call, both lists end with a null pointer.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program,
            ptr::null(),
            ptr::null(),
            words.as_ptr(),
            [ptr::null_mut()].as_ptr(),
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error)).context("posix_spawn");
    }
    tally.of(Place::Source).forks.add(1);
    tally.of(Place::Source).execs.add(1);
    Ok(())
}

/// Waits for any child and counts how it ended.
pub(super) fn reap(tally: &Tally, place: Place) -> Result<()> {
    wait(tally, place, -1).map(|_| ())
}

/// Waits for one child, counts its exit, and fails unless it ended with status 0.
pub(super) fn wait_for(tally: &Tally, place: Place, pid: libc::pid_t) -> Result<()> {
    match wait(tally, place, pid)? {
        0 => Ok(()),
        status => bail!("process {pid} of the load ended with wait status {status:#x}"),
    }
}

fn wait(tally: &Tally, place: Place, pid: libc::pid_t) -> Result<i32> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 {
        return Err(io::Error::last_os_error()).with_context(|| format!("wait for child {pid}"));
    }
    let counters = tally.of(place);
    let counter = match status {
        status if libc::WIFSIGNALED(status) => &counters.exits_signal,
        0 => &counters.exits_ok,
        _ => &counters.exits_error,
    };
    counter.add(1);
    Ok(status)
}

/// Forks a worker, which dies with its parent and ends with status 0 only if `work` succeeded.
pub(super) fn worker(tally: &Tally, work: impl FnOnce() -> Result<()>) -> Result<libc::pid_t> {
    fork(tally, || {
        // SAFETY: plain call on this process.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if let Err(error) = work() {
            eprintln!("plimsoll-load: {error:#}");
            Ending::Error.perform();
        }
    })
}

/// Opens a directory to hand its descriptor to the kernel.
pub(super) fn open_directory(path: &Path) -> Result<std::fs::File> {
    std::fs::File::open(path).with_context(|| format!("open {}", path.display()))
}
