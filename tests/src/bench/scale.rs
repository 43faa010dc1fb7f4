//! What the agent costs with few and many containers: CPU time, memory, time of a scrape.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    containers::Containers,
    figures::Figures,
    section::{Aim, Section},
};
use crate::{agent::Agent, http, page::Page, pins::Pins};

const SIZES: [u32; 3] = [10, 200, 1_000];
const SCRAPES: usize = 20;
/// Longer than a snapshot is served: each page is read from the maps.
const APART: Duration = Duration::from_millis(350);
const INTERVAL: Duration = Duration::from_secs(15);
const INTERVALS: usize = 4;

/// What was found at one size.
struct Found {
    containers: u32,
    cpu_seconds: f64,
    resident_mb: f64,
    /// Of that, maps.
    buffer_mb: f64,
    scrape_ms: Figures,
    scrape_cpu_ms: f64,
    page_kb: usize,
}

/// Measures each size and writes them down.
pub fn measure() -> Result<Section> {
    let found = SIZES.map(at).into_iter().collect::<Result<Vec<_>>>()?;
    let rows: String = found.iter().map(Found::row).collect();
    let text = format!(
        "## Containers\n\n\
         Cgroups with one sleeping process each and a name on disk, beside whatever else runs on the machine. All are in \
         the host's network and no packet of theirs passes: the page has their bytes, packets and bytes on the wire, and \
         none of the series that only a packet or a veth pair brings. CPU time of the agent in a minute with a scrape \
         every {} s; resident memory after it; then scrapes {} ms apart, from the connection to the last byte: median \
         and quartiles of {SCRAPES}, and the agent's CPU time for one.\n\n\
         | containers | CPU, s a minute | resident, MB | scrape, ms | CPU of a scrape, ms | page, kB |\n\
         |---|---|---|---|---|---|\n{rows}",
        INTERVAL.as_secs(),
        APART.as_millis()
    );
    Ok(Section { text, aims: found.iter().flat_map(Found::aims).collect() })
}

fn at(containers: u32) -> Result<Found> {
    eprintln!("{containers} containers");
    let fixture = Containers::start(containers)?;
    let pins = Pins::new()?;
    let agent = Agent::start(&pins, &["--docker-root", &fixture.root().display().to_string()])?;
    agent.scrape_until("all containers have their names", |page| {
        let named = page.all("plimsoll_container_info", &[("runtime", "docker")]).count();
        Ok((named == usize::try_from(containers)?).then_some(()))
    })?;
    // A start works more than what comes after it.
    thread::sleep(INTERVAL);
    let before = cpu(&agent.scrape()?)?;
    let mut page = Page::default();
    for _ in 0..INTERVALS {
        thread::sleep(INTERVAL);
        page = agent.scrape()?;
    }
    let (minute, page_kb) = (cpu(&page)?, page.size / 1_000);
    let scrape_ms = Figures::of_times(&scrapes(&agent)?)?;
    // The page tells of the time before it: both ends of the scrapes are ends of pages.
    let scraping = cpu(&agent.scrape()?)? - minute;
    Ok(Found {
        containers,
        cpu_seconds: minute - before,
        resident_mb: page.value("process_resident_memory_bytes", &[])? / 1e6,
        buffer_mb: mapped_maps(agent.pid())?,
        scrape_ms,
        scrape_cpu_ms: scraping * 1e3 / f64::from(u32::try_from(SCRAPES + 1)?),
        page_kb,
    })
}

/// Megabytes of maps that a process has mapped.
fn mapped_maps(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let (mut is_map, mut kilobytes) = (false, 0.0);
    for line in text.lines() {
        if let Some(resident) = line.strip_prefix("Rss:").filter(|_| is_map) {
            kilobytes += resident.trim().trim_end_matches(" kB").parse::<f64>().context("a size")?;
        } else if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            is_map = line.ends_with("anon_inode:bpf-map");
        }
    }
    Ok(kilobytes * 1_024.0 / 1e6)
}

fn cpu(page: &Page) -> Result<f64> {
    page.value("process_cpu_seconds_total", &[])
}

fn scrapes(agent: &Agent) -> Result<Vec<Duration>> {
    let scrape = |_| {
        thread::sleep(APART);
        let begun = Instant::now();
        let answer = http::get(agent.address(), "/metrics")?;
        ensure!(answer.status == 200, "/metrics: status {}", answer.status);
        Ok(begun.elapsed())
    };
    (0..SCRAPES).map(scrape).collect()
}

impl Found {
    fn row(&self) -> String {
        let Self { containers, cpu_seconds, resident_mb, scrape_ms, scrape_cpu_ms, page_kb, .. } = self;
        format!(
            "| {containers} | {cpu_seconds:.3} | {resident_mb:.1} | {scrape_ms:.1} | {scrape_cpu_ms:.1} | {page_kb} |\n"
        )
    }

    fn aims(&self) -> Vec<Aim> {
        let at = |what: &str, measured, most, unit, bound| Aim {
            what: format!("{what} at {} containers", self.containers),
            measured,
            most,
            unit,
            bound: Some(bound),
        };
        let (scrape, buffer) = (self.scrape_ms.median(), self.buffer_mb);
        let of_cpu = format!("{:.1} ms of it are the agent's CPU time", self.scrape_cpu_ms);
        let of_buffer =
            format!("{buffer:.1} MB of it are the ring buffer of events, which its reader maps twice");
        let of_page = String::from("most of it is spent on pages");
        match self.containers {
            200 => vec![
                at("agent's CPU time a minute", self.cpu_seconds, 0.1, "s", of_page),
                at("resident memory", self.resident_mb, 20.0, "MB", of_buffer),
                at("scrape", scrape, 5.0, "ms", of_cpu),
            ],
            1_000 => vec![at("scrape", scrape, 20.0, "ms", of_cpu)],
            _ => Vec::new(),
        }
    }
}
