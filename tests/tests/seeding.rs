//! An agent that starts in the middle of a storm is exact from then on, again after a SIGKILL.

use anyhow::Result;
use plimsoll_tests::{
    accounts::{compare_gauges, compare_totals_within, totals},
    agent::Agent,
    cgroup::Cgroup,
    load::IN_FLIGHT,
    pins::Pins,
    report::Case,
    settings::scaled,
    storm::{Plan, Storm},
};

#[test]
fn an_agent_started_in_a_fork_storm_misses_nothing() -> Result<()> {
    Case::run("an_agent_started_in_a_fork_storm_misses_nothing", |case| prove(case, "fork", 30_000))
}

#[test]
fn an_agent_started_in_a_thread_storm_misses_nothing() -> Result<()> {
    Case::run("an_agent_started_in_a_thread_storm_misses_nothing", |case| prove(case, "threads", 30_000))
}

#[test]
fn an_agent_started_while_leaders_exit_first_misses_nothing() -> Result<()> {
    Case::run("an_agent_started_while_leaders_exit_first_misses_nothing", |case| prove(case, "leader", 3_000))
}

/// Starts the agent in the middle of an endless load, kills it, and starts it again.
fn prove(case: &mut Case, mode: &str, events: u64) -> Result<()> {
    let (pins, cgroup) = (Pins::new()?, Cgroup::create(mode)?);
    let mut storm = Storm::start(&cgroup, &Plan::endless(mode))?;
    storm.wait_for_events(scaled(events));
    let before = storm.so_far();
    let agent = Agent::start(&pins, &[])?;
    let ready = storm.so_far().plus_each(IN_FLIGHT);
    storm.wait_for_events(scaled(events));
    compare_frozen(case, "in the storm", &agent, &cgroup)?;
    agent.kill()?;
    storm.wait_for_events(scaled(events));
    let agent = Agent::start(&pins, &[])?;
    compare_frozen(case, "in the storm, after a SIGKILL", &agent, &cgroup)?;
    storm.enough()?;
    let done = storm.done()?.counts;
    let page = agent.scrape()?;
    compare_gauges(case, "when the load is over", &page, &cgroup)?;
    let ours = totals(&page, &cgroup.id())?;
    compare_totals_within(case, "since the agent was ready", ours, done - ready, done - before);
    let end = storm.end()?.counts;
    let page = agent.scrape()?;
    compare_gauges(case, "at the end", &page, &cgroup)?;
    let (later, held) = (totals(&page, &cgroup.id())? - ours, end - done);
    plimsoll_tests::accounts::compare_totals(case, "of what was held", later, held);
    Ok(())
}

fn compare_frozen(case: &mut Case, when: &str, agent: &Agent, cgroup: &Cgroup) -> Result<()> {
    if !cgroup.hierarchy().is_v2() {
        return Ok(());
    }
    let _frozen = cgroup.freeze()?;
    compare_gauges(case, when, &agent.scrape()?, cgroup)
}
