//! An agent whose pinned maps have another layout goes on where the older one was, whenever it is killed.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use nix::{sys::signal::Signal, unistd::gettid};
use plimsoll_common::{LAYOUT, names, row::Row, word::cgroup_key};
use plimsoll_tests::{
    accounts::{compare_gauges, compare_totals, compare_totals_within, totals},
    agent::Agent,
    bpf::{Objects, PinnedMap},
    cgroup::Cgroup,
    host,
    load::{Counts, IN_FLIGHT},
    page::Sample,
    pins::Pins,
    report::Case,
    settings::{next_agent, scaled},
    storm::{Plan, Storm, fork_in_many},
    wait,
};

/// Kills of the newer agent while it takes over: at its start, when its set of pins is there, and while it imports.
const KILLS: u64 = 6;
const STEP: Duration = Duration::from_millis(5);
/// Cgroups with a row each, beside the storm's.
const MANY: u64 = 900;
/// Until any of this happened.
const LONGEST_START: Duration = Duration::from_mins(1);

#[test]
fn another_layout_takes_over_in_a_fork_storm_and_loses_nothing() -> Result<()> {
    Case::run("another_layout_takes_over_in_a_fork_storm_and_loses_nothing", |case| {
        let (pins, cgroup) = (Pins::new()?, Cgroup::create("layout")?);
        let older = Agent::start(&pins, &[])?;
        let (objects, pinned) = (Objects::now()?, pinned_names(&pins)?);
        let dead = leave_a_dead_cgroup(&older)?;
        let storm = Storm::start(&cgroup, &Plan::endless("fork"))?;
        storm.wait_for_events(scaled(2_000));
        older.kill()?;
        let newer = start_next(&pins)?;
        storm.wait_for_events(scaled(1_000));
        let before = storm.so_far();
        let ours = totals(&newer.scrape()?, &cgroup.id())?;
        compare_totals_within(case, "in the storm", ours, before, storm.so_far().plus_each(IN_FLIGHT));
        compare_the_end(case, &newer, &cgroup, storm)?;
        compare_totals(case, "of the dead", totals(&newer.scrape()?, &dead.0)?, dead.1);
        case.prove(
            "it tells what it took over",
            newer.log().contains(&format!("of layout {LAYOUT} taken over")),
        );
        case.prove("the same is pinned as before", pinned_names(&pins)? == pinned);
        wait::until_true("there are no more programs, maps and links than before", || {
            Ok(Objects::now()?.none_above(&objects))
        })?;
        newer.stop()?;
        let (status, _, log) = Agent::spawn(&pins, &[])?.ended()?;
        case.prove(format_args!("the older agent refuses ({status}): {log}"), !status.success());
        case.prove("and says by what", log.contains("newer version") && log.contains(&layout(LAYOUT + 1)));
        Ok(())
    })
}

#[test]
fn another_layout_that_is_killed_while_it_takes_over_loses_nothing() -> Result<()> {
    Case::run("another_layout_that_is_killed_while_it_takes_over_loses_nothing", |case| {
        let (mut before, mut between) = (0, 0);
        for kill in 0..u32::try_from(scaled(KILLS).max(4))? {
            let (pins, cgroup) = (Pins::new()?, Cgroup::create("layout")?);
            let set = |number| pins.path().join("plimsoll").join(layout(number));
            let (old, new) = (set(LAYOUT), set(LAYOUT + 1));
            let older = Agent::start(&pins, &[])?;
            let dead = leave_a_dead_cgroup(&older)?;
            let many = fork_in_many("many", scaled(MANY))?;
            let plan = Plan { live_processes: 10, live_threads: 10, ..Plan::endless("fork") };
            let storm = Storm::start(&cgroup, &plan)?;
            storm.wait_for_events(scaled(1_000));
            older.kill()?;
            let newer = Agent::spawn_program(&next_agent()?, &pins, &[])?;
            wait_for_the_moment(kill, &new, &many)?;
            newer.signal(Signal::SIGKILL)?;
            newer.ended()?;
            before += u32::from(!new.exists());
            between += u32::from(new.exists() && old.exists());
            let newer = start_next(&pins)?;
            compare_the_end(case, &newer, &cgroup, storm)?;
            let page = newer.scrape()?;
            compare_totals(case, "of the dead", totals(&page, &dead.0)?, dead.1);
            let of_many = page.all("plimsoll_container_forks_total", &[]).filter(|one| is_below(one, &many));
            case.compare(
                "forks in many",
                of_many.map(|one| one.value).sum(),
                f64::from(u32::try_from(scaled(MANY))?),
            );
            case.prove("nothing of the older layout is left", !old.exists());
        }
        case.prove(
            format_args!("{before} kills came before its set, {between} before the end"),
            before * between > 0,
        );
        Ok(())
    })
}

