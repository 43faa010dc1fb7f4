//! Real containers: none is missed, however short it lived, and one that restarts stays one account.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use plimsoll_tests::{
    accounts::gauges,
    agent::Agent,
    births::Births,
    cgroup::Cgroup,
    docker::{Docker, IMAGE, Shared},
    page::Page,
    pins::Pins,
    prometheus::{self, Prometheus},
    report::Case,
    settings::scaled,
    wait,
};

const EXECS: &str = "plimsoll_container_execs_total";
const FORKS: &str = "plimsoll_container_forks_total";

fn start(pins: &Pins, docker: &Docker) -> Result<Agent> {
    Agent::start(pins, &["--docker-root", &docker.root().display().to_string()])
}

/// Each executes `true`; runc executes itself once more just before or just after it moved into the container's cgroup.
#[test]
fn identity_of_200_short_containers() -> Result<()> {
    Case::run("identity_of_200_short_containers", |case| {
        let (docker, pins) = (Shared::take()?, Pins::new()?);
        let agent = start(&pins, &docker)?;
        let number = scaled(200);
        run_short_ones(&docker, "first", 1)?;
        let prometheus = Prometheus::start(&[("agent", agent.address())], Duration::from_secs(1))?;
        prometheus.wait_until_up("agent")?;
        run_short_ones(&docker, "short", number)?;
        prometheus.wait_for_a_scrape("agent")?;
        let page = agent.scrape()?;
        let mut did = 0;
        for n in 0..number {
            let labels = [("name", &*format!("short-{n}")), ("image", IMAGE)];
            let execs = page.count(EXECS, &labels)?;
            case.compare_within(format_args!("execs of short-{n}"), execs, 1, 2);
            case.prove(format_args!("forks of short-{n} are counted"), page.count(FORKS, &labels)? > 0);
            did += execs;
        }
        let execs = format!("plimsoll_workload_execs_total{{kind=\"image\",workload=\"{IMAGE}\"}}");
        case.compare("execs of the image in Prometheus", growth(&prometheus, &execs)?, Some(did));
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
        let (docker, pins) = (Shared::take()?, Pins::new()?);
        let agent = start(&pins, &docker)?;
        docker.start_container(&["--name", "phoenix"], "/bin/true; exec /bin/sleep 1000")?;
        let labels = [("name", "phoenix")];
        let mut last = executed(&agent, &labels, 3)?;
        let restarts = scaled(5).max(2);
        for _ in 0..restarts {
            docker.run(&["restart", "--time", "0", "phoenix"])?;
            last = executed(&agent, &labels, last + 3)?;
            let page = agent.scrape()?;
            case.compare("its series", page.all(EXECS, &labels).count(), 1);
            case.compare("its processes", page.count("container_processes", &labels)?, 1);
        }
        // sh, true, sleep, and at times runc.
        case.compare_within("execs in all lives", last, (1 + restarts) * 3, (1 + restarts) * 4);
        Ok(())
    })
}

/// Waits until a container has executed as many programs, and gives how many it has.
fn executed(agent: &Agent, labels: &[(&str, &str)], least: u64) -> Result<u64> {
    let enough = |page: &Page| Ok(page.find(EXECS, labels)?.filter(|execs| *execs >= least));
    agent.scrape_until("the container executes", enough)
}

#[test]
fn containers_that_lived_while_the_agent_was_dead_are_in_the_node_totals() -> Result<()> {
    Case::run("containers_that_lived_while_the_agent_was_dead_are_in_the_node_totals", |case| {
        let (docker, pins) = (Shared::take()?, Pins::new()?);
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
fn cgroups_that_lived_while_the_agent_was_dead_count_for_their_workload() -> Result<()> {
    Case::run("cgroups_that_lived_while_the_agent_was_dead_count_for_their_workload", |case| {
        let (pins, parent) = (Pins::new()?, Cgroup::create("backlog")?);
        Agent::start(&pins, &[])?.kill()?;
        let number = scaled(2_000);
        for n in 0..number {
            let cgroup = parent.path().join(n.to_string());
            fs::create_dir(&cgroup)?;
            let shell = ["-c", "echo $$ >cgroup.procs; exec true"];
            case.prove("it runs", Command::new("sh").args(shell).current_dir(&cgroup).status()?.success());
            wait::until_true("it is empty", || Ok(fs::remove_dir(&cgroup).is_ok()))?;
        }
        let page = Agent::start(&pins, &["--retention", "1"])?.scrape()?;
        let workload = [("kind", "path"), ("workload", &*parent.id())];
        case.compare("execs", page.count("plimsoll_workload_execs_total", &workload)?, number);
        Ok(())
    })
}

#[test]
fn a_container_has_the_numbers_of_its_whole_subtree() -> Result<()> {
    Case::run("a_container_has_the_numbers_of_its_whole_subtree", |case| {
        let (docker, pins) = (Shared::take()?, Pins::new()?);
        let id = docker.start_container(&["--name", "tree"], "for i in 1 2 3; do sleep 1000 & done; wait")?;
        let agent = start(&pins, &docker)?;
        let page = agent.scrape()?;
        case.compare("processes and threads", gauges(&page, &format!("/{}/{id}", docker.parent()))?, (4, 4));
        let named = page.count("container_processes", &[("name", "tree"), ("image", IMAGE)])?;
        case.compare("processes by name", named, 4);
        Ok(())
    })
}

#[test]
fn labels_with_quotes_newlines_and_10_kb_keep_the_page_whole() -> Result<()> {
    Case::run("labels_with_quotes_newlines_and_10_kb_keep_the_page_whole", |case| {
        let (docker, pins) = (Shared::take()?, Pins::new()?);
        let agent = start(&pins, &docker)?;
        let long = "x".repeat(10 << 10);
        for (name, value) in [("quotes", "a\"b\\c"), ("newlines", "a\nb\n\n"), ("long", &*long)] {
            let project = format!("com.docker.compose.project={value}");
            let service = format!("com.docker.compose.service={value}");
            let options =
                ["--name", name, "--label", &project, "--label", &service, "--label", &format!("{value}=1")];
            docker.start_container(&options, "exec sleep 1000")?;
        }
        let page = agent.scrape()?;
        for name in ["quotes", "newlines", "long"] {
            case.compare(
                format_args!("processes of {name}"),
                page.count("container_processes", &[("name", name)])?,
                1,
            );
        }
        let project = [("project", "a\"b\\c")];
        case.compare("projects with quotes", page.all("plimsoll_container_info", &project).count(), 1);
        let project = [("project", "a\nb\n\n")];
        case.compare("projects with newlines", page.all("plimsoll_container_info", &project).count(), 1);
        case.prove("long labels are cut", longest_label(&page) <= 256);
        case.prove("Prometheus takes the page", prometheus::takes(agent.address())?);
        Ok(())
    })
}

fn longest_label(page: &Page) -> usize {
    page.samples.iter().flat_map(|sample| sample.labels.values()).map(String::len).max().unwrap_or_default()
}
