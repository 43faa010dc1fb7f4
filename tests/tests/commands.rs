//! The commands beside `run` and `ps`, as somebody at a shell sees them.

use std::process::Command;

use anyhow::{Context as _, Result};
use plimsoll_tests::{agent::Agent, bpf::PinnedMap, host, pins::Pins, report::Case, settings};
use serde_json::Value;

fn plimsoll(args: &[&str]) -> Result<String> {
    host::run(Command::new(settings::agent()?).args(args))
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
