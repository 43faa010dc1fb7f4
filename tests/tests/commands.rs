//! The commands beside `run` and `ps`, as somebody at a shell sees them.

use std::{fs, os::unix::fs::MetadataExt as _, process::Command};

use anyhow::{Context as _, Result};
use plimsoll_tests::{agent::Agent, bpf::PinnedMap, host, pins::Pins, report::Case, settings};
use serde_json::Value;
use tempfile::TempDir;

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

#[test]
fn the_control_socket_is_roots_and_outlives_no_agent() -> Result<()> {
    Case::run("the_control_socket_is_roots_and_outlives_no_agent", |case| {
        let pins = Pins::new()?;
        let folder = TempDir::new()?;
        let socket = folder.path().join("made/control.sock");
        let path = socket.display().to_string();
        let agent = Agent::start(&pins, &["--control", &path])?;
        let found = fs::metadata(&socket)?;
        case.compare("owner and mode of the socket", (found.uid(), found.mode() & 0o7777), (0, 0o600));
        let listed: Value = serde_json::from_str(&plimsoll(&["limit", "ls", "--json", "--control", &path])?)?;
        case.prove(format_args!("{listed} is a list"), listed["limits"].is_array());
        plimsoll(&["events", "--control", &path])?;
        let second = Agent::spawn_exactly(
            &["--no-pin", "--listen", "127.0.0.1:0", "--control", &path],
            agent.address(),
        )?;
        let (status, _, log) = second.ended()?;
        case.prove(
            format_args!("a second agent is refused: {log}"),
            !status.success() && log.contains(&path),
        );
        agent.kill()?;
        case.prove("a killed agent leaves its socket", socket.exists());
        let agent = Agent::start(&pins, &["--control", &path])?;
        plimsoll(&["limit", "ls", "--control", &path])?;
        agent.stop()?;
        case.prove("a stopped one does not", !socket.exists());
        let error = plimsoll(&["limit", "ls", "--control", &path]).err().context("nobody is there")?;
        case.prove(format_args!("{error:#} says what to do"), format!("{error:#}").contains("plimsoll run"));
        Ok(())
    })
}
