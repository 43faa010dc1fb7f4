//! An agent that cannot start says why in one sentence, and what to do, and ends with a code that is not 0.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use plimsoll_tests::{agent::Agent, pins::Pins, report::Case, settings};

/// What it must not take longer for than to say no.
const SOON: Duration = Duration::from_secs(30);

/// Waits for the agent to give up; its last words must name all of these.
fn gives_up(case: &mut Case, agent: Agent, reasons: &[&str]) -> Result<()> {
    let (status, took, log) = agent.ended()?;
    case.prove(format_args!("{status} is a failure"), status.code().is_some_and(|code| code != 0));
    case.prove(format_args!("{took:?} is soon"), took < SOON);
    let last = log.lines().last().unwrap_or_default();
    for reason in reasons {
        case.prove(format_args!("`{last}` tells of {reason}"), last.contains(reason));
    }
    Ok(())
}

#[test]
fn a_taken_port_is_named() -> Result<()> {
    Case::run("a_taken_port_is_named", |case| {
        let pins = Pins::new()?;
        let taken = TcpListener::bind("127.0.0.1:0")?;
        let address = taken.local_addr()?;
        let (listen, bpffs) = (address.to_string(), pins.path().display().to_string());
        let agent = Agent::spawn_exactly(&["--listen", &listen, "--bpffs", &bpffs], address)?;
        gives_up(case, agent, &[&listen])
    })
}

#[test]
fn a_second_agent_names_the_first() -> Result<()> {
    Case::run("a_second_agent_names_the_first", |case| {
        let pins = Pins::new()?;
        let first = Agent::start(&pins, &[])?;
        let pid = first.pid().to_string();
        gives_up(case, Agent::spawn(&pins, &[])?, &[&pid])?;
        let (listen, bpffs) = (first.address().to_string(), pins.path().display().to_string());
        let arguments = ["--listen", &listen, "--bpffs", &bpffs];
        gives_up(case, Agent::spawn_exactly(&arguments, first.address())?, &[&pid, &listen])?;
        case.prove("cleanup is refused, too", pins.clean_up().is_err());
        case.prove("the first goes on", first.scrape()?.size > 0);
        Ok(())
    })
}

#[test]
fn pins_that_others_may_write_are_refused_and_moved_aside_on_demand() -> Result<()> {
    Case::run("pins_that_others_may_write_are_refused_and_moved_aside_on_demand", |case| {
        let pins = Pins::new()?;
        let folder = pins.path().join("plimsoll");
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        gives_up(case, Agent::spawn(&pins, &[])?, &[&folder.display().to_string(), "--takeover"])?;
        let agent = Agent::start(&pins, &["--takeover"])?;
        case.prove("moved aside, it runs", agent.scrape()?.size > 0);
        let mode = fs::metadata(&folder)?.permissions().mode() & 0o777;
        case.compare("mode of the new folder", format!("{mode:o}").as_str(), "700");
        Ok(())
    })
}

#[test]
fn pins_with_a_part_missing_are_refused_and_moved_aside_on_demand() -> Result<()> {
    Case::run("pins_with_a_part_missing_are_refused_and_moved_aside_on_demand", |case| {
        let pins = Pins::new()?;
        Agent::start(&pins, &[])?.stop()?;
        fs::remove_file(pins.find(plimsoll_common::names::ROWS)?).context("damage the pins")?;
        gives_up(case, Agent::spawn(&pins, &[])?, &["--takeover"])?;
        let agent = Agent::start(&pins, &["--takeover"])?;
        case.prove("moved aside, it runs", agent.scrape()?.size > 0);
        Ok(())
    })
}

#[test]
fn pins_under_each_others_names_are_refused() -> Result<()> {
    Case::run("pins_under_each_others_names_are_refused", |case| {
        let swaps = [
            ("programs/fold", "programs/retire"),
            ("links/on_exit", "links/on_exec"),
            ("maps/S_OOM", "maps/S_EXEC"),
        ];
        for (one, other) in swaps {
            let pins = Pins::new()?;
            Agent::start(&pins, &[])?.stop()?;
            let set = pins.path().join("plimsoll").join(format!("v{}", plimsoll_common::LAYOUT));
            fs::rename(set.join(one), set.join("swapped"))?;
            fs::rename(set.join(other), set.join(one))?;
            fs::rename(set.join("swapped"), set.join(other))?;
            gives_up(case, Agent::spawn(&pins, &[])?, &["--takeover"])?;
        }
        Ok(())
    })
}

#[test]
fn a_link_in_the_place_of_the_pins_leads_nowhere() -> Result<()> {
    Case::run("a_link_in_the_place_of_the_pins_leads_nowhere", |case| {
        let (pins, elsewhere) = (Pins::new()?, tempfile::tempdir()?);
        fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o700))?;
        let precious = elsewhere.path().join("stage/precious");
        fs::create_dir_all(&precious)?;
        std::os::unix::fs::symlink(elsewhere.path(), pins.path().join("plimsoll"))?;
        gives_up(case, Agent::spawn(&pins, &[])?, &["no directory"])?;
        case.prove("what is elsewhere is still there", precious.exists());
        fs::remove_file(pins.path().join("plimsoll")).context("remove the link")
    })
}

#[test]
fn a_user_without_rights_is_told_what_to_do() -> Result<()> {
    Case::run("a_user_without_rights_is_told_what_to_do", |case| {
        let program = tempfile::NamedTempFile::with_prefix("plimsoll-test-agent")?;
        fs::copy(settings::agent()?, program.path())?;
        fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755))?;
        let program = program.into_temp_path();
        let output = Command::new(&program).arg("run").uid(65_534).gid(65_534).current_dir("/").output()?;
        case.prove("it fails", output.status.code().is_some_and(|code| code != 0));
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        case.prove(format_args!("`{said}` names root"), said.contains("root") || said.contains("sudo"));
        Ok(())
    })
}
