//! No daemon is needed: names, numbers and new containers come without one.

use std::fs;

use anyhow::Result;
use plimsoll_tests::{
    agent::Agent,
    cgroup::Hierarchy,
    docker::{Docker, IMAGE},
    page::Page,
    pins::Pins,
    report::Case,
    runc::Runc,
};

const NAMED: [(&str, &str); 2] = [("name", "worker"), ("image", IMAGE)];

#[test]
fn identity_stays_while_dockerd_is_stopped() -> Result<()> {
    Case::run("identity_stays_while_dockerd_is_stopped", |case| {
        let (mut docker, pins) = (Docker::start()?, Pins::new()?);
        let root = docker.root().display().to_string();
        let agent = Agent::start(&pins, &["--docker-root", &root])?;
        let id = docker
            .start_container(&["--name", "worker"], "sleep 1000 & while :; do sleep 0.1; true; done")?;
        docker.stop()?;
        go_on(case, "dockerd stopped", &agent)?;
        agent.kill()?;
        let agent = Agent::start(&pins, &["--docker-root", &root])?;
        go_on(case, "agent started without dockerd", &agent)?;
        let cgroup = Hierarchy::find()?.root().join(docker.parent()).join(id);
        let members = fs::read_to_string(cgroup.join("cgroup.procs"))?.lines().count() as u64;
        let ours = agent.scrape()?.count("container_processes", &NAMED)?;
        // The loop's sleep may be between two lives when either side looks.
        case.compare_within("processes", ours, members - 1, members + 1);
        Ok(())
    })
}

#[test]
fn containers_of_a_daemon_that_starts_later_have_their_names() -> Result<()> {
    Case::run("containers_of_a_daemon_that_starts_later_have_their_names", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &[])?;
        let docker = Docker::start()?;
        docker.start_container(&["--name", "worker"], "while :; do sleep 0.1; true; done")?;
        go_on(case, "its data root is its own", &agent)
    })
}

/// Its totals grow under its name.
fn go_on(case: &mut Case, when: &str, agent: &Agent) -> Result<()> {
    let forks = |page: &Page| page.count("plimsoll_container_forks_total", &NAMED);
    let before = agent.scrape_until("it has its name", |page| Ok(forks(page).ok()))?;
    agent.scrape_until("it forks", |page| Ok((forks(page)? > before + 5).then_some(())))?;
    case.prove(format_args!("{when}: it forks under its name"), true);
    Ok(())
}

#[test]
fn a_new_container_of_runc_appears() -> Result<()> {
    Case::run("a_new_container_of_runc_appears", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &[])?;
        let runc = Runc::start("fresh", "sleep 1000 & sleep 1000 & wait")?;
        let processes = |page: &Page| page.find("container_processes", &[("id", &runc.id())]);
        agent.scrape_until("it appears", |page| Ok(processes(page)?.filter(|count| *count == 3)))?;
        let members = fs::read_to_string(runc.cgroup()?.join("cgroup.procs"))?.lines().count();
        case.compare("its processes", members, 3);
        Ok(())
    })
}
