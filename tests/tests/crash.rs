//! Killed in the middle of a storm and started again, the agent has lost nothing, doubled nothing and left nothing.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    accounts::{compare_gauges, compare_totals, compare_totals_within, totals},
    agent::Agent,
    bpf::Objects,
    cgroup::Cgroup,
    load::{Counts, IN_FLIGHT},
    pins::Pins,
    report::Case,
    settings::{other_object, scaled},
    storm::{Plan, Storm},
    wait,
};

#[test]
fn twenty_kills_in_a_fork_storm_lose_nothing() -> Result<()> {
    Case::run("twenty_kills_in_a_fork_storm_lose_nothing", |case| prove(case, &[&[]]))
}

#[test]
fn twenty_kills_and_other_programs_each_time_lose_nothing() -> Result<()> {
    Case::run("twenty_kills_and_other_programs_each_time_lose_nothing", |case| {
        let other =
            other_object().context("PLIMSOLL_OTHER_OBJECT names no kernel programs of another build")?;
        prove(case, &[&["--programs", &other.display().to_string()], &[]])
    })
}

/// Starts in turns with each of these arguments; the last are those of the first start, too.
fn prove(case: &mut Case, turns: &[&[&str]]) -> Result<()> {
    let (pins, cgroup) = (Pins::new()?, Cgroup::create("crash")?);
    let first = turns.last().context("no arguments")?;
    let mut agent = Agent::start(&pins, first)?;
    let (objects, pinned) = (Objects::now()?, pins.list()?);
    case.prove("something is pinned", !pinned.is_empty());
    let mut storm = Storm::start(&cgroup, &Plan::endless("fork"))?;
    let mut last = Counts::default();
    // Few on an emulated machine, but every turn at least once.
    let kills = scaled(20).max(turns.len() as u64);
    for args in turns.iter().cycle().take(usize::try_from(kills)?) {
        storm.wait_for_events(scaled(2_000));
        agent.kill()?;
        storm.wait_for_events(scaled(1_000));
        agent = Agent::start(&pins, args)?;
        last = compare_in_the_storm(case, &agent, &cgroup, &storm, last)?;
    }
    storm.enough()?;
    let done = storm.done()?.counts;
    let page = agent.scrape()?;
    compare_gauges(case, "when the storm is over", &page, &cgroup)?;
    compare_totals(case, "when the storm is over", totals(&page, &cgroup.id())?, done);
    let end = storm.end()?.counts;
    compare_totals(case, "at the end", totals(&agent.scrape()?, &cgroup.id())?, end);
    case.prove("the same is pinned as at first", pins.list()? == pinned);
    wait::until_true("there are no more programs, maps and links than at first", || {
        Ok(Objects::now()?.none_above(&objects))
    })
}

/// Totals between what the load did before and after the scrape, none below the last; gauges in a frozen cgroup.
fn compare_in_the_storm(
    case: &mut Case,
    agent: &Agent,
    cgroup: &Cgroup,
    storm: &Storm,
    last: Counts,
) -> Result<Counts> {
    let before = storm.so_far();
    let ours = totals(&agent.scrape()?, &cgroup.id())?;
    let after = storm.so_far().plus_each(IN_FLIGHT);
    compare_totals_within(case, "in the storm", ours, before, after);
    case.compare("totals that went backwards", last - ours, Counts::default());
    if cgroup.hierarchy().is_v2() {
        let _frozen = cgroup.freeze()?;
        compare_gauges(case, "in the frozen storm", &agent.scrape()?, cgroup)?;
    }
    thread::sleep(Duration::from_millis(50));
    Ok(ours)
}
