//! Ends the processes of a cgroup, all or the newest. A process gets the signal by a descriptor that was opened before it was
//! seen to be in the cgroup: never one that has its number since.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{TaskError, Tasks, directory, path_of_pid, walk};

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(2);
/// How often to choose again when the chosen one ended.
const TRIES: u32 = 16;

/// How processes were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KilledBy {
    /// The kernel ended all of them at once: `cgroup.kill` (cgroup2, kernel >= 5.14).
    Kernel,
    /// They got signals, over and over until none was left.
    Signals,
}

/// A process, held by a descriptor.
#[derive(Debug)]
pub struct Newest {
    /// Its number.
    pub pid: u32,
    /// When it was born, in clock ticks since the host's start.
    pub born: u64,
    process: OwnedFd,
}

impl Newest {
    /// Kills it; one that has ended is fine.
    ///
    /// # Errors
    /// The kernel's: without `CAP_KILL` those of other users cannot be killed.
    pub fn kill(&self) -> io::Result<()> {
        kill(&self.process)
    }
}

impl Tasks {
    /// Kills every process in the cgroup and below, and waits that long at most until they are gone. By signals it takes several
    /// passes if processes fork; a frozen v1 cgroup is to be thawed meanwhile.
    ///
    /// # Errors
    /// [`TaskError::Protected`] where this process or process 1 is in it: nothing is killed then;
    /// [`TaskError::StillThere`] past the time; the kernel's.
    pub fn kill(&self, patience: Duration) -> Result<KilledBy, TaskError> {
        let deadline = Instant::now() + patience;
        self.without_protected(&self.processes()?)?;
        let by = match self.cgroup.write("cgroup.kill", "1") {
            Ok(()) => KilledBy::Kernel,
            Err(TaskError::NotSupported { .. }) => KilledBy::Signals,
            // Of a threaded cgroup the kernel kills none.
            Err(TaskError::Refused { source, .. }) if source.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                KilledBy::Signals
            }
            Err(error) => return Err(error),
        };
        loop {
            let left = match self.processes() {
                // Once it is empty anybody may remove it.
                Err(TaskError::Gone { .. }) => return Ok(by),
                left => left?,
            };
            if left.is_empty() {
                return Ok(by);
            }
            self.without_protected(&left)?;
            if Instant::now() >= deadline {
                return Err(TaskError::StillThere { path: self.cgroup.shown(), left: left.len() });
            }
            if by == KilledBy::Signals {
                for process in left.into_iter().filter_map(|pid| self.hold(pid)) {
                    kill(&process).map_err(|source| self.not_killed(source))?;
                }
            }
            thread::sleep(PAUSE);
        }
    }

    /// The process in the cgroup and below that was born last, of those born in the same tick the one with the highest number;
    /// `None` where there is none.
    ///
    /// # Errors
    /// The cgroup is gone, or the kernel's.
    pub fn newest(&self) -> Result<Option<Newest>, TaskError> {
        for _ in 0..TRIES {
            let born = |pid| birth(pid).map(|born| (born, pid));
            let Some((born, pid)) = self.processes()?.into_iter().filter_map(born).max() else {
                return Ok(None);
            };
            if let Some(process) = self.hold(pid).filter(|_| birth(pid) == Some(born)) {
                return Ok(Some(Newest { pid, born, process }));
            }
        }
        Ok(None)
    }

    /// Kills the newest process; its number, if there was one.
    ///
    /// # Errors
    /// As [`Self::newest`] and [`Newest::kill`]; [`TaskError::Protected`] where it is this process or process 1.
    pub fn kill_newest(&self) -> Result<Option<u32>, TaskError> {
        let Some(newest) = self.newest()? else { return Ok(None) };
        self.without_protected(&[newest.pid])?;
        newest.kill().map_err(|source| self.not_killed(source))?;
        Ok(Some(newest.pid))
    }

    fn without_protected(&self, pids: &[u32]) -> Result<(), TaskError> {
        match protected(pids, std::process::id()) {
            Some(pid) => Err(TaskError::Protected { path: self.cgroup.shown(), pid }),
            None => Ok(()),
        }
    }

    /// The processes in the cgroup and below that have a number here.
    fn processes(&self) -> Result<Vec<u32>, TaskError> {
        let own = self.cgroup.read("cgroup.procs")?;
        let mut pids: Vec<u32> = own.split(|byte| *byte == b'\n').filter_map(pid).collect();
        let link = self.cgroup.link();
        for (_, path) in walk(&link).cgroups.into_iter().skip(1) {
            // One that goes meanwhile is empty; of a threaded one the processes are told above.
            let Ok(file) = fs::File::open(directory(&link, &path).join("cgroup.procs")) else { continue };
            let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
            pids.extend(lines.filter_map(|line| pid(&line)));
        }
        Ok(pids)
    }

    /// A descriptor of a process, if it is in the cgroup or below.
    fn hold(&self, pid: u32) -> Option<OwnedFd> {
        let process = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
        let path = path_of_pid(pid, &self.hierarchy).ok()??;
        is_within(&path, self.cgroup.path()).then_some(process)
    }

    fn not_killed(&self, source: io::Error) -> TaskError {
        TaskError::Refused {
            path: self.cgroup.shown(),
            what: "kill a process of",
            file: "cgroup.procs",
            source,
        }
    }
}

/// The first process that is not to be killed: process 1 or our own.
fn protected(pids: &[u32], own: u32) -> Option<u32> {
    pids.iter().copied().find(|pid| [1, own].contains(pid))
}

fn kill(process: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(process, Signal::KILL) {
        Err(Errno::SRCH) => Ok(()),
        result => Ok(result?),
    }
}

/// A line of `cgroup.procs`; 0 is a process that this namespace does not see.
fn pid(line: &[u8]) -> Option<u32> {
    str::from_utf8(line).ok()?.parse().ok().filter(|pid| *pid != 0)
}

/// Whether a path is another or below it.
fn is_within(path: &[u8], other: &[u8]) -> bool {
    let other = other.strip_suffix(b"/").unwrap_or(other);
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// When a process was born, in clock ticks since the host's start.
fn birth(pid: u32) -> Option<u64> {
    parse_birth(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The 22nd field of /proc/PID/stat; the second, a name in brackets, may hold anything.
fn parse_birth(stat: &[u8]) -> Option<u64> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let field =
        stat.get(name_ends + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty()).nth(19)?;
    str::from_utf8(field.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
