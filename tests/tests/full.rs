//! When a map or the ring buffer is full, that is told, nothing is shown wrong, and all is well again with room.

use std::{fs, path::Path};

use anyhow::Result;
use nix::sys::signal::Signal;
use plimsoll_tests::{
    accounts::{compare_gauges, gauges},
    agent::Agent,
    cgroup::Cgroup,
    page::Page,
    pins::Pins,
    report::Case,
    storm::{Plan, Storm, fork_in_many},
};

const DEGRADED: &str = "plimsoll_account_degraded";

fn held(live_processes: u64) -> Plan<'static> {
    Plan { mode: "fork", count: Some(1), live_processes, live_threads: 0, target: None }
}

/// Processes of this machine now.
fn processes() -> Result<usize> {
    let all = fs::read_dir("/proc")?.flatten();
    Ok(all
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit()))
        .count())
}

#[test]
fn a_full_process_map_is_told_and_repaired_with_room() -> Result<()> {
    Case::run("a_full_process_map_is_told_and_repaired_with_room", |case| {
        let (pins, first, late) = (Pins::new()?, Cgroup::create("first")?, Cgroup::create("late")?);
        let room = (processes()? + 60).to_string();
        let agent = Agent::start(&pins, &["--proc-entries", &room])?;
        let mut crowd = Storm::start(&first, &held(120))?;
        crowd.done()?;
        let mut left_out = Storm::start(&late, &held(20))?;
        left_out.done()?;
        let id = late.id();
        let page = agent.scrape()?;
        case.compare("the account is degraded", page.find(DEGRADED, &[("id", &id)])?, Some(1));
        case.prove(
            "the loss is counted",
            page.count("plimsoll_kernel_tally_total", &[("tally", "proc_full")])? > 0,
        );
        compare_gauges(case, "with a full map", &page, &late)?;
        compare_gauges(case, "with a full map", &page, &first)?;
        crowd.end()?;
        agent.scrape_until("the audit repairs", |page| {
            Ok(page.find(DEGRADED, &[("id", &id)])?.is_none_or(|degraded| degraded == 0).then_some(()))
        })?;
        let page = agent.scrape()?;
        compare_gauges(case, "repaired", &page, &late)?;
        compare_gauges(case, "repaired", &page, &first)?;
        left_out.end()?;
        compare_gauges(case, "at the end", &agent.scrape()?, &late)
    })
}

/// Directories below one, and itself.
fn directories(place: &Path) -> Result<u64> {
    let mut number = 1;
    for entry in fs::read_dir(place)?.flatten().filter(|entry| entry.path().is_dir()) {
        number += directories(&entry.path())?;
    }
    Ok(number)
}

#[test]
fn a_full_map_of_cgroups_is_told_and_their_processes_are_read_from_files() -> Result<()> {
    Case::run("a_full_map_of_cgroups_is_told_and_their_processes_are_read_from_files", |case| {
        let (pins, late) = (Pins::new()?, Cgroup::create("late")?);
        let room = directories(late.hierarchy().root())? + 10;
        let agent = Agent::start(&pins, &["--rows-entries", &room.to_string()])?;
        let crowd = fork_in_many("crowd", room + 20)?;
        let mut left_out = Storm::start(&late, &held(20))?;
        left_out.done()?;
        let id = late.id();
        let page = agent.scrape()?;
        case.compare("the account is degraded", page.find(DEGRADED, &[("id", &id)])?, Some(1));
        let lost = page.count("plimsoll_kernel_tally_total", &[("tally", "rows_full")])?;
        case.prove("the loss is counted", lost > 0);
        compare_gauges(case, "with a full map", &page, &late)?;
        drop(crowd);
        let agent = {
            agent.kill()?;
            Agent::start(&pins, &[])?
        };
        left_out.end()?;
        compare_gauges(case, "with room again", &agent.scrape()?, &late)
    })
}

#[test]
fn a_full_ring_buffer_is_told_and_healed() -> Result<()> {
    Case::run("a_full_ring_buffer_is_told_and_healed", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &["--ring-bytes", "4096"])?;
        agent.signal(Signal::SIGSTOP)?;
        let cgroups = (0..60).map(|n| Cgroup::create(&format!("ring{n}"))).collect::<Result<Vec<_>>>()?;
        let mut storms = Vec::new();
        for cgroup in &cgroups {
            storms.push(Storm::start(cgroup, &held(1))?);
        }
        storms.iter_mut().try_for_each(|storm| storm.done().map(|_| ()))?;
        agent.signal(Signal::SIGCONT)?;
        let all_there = |page: &Page| cgroups.iter().all(|cgroup| gauges(page, &cgroup.id()).is_ok());
        agent.scrape_until("every cgroup is found", |page| Ok(all_there(page).then_some(())))?;
        let page = agent.scrape()?;
        case.prove("the loss is counted", page.count("plimsoll_events_lost_total", &[])? > 0);
        cgroups.iter().try_for_each(|cgroup| compare_gauges(case, "after the loss", &page, cgroup))?;
        storms.into_iter().try_for_each(|storm| storm.end().map(|_| ()))?;
        let page = agent.scrape()?;
        cgroups.iter().try_for_each(|cgroup| compare_gauges(case, "at the end", &page, cgroup))
    })
}
