//! The load program does exactly what its arguments say, and its own numbers tell so.

use anyhow::Result;
use plimsoll_tests::{
    cgroup::Cgroup,
    load::Counts,
    report::Case,
    storm::{Plan, Storm},
};

const COUNT: u64 = 60;

/// Forks, thread creations and execs that a load of [`COUNT`] implies in its own cgroup, two workers' births with it.
const LOADS: [(&str, [u64; 3]); 7] = [
    ("fork", [COUNT + 2, 0, 0]),
    ("threads", [2, COUNT + 8, 0]),
    ("mtexec", [2, 4 * COUNT, COUNT]),
    ("leader", [COUNT + 2, 8 * COUNT, 0]),
    ("into", [2, 0, 0]),
    ("vforkexec", [COUNT + 2, 0, COUNT]),
    ("bounce", [COUNT + 2, COUNT, 0]),
];

#[test]
fn every_load_does_what_it_was_told() -> Result<()> {
    Case::run("every_load_does_what_it_was_told", |case| {
        LOADS.iter().try_for_each(|(mode, expected)| check(case, mode, *expected))
    })
}

/// Beside 5 processes, and 7 threads in one process more.
fn check(case: &mut Case, mode: &'static str, [forks, thread_creations, execs]: [u64; 3]) -> Result<()> {
    let (cgroup, target) = (Cgroup::create(mode)?, Cgroup::create("target")?);
    if mode == "into" && !cgroup.hierarchy().is_v2() {
        return Ok(());
    }
    let target = matches!(mode, "into" | "bounce").then_some(&target);
    let plan = Plan { mode, count: Some(COUNT), live_processes: 5, live_threads: 7, target };
    let mut storm = Storm::start(&cgroup, &plan)?;
    let done = storm.done()?;
    case.compare(format_args!("{mode}: forks"), done.counts.forks, forks + 6);
    case.compare(format_args!("{mode}: threads"), done.counts.thread_creations, thread_creations + 7);
    case.compare(format_args!("{mode}: execs"), done.counts.execs, execs);
    case.compare(format_args!("{mode}: exits"), done.counts.exits(), forks);
    case.compare(format_args!("{mode}: the file"), storm.so_far(), done.counts);
    case.compare(format_args!("{mode}: processes held"), cgroup.processes()?, 1 + 5 + 1);
    case.compare(format_args!("{mode}: threads held"), cgroup.threads()?, 1 + 5 + 1 + 7);
    let end = storm.end()?;
    let own = Counts { exits_ok: done.counts.exits_ok + 7, ..done.counts };
    case.compare(format_args!("{mode}: at the end"), end.counts, own);
    let into = end.target.map(|target| (target.forks, target.exits()));
    case.compare(format_args!("{mode}: in the target"), into, (mode == "into").then_some((COUNT, COUNT)));
    case.compare(format_args!("{mode}: processes left"), cgroup.processes()?, 0);
    Ok(())
}

#[test]
fn a_load_without_a_count_goes_on_until_it_is_enough() -> Result<()> {
    Case::run("a_load_without_a_count_goes_on_until_it_is_enough", |case| {
        for mode in ["fork", "threads", "leader", "vforkexec", "mtexec"] {
            let cgroup = Cgroup::create("endless")?;
            let plan = Plan { mode, count: None, live_processes: 0, live_threads: 0, target: None };
            let mut storm = Storm::start(&cgroup, &plan)?;
            storm.wait_for_events(50);
            storm.enough()?;
            let done = storm.done()?.counts;
            case.compare(format_args!("{mode}: exits"), done.exits(), done.forks);
            storm.end()?;
        }
        Ok(())
    })
}
