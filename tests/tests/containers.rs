//! Real containers: none is missed, however short it lived, and one that restarts stays one account.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use plimsoll_tests::{
    accounts::gauges,
    agent::Agent,
    births::Births,
    docker::{Docker, IMAGE},
    page::Page,
    pins::Pins,
    prometheus::Prometheus,
    report::Case,
    settings::scaled,
};

const EXECS: &str = "plimsoll_container_execs_total";
const FORKS: &str = "plimsoll_container_forks_total";

fn start(pins: &Pins, docker: &Docker) -> Result<Agent> {
    Agent::start(pins, &["--docker-root", &docker.root().display().to_string()])
}

/// Each executes one program, `true`: the container runtime's own processes execute theirs elsewhere.
#[test]
fn identity_of_200_short_containers() -> Result<()> {
    Case::run("identity_of_200_short_containers", |case| {
        let (docker, pins) = (Docker::start()?, Pins::new()?);
        let agent = start(&pins, &docker)?;
        let number = scaled(200);
        run_short_ones(&docker, "first", 1)?;
        let prometheus = Prometheus::start(&[("agent", agent.address())], Duration::from_secs(1))?;
        prometheus.wait_until_up("agent")?;
        run_short_ones(&docker, "short", number)?;
        prometheus.wait_for_a_scrape("agent")?;
        let page = agent.scrape()?;
        for n in 0..number {
            let labels = [("name", &*format!("short-{n}")), ("image", IMAGE)];
            case.compare(format_args!("execs of short-{n}"), page.count(EXECS, &labels)?, 1);
            case.prove(format_args!("forks of short-{n} are counted"), page.count(FORKS, &labels)? > 0);
        }
        let execs = format!("plimsoll_workload_execs_total{{kind=\"image\",workload=\"{IMAGE}\"}}");
        case.compare("execs of the image in Prometheus", growth(&prometheus, &execs)?, Some(number));
        Ok(())
    })
}

/// Runs containers called `<name>-<n>` to their end, two at a time.
fn run_short_ones(docker: &Docker, name: &str, number: u64) -> Result<()> {
    let mut running = Vec::new();
    for n in 0..number {
        let full = format!("{name}-{n}");
        running.push(docker.start_client(&[
            "run",
            "--rm",
            "--network",
            "none",
            "--name",
            &full,
            IMAGE,
            "true",
        ])?);
        if running.len() == 2 || n + 1 == number {
            for mut client in running.drain(..) {
                let status = client.wait().context("wait for a container")?;
                ensure!(status.success(), "a container ended with {status}");
            }
        }
    }
    Ok(())
}

/// Last minus first sample, as Prometheus writes it.
fn growth(prometheus: &Prometheus, series: &str) -> Result<Option<u64>> {
    let found = prometheus.query(&format!("{series}[1h]"))?;
    ensure!(found.len() == 1, "{series} is {} series", found.len());
    let samples = &found[0].samples;
    let growth = samples.last().zip(samples.first()).map(|((_, last), (_, first))| last - first);
    growth.map(|growth| growth.to_string().parse().context("growth")).transpose()
}

#[test]
fn identity_of_a_container_that_restarts_five_times() -> Result<()> {
    Case::run("identity_of_a_container_that_restarts_five_times", |case| {
        let (docker, pins) = (Docker::start()?, Pins::new()?);
        let agent = start(&pins, &docker)?;
        docker.start_container(&["--name", "phoenix"], "/bin/true; exec /bin/sleep 1000")?;
        let labels = [("name", "phoenix")];
        let execs = |page: &Page| page.find(EXECS, &labels);
        // sh, true and sleep, of which a shell may have some built in unless they are named by path.
        agent.scrape_until("it executes", |page| Ok(execs(page)?.filter(|execs| *execs == 3)))?;
        for restart in 1..=5 {
            docker.run(&["restart", "--time", "0", "phoenix"])?;
            let wanted = 3 * (1 + restart);
            agent.scrape_until("it executes again", |page| {
                Ok(execs(page)?.filter(|execs| *execs == wanted))
            })?;
            let page = agent.scrape()?;
            case.compare("its series", page.all(EXECS, &labels).count(), 1);
            case.compare("its processes", page.count("container_processes", &labels)?, 1);
        }
        Ok(())
    })
}

#[test]
fn containers_that_lived_while_the_agent_was_dead_are_in_the_node_totals() -> Result<()> {
    Case::run("containers_that_lived_while_the_agent_was_dead_are_in_the_node_totals", |case| {
        let (docker, pins) = (Docker::start()?, Pins::new()?);
        let agent = start(&pins, &docker)?;
        run_short_ones(&docker, "seen", 1)?;
        let before = Births::now(&agent)?;
        let execs = |births: &Births| births.page.count("plimsoll_node_execs_total", &[]);
        agent.kill()?;
        let number = scaled(20).max(2);
        run_short_ones(&docker, "unseen", number)?;
        let agent = start(&pins, &docker)?;
        let after = Births::now(&agent)?;
        let [ours, least, most] = after.since(&before)?;
        case.compare_within("births on the machine", ours, least, most);
        // Each container's own, and its client's.
        case.prove("their execs are counted", execs(&after)? >= execs(&before)? + 2 * number);
        Ok(())
    })
}

#[test]
fn a_container_has_the_numbers_of_its_whole_subtree() -> Result<()> {
    Case::run("a_container_has_the_numbers_of_its_whole_subtree", |case| {
        let (docker, pins) = (Docker::start()?, Pins::new()?);
        let id = docker.start_container(&["--name", "tree"], "for i in 1 2 3; do sleep 1000 & done; wait")?;
        let agent = start(&pins, &docker)?;
        let page = agent.scrape()?;
        case.compare("processes and threads", gauges(&page, &format!("/{}/{id}", docker.parent()))?, (4, 4));
        let named = page.count("container_processes", &[("name", "tree"), ("image", IMAGE)])?;
        case.compare("processes by name", named, 4);
        Ok(())
    })
}
