//! The commands beside `run`, as somebody at a shell sees them.

use std::process::Command;

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    accounts::{gauges, totals},
    agent::Agent,
    bpf::PinnedMap,
    cgroup::Cgroup,
    host,
    pins::Pins,
    report::Case,
    settings,
    storm::{Plan, Storm},
};
use serde_json::Value;

fn plimsoll(args: &[&str]) -> Result<String> {
    host::run(Command::new(settings::agent()?).args(args))
}

#[test]
fn ps_tells_what_the_page_tells() -> Result<()> {
    Case::run("ps_tells_what_the_page_tells", |case| {
        let (pins, cgroup) = (Pins::new()?, Cgroup::create("ps")?);
        let agent = Agent::start(&pins, &[])?;
        let plan = Plan { mode: "fork", count: Some(60), live_processes: 3, live_threads: 4, target: None };
        let mut storm = Storm::start(&cgroup, &plan)?;
        storm.done()?;
        let (page, id) = (agent.scrape()?, cgroup.id());
        let address = agent.address().to_string();
        let answer: Value = serde_json::from_str(&plimsoll(&["ps", "--json", "--agent", &address])?)?;
        let rows = answer["containers"].as_array().context("no containers")?;
        let row = rows.iter().find(|row| row["id"] == *id).with_context(|| format!("no {id}"))?;
        let told = |what: &str| row[what].as_u64().with_context(|| format!("no {what} in {row}"));
        case.compare("gauges", (told("processes")?, told("threads")?), gauges(&page, &id)?);
        let ours = totals(&page, &id)?;
        let all = (ours.forks, ours.thread_creations, ours.execs);
        case.compare("totals", (told("forks")?, told("thread_creations")?, told("execs")?), all);
        let table = plimsoll(&["ps", "--all", "--agent", &address])?;
        case.prove("the table has it", table.lines().any(|line| line.starts_with(&id)));
        storm.end()?;
        Ok(())
    })
}

/// The lines of `plimsoll check`.
fn check(pins: &Pins) -> Result<Vec<Value>> {
    let bpffs = pins.path().display().to_string();
    Ok(serde_json::from_str(&plimsoll(&["check", "--json", "--bpffs", &bpffs])?)?)
}

#[test]
fn the_kernels_memory_of_maps_is_within_what_check_tells() -> Result<()> {
    Case::run("the_kernels_memory_of_maps_is_within_what_check_tells", |case| {
        let pins = Pins::new()?;
        let _agent = Agent::start(&pins, &[])?;
        let line = check(&pins)?.into_iter().find(|line| line["feature"] == "memory of maps");
        let line = line.context("no memory of maps")?;
        let megabytes =
            line["reason"].as_str().and_then(|reason| reason.split(' ').nth(2)?.parse::<u64>().ok());
        let most = megabytes.with_context(|| format!("no number in {line}"))? << 20;
        let mut kernels = 0;
        for pin in pins.list()?.iter().filter(|pin| pin.iter().any(|part| part == "maps")) {
            kernels += PinnedMap::open(&pins.path().join(pin))?.memory()?;
        }
        // Most of it is taken at once; names and owners as they come.
        case.compare_within("bytes of all maps", kernels, 12 << 20, most);
        Ok(())
    })
}

#[test]
fn check_finds_everything_here() -> Result<()> {
    Case::run("check_finds_everything_here", |case| {
        let pins = Pins::new()?;
        let lines = check(&pins)?;
        case.prove("features are listed", lines.len() > 5);
        for line in &lines {
            case.prove(format_args!("{line} is there"), line["state"] != "missing");
            case.prove(format_args!("{line} has a reason"), line["state"] == "ok" || line["reason"] != "");
        }
        case.compare("pins made by a check", pins.list()?.len(), 0);
        Ok(())
    })
}
