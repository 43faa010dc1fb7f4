//! What became of each program, and what it costs.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::FileExt as _,
    },
    path::Path,
};

use super::{
    programs::{HOOKS, Need, TAPS},
    sys,
    taps::{NO_CGROUP2, reason},
};

/// One program of a set of pins.
#[derive(Debug)]
pub struct Status {
    /// Its name.
    pub program: &'static str,
    /// Where it is attached: `tp_btf/task_newtask`, `tcx/ingress`.
    pub hook: String,
    /// What the kernel tells of it; else why there is none.
    entry: Result<Entry, String>,
}

/// A program, and what the kernel tells of it.
#[derive(Debug)]
struct Entry {
    info: File,
    _program: OwnedFd,
}

/// Looks at every program of the pins in `directory`, which count cgroups of `hierarchy_id`.
#[must_use]
pub fn statuses(directory: &Path, hierarchy_id: u32) -> Vec<Status> {
    let hooks = HOOKS.iter().map(|hook| Status {
        program: hook.program,
        hook: format!("tp_btf/{}", hook.tracepoint),
        entry: entry(directory, hook.entry, true).map_err(|_| match hook.need {
            Need::Sockets if hierarchy_id != 0 => format!("not attached: {NO_CGROUP2}"),
            _ => format!("not attached: this kernel lacks {}, or refused the program", hook.tracepoint),
        }),
    });
    let taps = TAPS.iter().map(|tap| Status {
        program: tap.program,
        hook: tap.place.hook().to_owned(),
        entry: entry(directory, tap.program, !tap.place.is_veth())
            .map_err(|_| format!("not attached: {}", reason(tap.place, hierarchy_id == 0))),
    });
    hooks.chain(taps).collect()
}

/// A pinned program, if it is attached: by a link of its name, where there is one link.
fn entry(directory: &Path, name: &str, linked: bool) -> io::Result<Entry> {
    if linked {
        sys::object_get(&directory.join("links").join(name))?;
    }
    let program = sys::object_get(&directory.join("programs").join(name))?;
    let info = File::open(format!("/proc/self/fdinfo/{}", program.as_raw_fd()))?;
    Ok(Entry { info, _program: program })
}

impl Status {
    /// Why there is no such program; `None` where there is one.
    #[must_use]
    pub fn left_out(&self) -> Option<&str> {
        self.entry.as_ref().err().map(String::as_str)
    }

    /// Runs and ns since it was loaded, while `kernel.bpf_stats_enabled` is on. The kernel books what a tail call runs
    /// on the program that called.
    #[must_use]
    pub fn cost(&self) -> Option<(u64, u64)> {
        cost(&self.info()?)
    }

    /// How often the kernel did not run it, as it would have run within itself on that CPU (kernel >= 5.12).
    #[must_use]
    pub fn misses(&self) -> Option<u64> {
        value(&self.info()?, "recursion_misses")
    }

    fn info(&self) -> Option<String> {
        let mut text = [0; 1024];
        let length = self.entry.as_ref().ok()?.info.read_at(&mut text, 0).ok()?;
        Some(str::from_utf8(text.get(..length)?).ok()?.to_owned())
    }
}

/// `run_cnt` and `run_time_ns` of a program's fdinfo.
fn cost(info: &str) -> Option<(u64, u64)> {
    let runs = value(info, "run_cnt")?;
    (runs > 0).then_some((runs, value(info, "run_time_ns")?))
}

/// The number in the line of that name.
fn value(info: &str, name: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::cost;

    #[test]
    fn costs_are_read_where_the_kernel_tells_them() {
        assert_eq!(cost("prog_id:\t7\nrun_time_ns:\t900\nrun_cnt:\t3\n"), Some((3, 900)));
        assert_eq!(cost("prog_id:\t7\nrun_time_ns:\t0\nrun_cnt:\t0\n"), None);
        assert_eq!(cost(""), None);
    }
}
