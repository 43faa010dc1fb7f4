//! Before anything is counted: what the programs read by offset is held against what /proc says of the agent itself.

use std::{fs, path::Path};

use aya::maps::{Array, MapData};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork, pipe, read},
};
use plimsoll_common::{
    names,
    row::Exit,
    seen::Seen,
    word::{Word, cgroup_key},
};

use super::{Error, load::Loader, maps::open};

/// Holds the iterator's record of this process against /proc.
///
/// # Errors
/// A sentence that names what differs.
pub fn own_record(seen: &[Seen], own_cgroup: u64) -> Result<(), Error> {
    let tgid = std::process::id();
    let record = seen.iter().find(|record| record.tgid == tgid).ok_or_else(|| {
        Error::SelfTest(format!(
            "the kernel lists no process {tgid}, which is this agent: it runs in a pid namespace of its own; give it the \
             host's (`--pid host`, `hostPID: true`)"
        ))
    })?;
    let kernel = Word(record.kernel);
    let cgroup = cgroup_key(own_cgroup);
    if kernel.cgroup() != cgroup {
        return Err(Error::SelfTest(format!(
            "own cgroup is {cgroup} by its directory, {} by offset",
            kernel.cgroup()
        )));
    }
    let threads = fs::read_dir("/proc/self/task").map_err(Error::pin("read", "/proc/self/task"))?.count();
    if kernel.threads() as usize != threads {
        return Err(Error::SelfTest(format!(
            "own threads are {threads} by /proc, {} by offset",
            kernel.threads()
        )));
    }
    Ok(())
}

/// Lets two children end, by status 7 and by SIGKILL, and asks what the exit program would have read of each.
///
/// # Errors
/// The kernel's, or a sentence that names what differs. Call it while this process has one thread.
pub fn exit_codes(loader: &mut Loader, pins: &Path) -> Result<(), Error> {
    let maps = pins.join("maps");
    loader.with_probe(|| {
        for (killed, expected) in [(false, Exit::Error), (true, Exit::Signal)] {
            let mut probe: Array<_, u64> = open(&maps, names::PROBE)?;
            let heard = hear_child(&mut probe, killed)?;
            let expected = 1 + expected as u64;
            if heard != expected {
                return Err(Error::SelfTest(format!("a child's exit was read as {heard}, not {expected}")));
            }
        }
        Ok(())
    })
}

fn hear_child(probe: &mut Array<MapData, u64>, killed: bool) -> Result<u64, Error> {
    let (wait, go) = pipe().map_err(Error::pin("make", "a pipe"))?;
    // SAFETY: this process has one thread (the caller's promise), and the child calls only async-signal-safe functions.
    let child = match unsafe { fork() }.map_err(Error::pin("fork", "a child"))? {
        ForkResult::Child => {
            drop(go);
            let _ = read(&wait, &mut [0]);
            // SAFETY: ends the child at once, without the parent's exit handlers.
            unsafe { libc::_exit(7) }
        }
        ForkResult::Parent { child } => child,
    };
    let told = tell(probe, child);
    if killed {
        let _ = kill(child, Signal::SIGKILL);
    }
    drop(go);
    waitpid(child, None).map_err(Error::pin("wait for", "a child"))?;
    told?;
    probe.get(&1, 0).map_err(Error::map("read", names::PROBE))
}

fn tell(probe: &mut Array<MapData, u64>, child: Pid) -> Result<(), Error> {
    let pid = u64::try_from(child.as_raw()).unwrap_or_default();
    probe.set(1, 0, 0).and_then(|()| probe.set(0, pid, 0)).map_err(Error::map("write", names::PROBE))
}
