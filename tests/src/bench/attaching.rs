//! How long it takes from a veth pair's appearance until its packets are counted, and until it is on the page.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    figures::Figures,
    instruction::Writer,
    kernel::{Place, Program},
    section::Section,
};
use crate::{agent::Agent, bridge::Bridge, http, pins::Pins, sandbox::Sandbox, wait::PATIENCE};

const PAIRS: usize = 100;
/// How often the kernel's files are looked at.
const LOOK: Duration = Duration::from_micros(100);
/// Appears with an interface.
const FAMILY: &str = "container_network_receive_bytes_total{";
/// How often the page is asked for.
const POLL: Duration = Duration::from_millis(10);

/// What is measured: since when, and until when.
const SPANS: [(&str, &str); 4] = [
    ("the pair is there, its other end in the container", "both programs see its packets"),
    ("the end that was moved into the container is up", "both programs see its packets"),
    ("the same", "the container's interface is on the page"),
    ("the kernel is asked to attach an empty program in both directions", "it has"),
];

/// Measures both ways that a container gets a pair in, and writes them down.
pub fn measure() -> Result<Section> {
    let (pins, bridge) = (Pins::new()?, Bridge::new()?);
    let agent = Agent::start(&pins, &[])?;
    let links = links(&pins)?;
    let mut times = SPANS.map(|_| Vec::new());
    for pair in 0..PAIRS {
        if pair % 10 == 0 {
            eprintln!("veth pairs: {pair} of {PAIRS}");
        }
        let made = made_inside(&bridge, &links)?;
        let [counted, shown, alone] = moved_inside(&bridge, &links, &agent)?;
        for (times, time) in times.iter_mut().zip([made, counted, shown, alone]) {
            times.push(time);
        }
    }
    let rows = SPANS.iter().zip(&times).map(|((since, until), times)| row(since, until, times));
    let rows = rows.collect::<Result<String>>()?;
    let text = format!(
        "## Veth pairs\n\n\
         Times of {PAIRS} pairs, each of a new container. Links and interfaces are looked for every {} µs, the page is asked \
         for every {} ms; a page may be 250 ms old, so asking adds up to that. The kernel attaches one program at a time, \
         and waits each time until no CPU uses the list of programs before.\n\n\
         | since | until | p50, ms | p99, ms |\n|---|---|---|---|\n{rows}",
        LOOK.as_micros(),
        POLL.as_millis()
    );
    Ok(Section { text, aims: Vec::new() })
}

fn row(since: &str, until: &str, times: &[Duration]) -> Result<String> {
    let figures = Figures::of_times(times)?;
    Ok(format!("| {since} | {until} | {:.1} | {:.1} |\n", figures.median(), figures.percentile(99)))
}

/// Where the agent pins its links at pairs.
fn links(pins: &Pins) -> Result<PathBuf> {
    let program = pins.find("veth_receive")?;
    let layout = program.parent().and_then(Path::parent).context("a pin in no directory")?;
    Ok(layout.join("veths"))
}

/// A pair is made with one end in the container, as runtimes of Kubernetes do it.
fn made_inside(bridge: &Bridge, links: &Path) -> Result<Duration> {
    let mut sandbox = Sandbox::silent("bench-made", 1)?;
    let interface = interface(&sandbox);
    while_doing(
        || sandbox.connect(bridge),
        || {
            let there = until("a pair is there", || interface.join("ifindex").exists())?;
            Ok(counted(&interface, links)?.duration_since(there))
        },
    )
}

/// A pair is made outside and one end moved, as Docker does it: until it is counted, until it is on the page; and what the
/// kernel takes to attach two programs there.
fn moved_inside(bridge: &Bridge, links: &Path, agent: &Agent) -> Result<[Duration; 3]> {
    let mut sandbox = Sandbox::silent("bench-moved", 1)?;
    let (interface, id) = (interface(&sandbox), sandbox.cgroup.id());
    let [counted, shown] = while_doing(
        || sandbox.connect_by_moving(bridge),
        || {
            // While an end is down, the other has none.
            let carries = || fs::read_to_string(interface.join("carrier")).is_ok_and(|text| text == "1\n");
            let up = until("a pair is up", carries)?;
            let counted = counted(&interface, links)?.duration_since(up);
            Ok([counted, shown(agent, &id)?.duration_since(up)])
        },
    )?;
    let (ifindex, begun) = (sandbox.ifindex()?, Instant::now());
    let both = [Place::TcxEgress, Place::TcxIngress]
        .map(|place| Program::see(place, &[ifindex], &Writer::returning(place.pass()).finish()));
    let attached = begun.elapsed();
    both.into_iter().collect::<Result<Vec<_>>>()?;
    Ok([counted, shown, attached])
}

fn interface(sandbox: &Sandbox) -> PathBuf {
    PathBuf::from("/sys/class/net").join(sandbox.outside())
}

/// Does something while another thread watches; gives what that saw.
fn while_doing<T: Send>(
    act: impl FnOnce() -> Result<()>,
    watch: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    thread::scope(|scope| {
        let watching = scope.spawn(watch);
        act()?;
        watching.join().unwrap_or_else(|_| bail!("the thread that watches ended"))
    })
}

/// When both links of an interface were there.
fn counted(interface: &Path, links: &Path) -> Result<Instant> {
    let number = fs::read_to_string(interface.join("ifindex")).context("read an interface's number")?;
    let pins = ["r", "t"].map(|letter| links.join(format!("{letter}{}", number.trim())));
    until("a pair is counted", || pins.iter().all(|pin| pin.exists()))
}

/// When a container's interface was on the page.
fn shown(agent: &Agent, id: &str) -> Result<Instant> {
    let (begun, id) = (Instant::now(), format!("id=\"{id}\""));
    let is_its = |line: &str| line.starts_with(FAMILY) && line.contains(&id) && line.contains("\"eth0\"");
    loop {
        if http::get(agent.address(), "/metrics")?.text()?.lines().any(is_its) {
            return Ok(Instant::now());
        }
        ensure!(begun.elapsed() < PATIENCE, "{id} has no interface on the page");
        thread::sleep(POLL);
    }
}

/// When something was so first.
fn until(what: &str, look: impl Fn() -> bool) -> Result<Instant> {
    let begun = Instant::now();
    while !look() {
        ensure!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(LOOK);
    }
    Ok(Instant::now())
}
