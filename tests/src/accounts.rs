//! Accounts on a page, and their comparison with cgroup files and with what a load counted.

use anyhow::Result;

use crate::{cgroup::Cgroup, load::Counts, page::Page, report::Case};

/// What an account did in all, by the page.
pub fn totals(page: &Page, id: &str) -> Result<Counts> {
    let count = |name, labels: &[_]| page.count(name, &[&[("id", id)], labels].concat());
    let exits = |reason| count("plimsoll_container_exits_total", &[("reason", reason)]);
    Ok(Counts {
        forks: count("plimsoll_container_forks_total", &[])?,
        thread_creations: count("plimsoll_container_thread_creations_total", &[])?,
        execs: count("plimsoll_container_execs_total", &[])?,
        exits_ok: exits("ok")?,
        exits_error: exits("error")?,
        exits_signal: exits("signal")?,
    })
}

/// Processes and threads of an account now, by the page.
pub fn gauges(page: &Page, id: &str) -> Result<(u64, u64)> {
    let labels = [("id", id)];
    Ok((page.count("container_processes", &labels)?, page.count("container_threads", &labels)?))
}

/// Processes and threads of a cgroup in which nothing happens meanwhile, ours against the kernel's.
pub fn compare_gauges(case: &mut Case, when: &str, page: &Page, cgroup: &Cgroup) -> Result<()> {
    let id = cgroup.id();
    let (processes, threads) = gauges(page, &id)?;
    case.compare(format_args!("processes of {id}, {when}"), processes, cgroup.processes()?);
    case.compare(format_args!("threads of {id}, {when}"), threads, cgroup.threads()?);
    Ok(())
}

/// Every total of an account, ours against what a load counted itself.
pub fn compare_totals(case: &mut Case, when: &str, ours: Counts, loads: Counts) {
    for (what, read) in TOTALS {
        case.compare(format_args!("{what}, {when}"), read(&ours), read(&loads));
    }
}

/// Every total of an account, ours within two states of a load.
pub fn compare_totals_within(case: &mut Case, when: &str, ours: Counts, least: Counts, most: Counts) {
    for (what, read) in TOTALS {
        case.compare_within(format_args!("{what}, {when}"), read(&ours), read(&least), read(&most));
    }
}

type Read = fn(&Counts) -> u64;

const TOTALS: [(&str, Read); 6] = [
    ("forks", |counts| counts.forks),
    ("thread creations", |counts| counts.thread_creations),
    ("execs", |counts| counts.execs),
    ("exits with status 0", |counts| counts.exits_ok),
    ("exits with another status", |counts| counts.exits_error),
    ("exits by a signal", |counts| counts.exits_signal),
];