/// When to kill: at its start, when its set of pins is there, and in the middle of the import.
fn wait_for_the_moment(kill: u32, newer: &Path, many: &Cgroup) -> Result<()> {
    match kill % 4 {
        0 => thread::sleep(STEP * kill),
        1 => wait_closely("its own set of pins is there", || newer.exists())?,
        _ => {
            let one = cgroup_key(fs::metadata(many.path().join(kill.to_string()))?.ino());
            let rows = newer.join("maps").join(names::ROWS);
            wait_closely("it imported one of the rows", || {
                PinnedMap::open(&rows).is_ok_and(|rows| rows.get::<{ Row::WORDS + 1 }>(one).is_ok())
            })?;
        }
    }
    Ok(())
}

fn is_below(sample: &Sample, parent: &Cgroup) -> bool {
    sample.labels.get("id").is_some_and(|id| id.starts_with(&format!("{}/", parent.id())))
}

/// As [`wait`] does, but before all others and without a rest: what is done in a millisecond is seen.
fn wait_closely(what: &str, holds: impl Fn() -> bool) -> Result<()> {
    let nice = |niceness| {
        let thread = gettid().to_string();
        host::run(Command::new("renice").args(["-n", niceness, "-p", &thread])).map(|_| ())
    };
    nice("-20")?;
    let begun = Instant::now();
    while !holds() && begun.elapsed() < LONGEST_START {}
    nice("0")?;
    ensure!(begun.elapsed() < LONGEST_START, "waited in vain until {what}");
    Ok(())
}

fn start_next(pins: &Pins) -> Result<Agent> {
    let mut newer = Agent::spawn_program(&next_agent()?, pins, &[])?;
    newer.wait_until_ready()?;
    Ok(newer)
}

/// A cgroup that did something and is gone; its counts are in the sums of the dead.
fn leave_a_dead_cgroup(agent: &Agent) -> Result<(String, Counts)> {
    let cgroup = Cgroup::create("dead")?;
    let id = cgroup.id();
    let plan = Plan { count: Some(100), live_processes: 1, live_threads: 1, ..Plan::endless("fork") };
    let mut storm = Storm::start(&cgroup, &plan)?;
    storm.done()?;
    let counts = storm.end()?.counts;
    drop(cgroup);
    agent.scrape_until("the dead cgroup's gauges go", |page| {
        let gone = page.find("container_processes", &[("id", &id)])?.is_none();
        Ok(gone.then_some(()))
    })?;
    Ok((id, counts))
}

/// Gauges and totals when the storm is over, and when all of its processes are gone.
fn compare_the_end(case: &mut Case, agent: &Agent, cgroup: &Cgroup, mut storm: Storm) -> Result<()> {
    storm.enough()?;
    let done = storm.done()?.counts;
    let page = agent.scrape()?;
    compare_gauges(case, "when the storm is over", &page, cgroup)?;
    compare_totals(case, "when the storm is over", totals(&page, &cgroup.id())?, done);
    let end = storm.end()?.counts;
    compare_totals(case, "at the end", totals(&agent.scrape()?, &cgroup.id())?, end);
    Ok(())
}

/// The directory of the pins of a layout.
fn layout(number: u32) -> String {
    format!("v{number}")
}

/// What is pinned, whatever the layout.
fn pinned_names(pins: &Pins) -> Result<Vec<String>> {
    let without_layout = |pin: &std::path::PathBuf| {
        let parts: Vec<_> = pin.iter().map(|part| part.to_string_lossy()).collect();
        let layouts = [layout(LAYOUT), layout(LAYOUT + 1)];
        parts
            .iter()
            .filter(|part| !layouts.iter().any(|layout| layout == *part))
            .cloned()
            .collect::<Vec<_>>()
            .join("/")
    };
    Ok(pins.list()?.iter().map(without_layout).collect())
}
