//! The tests' own equipment: it does what it says and leaves nothing behind, not even when a test fails.

use std::{fs, panic, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use plimsoll_tests::{
    bpf::Objects,
    cgroup::{self, Cgroup},
    docker::{Docker, IMAGE},
    http,
    pins::Pins,
    process::{Daemon, using},
    prometheus::Prometheus,
    report::Case,
    runc::Runc,
};

#[test]
fn a_cgroup_goes_with_all_its_members() -> Result<()> {
    Case::run("a_cgroup_goes_with_all_its_members", |case| {
        let cgroup = Cgroup::create("members")?;
        let below = cgroup.child("below")?;
        let mut sleeper = Command::new("sleep").arg("1000").spawn()?;
        below.add(sleeper.id().cast_signed())?;
        case.compare("processes", below.processes()?, 1);
        case.compare("threads", below.threads()?, 1);
        if below.hierarchy().is_v2() {
            drop(below.freeze()?);
        }
        let path = cgroup.path().to_owned();
        let reaper = std::thread::spawn(move || sleeper.wait());
        drop((below, cgroup));
        case.prove("the cgroup is gone", !path.exists());
        let status = reaper.join().ok().context("the reaper panicked")??;
        case.prove("its member was killed", !status.success());
        Ok(())
    })
}

#[test]
fn guards_clean_up_after_a_panic() -> Result<()> {
    Case::run("guards_clean_up_after_a_panic", |case| {
        let (cgroup, pins) = (Cgroup::create("panic")?, Pins::new()?);
        let (path, mount) = (cgroup.path().to_owned(), pins.path().to_owned());
        let test = move || {
            let _guards = (cgroup, pins);
            panic!("as a failing test does");
        };
        case.prove("it panics", panic::catch_unwind(panic::AssertUnwindSafe(test)).is_err());
        case.prove("cgroup and mount are gone", !path.exists() && !mount.exists());
        Ok(())
    })
}

#[test]
fn a_daemon_ends_and_keeps_its_log() -> Result<()> {
    Case::run("a_daemon_ends_and_keeps_its_log", |case| {
        let folder = tempfile::tempdir()?;
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo up; exec sleep 1000"]);
        let mut daemon = Daemon::start(&mut shell, folder.path().join("log"))?;
        plimsoll_tests::wait::until_true("it is up", || Ok(daemon.log().contains("up")))?;
        case.prove("SIGTERM ends it", !daemon.end(Signal::SIGTERM)?.success());
        Ok(())
    })
}

#[test]
fn a_bpffs_comes_empty_and_goes() -> Result<()> {
    Case::run("a_bpffs_comes_empty_and_goes", |case| {
        let pins = Pins::new()?;
        case.compare("pins in a new bpffs", pins.list()?.len(), 0);
        case.prove("programs can be counted", Objects::now()?.programs < 10_000);
        let path = pins.path().to_owned();
        drop(pins);
        case.prove("it is unmounted and removed", !path.exists());
        Ok(())
    })
}

#[test]
fn a_container_runs_on_without_its_daemon_and_goes_at_the_end() -> Result<()> {
    Case::run("a_container_runs_on_without_its_daemon_and_goes_at_the_end", |case| {
        let mut docker = Docker::start()?;
        let said = docker.run(&["run", "--rm", "--network", "none", IMAGE, "seq", "2"])?;
        case.compare("what a container said", said.as_str(), "1\n2");
        let id = docker.start_container(&["--name", "sleeper"], "sleep 1000")?;
        let (parent, folder) = (docker.parent().to_owned(), docker.folder().to_owned());
        docker.stop()?;
        case.prove("its cgroup stays", !cgroup::everywhere(&format!("{parent}/{id}"))?.is_empty());
        case.prove("its shim stays", !using(&folder)?.is_empty());
        drop(docker);
        case.prove("no process is left", using(&folder)?.is_empty());
        case.prove("no cgroup is left", cgroup::everywhere(&parent)?.is_empty());
        case.prove("no file is left", !folder.exists());
        Ok(())
    })
}

#[test]
fn a_container_of_runc_has_its_cgroup_until_its_end() -> Result<()> {
    Case::run("a_container_of_runc_has_its_cgroup_until_its_end", |case| {
        let runc = Runc::start("runc", "sleep 1000")?;
        let cgroup = runc.cgroup()?;
        let members = fs::read_to_string(cgroup.join("cgroup.procs"))?;
        case.compare("processes", members.lines().count(), 1);
        drop(runc);
        case.prove("its cgroup is gone", !cgroup.exists());
        Ok(())
    })
}

#[test]
fn a_prometheus_tells_who_is_up_and_why_another_is_not() -> Result<()> {
    Case::run("a_prometheus_tells_who_is_up_and_why_another_is_not", |case| {
        let second = Duration::from_secs(1);
        let first = Prometheus::start(&[("nobody", http::free_port()?)], second)?;
        let refused = first.wait_until_up("nobody").err().map(|error| error.to_string());
        case.prove("the reason is told", refused.is_some_and(|reason| reason.contains("refused")));
        case.prove("a wrong query is told", first.query("1 +").is_err());
        let other = Prometheus::start(&[("first", first.address())], second)?;
        other.wait_until_up("first")?;
        other.wait_for_a_scrape("first")?;
        let samples = other.query("up[1m]")?;
        case.prove(
            "a range has all samples",
            samples.first().is_some_and(|series| series.samples.len() >= 2),
        );
        case.compare("a number", other.number("vector(3)")?, Some(3.0));
        Ok(())
    })
}
