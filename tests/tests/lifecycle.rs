//! How an agent ends, and what it leaves: pins that `cleanup` removes, or nothing.

use anyhow::Result;
use nix::sys::signal::Signal;
use plimsoll_tests::{agent::Agent, bpf::Objects, pins::Pins, report::Case, wait};

fn until_as_before(before: Objects) -> Result<()> {
    wait::until_true("no more programs, maps and links than before", || {
        Ok(Objects::now()?.none_above(&before))
    })
}

#[test]
fn sigterm_leaves_the_pins_and_cleanup_removes_them() -> Result<()> {
    Case::run("sigterm_leaves_the_pins_and_cleanup_removes_them", |case| {
        let (pins, before) = (Pins::new()?, Objects::now()?);
        let agent = Agent::start(&pins, &[])?;
        let pinned = pins.list()?;
        let log = agent.stop()?;
        case.prove("it says that they stay", log.contains("plimsoll cleanup"));
        case.prove("they stay", !pinned.is_empty() && pins.list()? == pinned);
        pins.clean_up()?;
        case.compare("pins after cleanup", pins.list()?.len(), 0);
        case.prove("no folder is left", !pins.path().join("plimsoll").exists());
        until_as_before(before)
    })
}

#[test]
fn sigint_ends_it_as_well() -> Result<()> {
    Case::run("sigint_ends_it_as_well", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &[])?;
        agent.signal(Signal::SIGINT)?;
        let (status, ..) = agent.ended()?;
        case.compare("its exit code", status.code(), Some(0));
        Ok(())
    })
}

#[test]
fn without_pins_nothing_is_left() -> Result<()> {
    Case::run("without_pins_nothing_is_left", |case| {
        let (pins, before) = (Pins::new()?, Objects::now()?);
        let agent = Agent::start(&pins, &["--no-pin"])?;
        case.compare("pins", pins.list()?.len(), 0);
        let loaded = agent.scrape()?.sum("plimsoll_program_loaded", &[])?;
        case.prove("programs run", loaded > 0);
        agent.kill()?;
        until_as_before(before)
    })
}
