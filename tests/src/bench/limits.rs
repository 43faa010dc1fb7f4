//! How well bandwidth limits hold, by what the receiver's interface counts of whole packets.

mod cells;
mod watch;

use std::{
    fmt::Write as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use self::{
    cells::{Cell, Direction, Kind, cells},
    watch::{Watched, while_watched},
};
use super::{
    figures::Figures,
    section::{Aim, Section},
};
use crate::{
    agent::Agent, bridge::Bridge, counters, host, pins::Pins, sandbox::Sandbox, settings, tcp::Tcp, wait,
};

/// How long each load lasts.
const SECONDS: u64 = 4;
/// New pairs whose limit is waited for.
const PAIRS: usize = 30;

/// A container that is limited, one at the other end, and one that has nothing to do with it.
struct Bench {
    limited: Sandbox,
    other: Sandbox,
    neighbour: Sandbox,
    agent: Agent,
    _sinks: Vec<crate::sandbox::Sink>,
    bridge: Bridge,
    _pins: Pins,
}

impl Bench {
    fn new() -> Result<Self> {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let limited = Sandbox::container("bench-limited", &bridge, 1)?;
        let [other, neighbour] =
            [("bench-other", 2), ("bench-neighbour", 3)].map(|(name, at)| Sandbox::new(name, &bridge, at));
        let (other, neighbour) = (other?, neighbour?);
        let all = [&limited, &other, &neighbour];
        for sandbox in all {
            sandbox.traffic(&["plain", "eth0"])?;
            host::run(Command::new(settings::load()?).args(["traffic", "plain", sandbox.outside()]))?;
        }
        let sinks = all.iter().map(|sandbox| sandbox.sink()).collect::<Result<_>>()?;
        let agent = Agent::start(&pins, &[])?;
        let bench = Self { limited, other, neighbour, agent, _sinks: sinks, bridge, _pins: pins };
        bench.agent.scrape_until("it is known", |page| {
            page.find("container_processes", &[("id", &bench.limited.cgroup.id())])
        })?;
        Ok(bench)
    }

    /// What the control socket calls the limited one.
    fn name(&self) -> Result<String> {
        let id = self.limited.cgroup.id();
        id.rsplit("test-").next().and_then(|id| id.get(..64)).map(str::to_owned).context("its id")
    }

    fn limit(&self, direction: Direction, rate: &str) -> Result<()> {
        self.agent.ask(&["limit", "set", &self.name()?, direction.flag(), rate]).map(drop)
    }

    fn lift(&self) -> Result<()> {
        self.agent.ask(&["limit", "unset", &self.name()?]).map(drop)
    }

    /// Sends in one direction, and watches the receiver.
    fn send(&self, direction: Direction, words: &[&str], pings: bool) -> Result<Watched> {
        let (from, to) = match direction {
            Direction::Egress => (&self.limited, &self.other),
            Direction::Ingress => (&self.other, &self.limited),
        };
        let address = to.ipv4();
        let words = [&words[..1], &[address.as_str()], &words[1..]].concat();
        while_watched(to, from, pings, || from.traffic(&words))
    }

    fn measure(&self, cell: &Cell) -> Result<Found> {
        let Cell { megabits, direction, flows, kind } = *cell;
        let rate = format!("{megabits}mbit");
        match kind {
            Kind::Plain(burst) => tbf(&self.limited, &rate, burst)?,
            _ => self.limit(direction, &rate)?,
        }
        let before = Tcp::of(self.sender(direction))?.retrans_segs;
        let (flows, seconds) = (flows.to_string(), SECONDS.to_string());
        let watched = match kind {
            Kind::Datagrams => {
                self.send(direction, &["datagrams", &rate_of(megabits * 5), &seconds], false)?
            }
            Kind::Flows(congestion) => {
                self.send(direction, &["flows", &flows, congestion, &seconds], true)?
            }
            Kind::Plain(_) => self.send(direction, &["flows", &flows, "cubic", &seconds], true)?,
        };
        let again = Tcp::of(self.sender(direction))?.retrans_segs - before;
        match kind {
            Kind::Plain(_) => {
                host::run(Command::new("tc").args(["qdisc", "del", "dev", self.limited.outside(), "root"]))
                    .map(drop)?;
            }
            _ => self.lift()?,
        }
        Ok(Found { watched, again, line: f64::from(megabits) * 1e6 / 8.0 })
    }

    fn sender(&self, direction: Direction) -> &Sandbox {
        if direction == Direction::Egress { &self.limited } else { &self.other }
    }

    /// Part of its rate that a neighbour loses beside eight flows at their line, in percent.
    fn loss_of_a_neighbour(&self) -> Result<f64> {
        let send = || -> Result<f64> {
            let words = ["flows", &self.other.ipv4(), "1", "cubic", "3"];
            let watched =
                while_watched(&self.other, &self.neighbour, false, || self.neighbour.traffic(&words))?;
            Ok(watched.bytes)
        };
        let mut losses = Vec::new();
        for _ in 0..5 {
            let alone = send()?;
            self.limit(Direction::Ingress, "100mbit")?;
            let words = ["flows", &self.limited.ipv4(), "8", "cubic", "4"];
            let beside = thread::scope(|scope| {
                let limited = scope.spawn(|| self.other.traffic(&words));
                thread::sleep(Duration::from_millis(500));
                let beside = send();
                limited.join().map_err(|_| anyhow::anyhow!("the limited flows panicked"))??;
                beside
            })?;
            self.lift()?;
            losses.push((1.0 - beside / f64::midpoint(alone, send()?)) * 100.0);
        }
        Ok(Figures::of(losses)?.median())
    }

    /// Times from a new pair of a limited container until both directions are held at it.
    fn times_of_new_pairs(&mut self) -> Result<Figures> {
        self.limit(Direction::Egress, "10mbit")?;
        self.agent.ask(&["limit", "set", &self.name()?, "--egress", "10mbit", "--ingress", "10mbit"])?;
        let mut times = Vec::new();
        for _ in 0..PAIRS {
            self.limited.disconnect()?;
            self.limited.connect(&self.bridge)?;
            let (begun, ifindex) = (Instant::now(), self.limited.ifindex()?);
            let ifb = std::path::PathBuf::from(format!("/sys/class/net/plim{ifindex}"));
            wait::until_true("both are held", || {
                thread::sleep(Duration::from_micros(500));
                Ok(ifb.exists() && shown(self.limited.outside()) && shown(&format!("plim{ifindex}")))
            })?;
            times.push(begun.elapsed());
        }
        self.lift()?;
        Figures::of_times(&times)
    }
}

/// Whether our tbf is at an interface.
fn shown(interface: &str) -> bool {
    let told = host::run(Command::new("tc").args(["qdisc", "show", "dev", interface]));
    told.is_ok_and(|told| told.contains("tbf"))
}

/// A tbf as others set it, for what a container receives.
fn tbf(limited: &Sandbox, rate: &str, burst: &str) -> Result<()> {
    let words = [
        "qdisc",
        "add",
        "dev",
        limited.outside(),
        "root",
        "tbf",
        "rate",
        rate,
        "burst",
        burst,
        "latency",
        "25ms",
    ];
    host::run(Command::new("tc").args(words)).map(drop)
}

fn rate_of(megabits: u32) -> String {
    megabits.to_string()
}

/// What one load came to.
struct Found {
    watched: Watched,
    again: u64,
    /// Bytes a second.
    line: f64,
}

impl Found {
    /// In percent of the line.
    fn payload(&self) -> f64 {
        self.watched.payload / self.watched.seconds / self.line * 100.0
    }

    fn most(&self) -> f64 {
        self.watched.most_in_a_second / self.line * 100.0
    }

    /// Packets sent again, in percent of those that arrived.
    fn again(&self) -> f64 {
        f64::from(u32::try_from(self.again).unwrap_or(u32::MAX)) / self.watched.packets.max(1.0) * 100.0
    }
}

/// Measures all and writes it down.
pub fn measure() -> Result<Section> {
    let mut bench = Bench::new()?;
    let (mut rows, mut aims) = (String::new(), cells::Worst::default());
    for cell in cells() {
        eprintln!("limits: {cell}");
        let found = bench.measure(&cell).with_context(|| cell.to_string())?;
        let ping = found
            .watched
            .ping
            .as_ref()
            .map_or_else(|| "-".to_owned(), |ping| format!("{:.1}", ping.percentile(99)));
        let payload = if matches!(cell.kind, Kind::Datagrams) {
            "-".to_owned()
        } else {
            format!("{:.1}", found.payload())
        };
        writeln!(rows, "| {cell} | {payload} | {:.1} | {:.2} | {ping} |", found.most(), found.again())?;
        aims.take(&cell, found.payload(), found.most());
    }
    let loss = bench.loss_of_a_neighbour()?;
    let times = bench.times_of_new_pairs()?;
    let mut aims = aims.aims();
    aims.push(Aim {
        what: "loss of a neighbour's rate beside 8 limited flows".into(),
        measured: loss.max(0.0),
        most: 5.0,
        unit: "%",
        bound: None,
    });
    let text = format!(
        "## Bandwidth limits\n\n\
         TCP for {SECONDS} s between two containers on a bridge whose ends neither cut nor join packets, so that each is counted as it is on \
         the wire; counted at the receiver's own interface. *Payload* is what is left of its bytes without 66 of headers a packet; what arrives twice counts twice. *Most in a second*: the greatest number of bytes in any second, the first \
         included, all headers counted. Both in percent of the line; packets sent again in percent of those that arrived. *Ping*: from \
         the sender, beside the load; this kernel has {} `fq_codel`. `tbf`: what `tc` sets with these words, without Plimsoll, as the CNI bandwidth \
         plug-in does; its default burst lets 268 MB pass at once.\n\n\
         | limit | payload, % | most in a second, % | sent again, % | ping p99, ms |\n|---|---|---|---|---|\n{rows}\n\
         A neighbour that sends to a third container beside 8 limited flows loses {loss:.1} % of its rate (median of 5 rounds, each between two without).\n\n\
         A new pair of a limited container is held in both directions {:.1} ms (p50), {:.1} ms (p99) after it is up ({PAIRS} pairs; looked at every 3 ms or so).\n",
        if has_fq_codel(&bench)? { "" } else { "no" },
        times.median(),
        times.percentile(99),
    );
    Ok(Section { text, aims })
}

fn has_fq_codel(bench: &Bench) -> Result<bool> {
    bench.limit(Direction::Ingress, "10mbit")?;
    let told = host::run(Command::new("tc").args(["qdisc", "show", "dev", bench.limited.outside()]))?;
    bench.lift()?;
    Ok(told.contains("fq_codel"))
}
