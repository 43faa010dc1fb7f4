//! Counts are exact: in a frozen cgroup in the middle of a load, when it is over, and after the last exit.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result};
use plimsoll_common::{row::Row, word::Word};
use plimsoll_tests::{
    accounts::{compare_gauges, compare_totals, gauges, totals},
    agent::Agent,
    bpf::PinnedMap,
    cgroup::Cgroup,
    page::Page,
    pins::Pins,
    report::Case,
    settings,
    storm::{Plan, Storm},
    wait,
};

const CORRECTIONS: &str = "plimsoll_audit_corrections_total";

#[test]
fn exactness_in_a_fork_storm() -> Result<()> {
    Case::run("exactness_in_a_fork_storm", |case| prove(case, "fork", 100_000))
}

#[test]
fn exactness_in_a_thread_storm() -> Result<()> {
    Case::run("exactness_in_a_thread_storm", |case| prove(case, "threads", 100_000))
}

#[test]
fn exactness_when_a_thread_that_is_not_the_leader_executes() -> Result<()> {
    Case::run("exactness_when_a_thread_that_is_not_the_leader_executes", |case| prove(case, "mtexec", 2_000))
}

#[test]
fn exactness_when_the_leader_exits_first() -> Result<()> {
    Case::run("exactness_when_the_leader_exits_first", |case| prove(case, "leader", 2_000))
}

#[test]
fn exactness_of_forks_straight_into_another_cgroup() -> Result<()> {
    Case::run("exactness_of_forks_straight_into_another_cgroup", |case| prove(case, "into", 20_000))
}

#[test]
fn exactness_of_vfork_and_exec() -> Result<()> {
    Case::run("exactness_of_vfork_and_exec", |case| prove(case, "vforkexec", 3_000))
}

#[test]
fn exactness_when_processes_are_moved_while_they_fork() -> Result<()> {
    Case::run("exactness_when_processes_are_moved_while_they_fork", |case| prove(case, "bounce", 10_000))
}

/// One load beside 1,000 live processes and threads in the same cgroup.
fn prove(case: &mut Case, mode: &str, count: u64) -> Result<()> {
    let (cgroup, other) = (Cgroup::create(mode)?, Cgroup::create("target")?);
    let v2 = cgroup.hierarchy().is_v2();
    if mode == "into" && !v2 {
        case.skip("forks straight into a cgroup need cgroup v2");
        return Ok(());
    }
    let pins = Pins::new()?;
    let agent = Agent::start(&pins, &[])?;
    let target = matches!(mode, "into" | "bounce").then_some(&other);
    let plan = Plan { target, ..Plan::beside_1000(mode, count) };
    let mut storm = Storm::start(&cgroup, &plan)?;
    if v2 {
        storm.wait_for_events(plan.count.unwrap_or_default());
        let _frozen = (cgroup.freeze()?, other.freeze()?);
        compare_both(case, "frozen in the middle", &agent, [&cgroup, &other])?;
    }
    let done = storm.done()?;
    let page = compare_both(case, "when the load is over", &agent, [&cgroup, &other])?;
    case.prove(
        "live processes and threads are compared",
        cgroup.threads()? > plan.live_threads + plan.live_processes,
    );
    let sum = |page: &_| -> Result<_> {
        let [ours, others] = [totals(page, &cgroup.id())?, totals(page, &other.id())?];
        Ok(if mode == "bounce" { ours + others } else { ours })
    };
    compare_totals(case, "when the load is over", sum(&page)?, done.counts);
    let end = storm.end()?;
    let page = compare_both(case, "at the end", &agent, [&cgroup, &other])?;
    compare_totals(case, "at the end", sum(&page)?, end.counts);
    if let Some(target) = end.target {
        compare_totals(case, "in the target", totals(&page, &other.id())?, target);
    }
    // Exact by counting, not by repair.
    case.compare("corrections by the audit", page.count(CORRECTIONS, &[])?, 0);
    Ok(())
}

fn compare_both(case: &mut Case, when: &str, agent: &Agent, cgroups: [&Cgroup; 2]) -> Result<Page> {
    let page = agent.scrape()?;
    cgroups.iter().try_for_each(|cgroup| compare_gauges(case, when, &page, cgroup))?;
    Ok(page)
}

