//! How long it takes from `docker run` to the container's name on the page.

use std::{
    fs, thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};

use super::{figures::Figures, section::Section};
use crate::{
    agent::Agent,
    cgroup,
    docker::{Docker, IMAGE},
    http,
    pins::Pins,
    wait::PATIENCE,
};

const RUNS: usize = 30;
/// How often the page is asked for.
const POLL: Duration = Duration::from_millis(10);

/// Measures it and writes it down.
pub fn measure() -> Result<Section> {
    let (docker, pins) = (Docker::start()?, Pins::new()?);
    let agent = Agent::start(&pins, &["--docker-root", &docker.root().display().to_string()])?;
    let (mut from_client, mut from_cgroup) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        eprintln!("names: run {} of {RUNS}", run + 1);
        let [client, cgroup] = one(&docker, &agent, run)?;
        from_client.push(client);
        from_cgroup.push(cgroup);
    }
    let rows = [("`docker run` begins", from_client), ("the container's cgroup is made", from_cgroup)];
    let rows = rows.iter().map(|(since, times)| row(since, times)).collect::<Result<String>>()?;
    let text = format!(
        "## Names\n\n\
         Time until the container's name is on the page, asked for every {} ms, in {RUNS} runs. A page may be 250 ms \
         old, so asking adds up to that.\n\n\
         | since | p50, ms | p99, ms |\n|---|---|---|\n{rows}",
        POLL.as_millis()
    );
    Ok(Section { text, aims: Vec::new() })
}

fn row(since: &str, times: &[Duration]) -> Result<String> {
    let figures = Figures::of_times(times)?;
    Ok(format!("| {since} | {:.0} | {:.0} |\n", figures.median(), figures.percentile(99)))
}

/// Times since the client was started and since the cgroup was made.
fn one(docker: &Docker, agent: &Agent, run: usize) -> Result<[Duration; 2]> {
    let name = format!("bench-{run}");
    let begun = SystemTime::now();
    let mut client =
        docker.start_client(&["run", "-d", "--network", "none", "--name", &name, IMAGE, "sleep", "600"])?;
    let shown = shown(agent, &format!("name=\"{name}\""), begun)?;
    ensure!(client.wait().context("wait for docker run")?.success(), "docker run did not work");
    let made = cgroup_made(docker)?;
    docker.run(&["rm", "--force", &name])?;
    Ok([begun, made].map(|since| shown.duration_since(since).unwrap_or_default()))
}

/// When the label was on the page first.
fn shown(agent: &Agent, label: &str, begun: SystemTime) -> Result<SystemTime> {
    loop {
        if http::get(agent.address(), "/metrics")?.text()?.contains(label) {
            return Ok(SystemTime::now());
        }
        ensure!(begun.elapsed()? < PATIENCE, "{label} does not appear on the page");
        thread::sleep(POLL);
    }
}

/// When the cgroup of the only container was made: when its directory was looked at first, by whoever made it.
fn cgroup_made(docker: &Docker) -> Result<SystemTime> {
    let mut times = Vec::new();
    for parent in cgroup::everywhere(docker.parent())? {
        for entry in fs::read_dir(&parent).with_context(|| format!("list {}", parent.display()))?.flatten() {
            if entry.file_type()?.is_dir() {
                times.push(entry.metadata()?.modified()?);
            }
        }
    }
    times.into_iter().min().context("the container has no cgroup")
}