/// Threads that the test invents.
const INVENTED: u64 = 3;

#[test]
fn exactness_comes_back_after_a_wrong_entry() -> Result<()> {
    Case::run("exactness_comes_back_after_a_wrong_entry", |case| {
        let (pins, cgroup) = (Pins::new()?, Cgroup::create("audit")?);
        let agent = Agent::start(&pins, &[])?;
        let plan = Plan { mode: "fork", count: Some(1), live_processes: 5, live_threads: 5, target: None };
        let mut storm = Storm::start(&cgroup, &plan)?;
        storm.done()?;
        compare_gauges(case, "before", &agent.scrape()?, &cgroup)?;
        let corrections = |page: &Page| page.count(CORRECTIONS, &[]);
        let before = corrections(&agent.scrape()?)?;
        plant(&pins, &cgroup)?;
        let wrong = agent.scrape()?.count("container_threads", &[("id", &cgroup.id())])?;
        case.compare("threads with the wrong entry", wrong, cgroup.threads()? + INVENTED);
        let threads = cgroup.threads()?;
        agent.scrape_until("the audit corrects", |page| {
            Ok((gauges(page, &cgroup.id())?.1 == threads).then_some(()))
        })?;
        let page = agent.scrape()?;
        compare_gauges(case, "after the audit", &page, &cgroup)?;
        case.prove("the correction is counted", corrections(&page)? > before);
        storm.end()?;
        compare_gauges(case, "at the end", &agent.scrape()?, &cgroup)
    })
}

/// Gives a process threads that it does not have, in its own entry and in its cgroup's row.
fn plant(pins: &Pins, cgroup: &Cgroup) -> Result<()> {
    let process = cgroup.pids()?[0].cast_unsigned();
    let processes = PinnedMap::open(&pins.find(plimsoll_common::names::PROC)?)?;
    let [word] = processes.get(process)?;
    processes.set(process, [word + INVENTED])?;
    let rows = PinnedMap::open(&pins.find(plimsoll_common::names::ROWS)?)?;
    let mut row: [u64; Row::WORDS] = rows.get(Word(word).cgroup())?;
    row[1] += INVENTED;
    rows.set(Word(word).cgroup(), row)
}

#[test]
fn exactness_of_a_process_that_is_moved_without_its_leader() -> Result<()> {
    Case::run("exactness_of_a_process_that_is_moved_without_its_leader", |case| {
        let (pins, from, to) = (Pins::new()?, Cgroup::create("from")?, Cgroup::create("to")?);
        if !from.hierarchy().is_v2() {
            case.skip("in cgroup v1 a leader that ended is moved like the others");
            return Ok(());
        }
        let agent = Agent::start(&pins, &[])?;
        let folder = from.path().display().to_string();
        let mut load =
            Command::new(settings::load()?).args(["headless", &folder]).spawn().context("start a load")?;
        let pid = load.id().cast_signed();
        wait::until_true("its leader ends", || {
            Ok(fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z ")))
        })?;
        to.add(pid)?;
        agent.kill()?;
        // A new agent audits at once, and as often as it takes to be sure.
        let agent = Agent::start(&pins, &[])?;
        thread::sleep(Duration::from_secs(6));
        let page = agent.scrape()?;
        case.compare("threads where it was moved", gauges(&page, &to.id())?, (1, to.threads()?));
        case.compare("threads where it was", gauges(&page, &from.id())?, (0, 0));
        case.compare("corrections", page.count(CORRECTIONS, &[])?, 0);
        load.kill()?;
        load.wait()?;
        let exits = [("id", to.id()), ("reason", "signal".to_owned())];
        let labels = exits.each_ref().map(|(name, value)| (*name, value.as_str()));
        let ended = agent.scrape_until("its end is counted", |page| {
            Ok(Some(page.count("plimsoll_container_exits_total", &labels)?).filter(|exits| *exits > 0))
        })?;
        case.compare("ends where it was moved", ended, 1);
        Ok(())
    })
}
