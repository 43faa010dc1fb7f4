//! What each program costs a packet, beside an empty one and beside its map operations alone.

use std::{fs::File, os::fd::AsRawFd as _};

use anyhow::{Context as _, Result};

use super::{
    alone::PacketMaps,
    beside::{Beside, Trio},
    instruction::Writer,
    kernel::{Cost, Place, Program},
    pair::{Packets, Pair},
    section::{Aim, Section},
    stats::Stats,
};
use crate::{agent::Agent, cgroup::Hierarchy, pins::Pins};

const ROUNDS: usize = 25;
/// With protocols and with headers on the wire; totals alone would be 20.
const AIM: f64 = 35.0;

/// Programs, their hooks as the page calls them, and their places.
const TAPS: [(&str, &str, Place); 4] = [
    ("veth_transmit", "tcx/ingress", Place::TcxIngress),
    ("veth_receive", "tcx/egress", Place::TcxEgress),
    ("socket_transmit", "cgroup_skb/egress", Place::SocketsTransmit),
    ("socket_receive", "cgroup_skb/ingress", Place::SocketsReceive),
];
const LOADS: [(&str, Packets); 2] = [("small", Packets::Small(200_000)), ("large", Packets::Large(1 << 30))];

/// One program and one kind of packets.
struct Subject {
    program: usize,
    load: usize,
    beside: Beside,
}

/// Measures all programs and writes them down.
pub fn measure() -> Result<Section> {
    let (stats, pins, pair) = (Stats::on()?, Pins::new()?, Pair::new()?);
    let agent = Agent::start(&pins, &[])?;
    pair.wait_until_counted(&pins)?;
    let trios = trios(&pair)?;
    let subject = |program, load| Subject { program, load, beside: Beside::default() };
    let programs = (0..TAPS.len()).flat_map(|program| (0..LOADS.len()).map(move |load| (program, load)));
    let mut subjects: Vec<_> = programs.map(|(program, load)| subject(program, load)).collect();
    let mut before = costs(&agent, &trios)?;
    for round in 1..=ROUNDS {
        eprintln!("packets: round {round} of {ROUNDS}");
        for (load, (_, packets)) in LOADS.into_iter().enumerate() {
            pair.send(packets)?;
            let after = costs(&agent, &trios)?;
            for subject in subjects.iter_mut().filter(|subject| subject.load == load) {
                subject.beside.note(&before[subject.program], &after[subject.program]);
            }
            before = after;
        }
    }
    drop(stats);
    written(&subjects)
}

/// Attaches what ours are compared with, beside them.
fn trios(pair: &Pair) -> Result<Vec<Trio>> {
    let maps = PacketMaps::create()?;
    let hierarchy = Hierarchy::find()?;
    let root = File::open(hierarchy.root()).context("open the root of cgroup2")?;
    let (interfaces, root) = (pair.interfaces()?, [root.as_raw_fd().cast_unsigned()]);
    let trio = |(name, _, place): (&'static str, &str, Place)| {
        let targets = match place {
            Place::TcxIngress | Place::TcxEgress => &interfaces[..],
            Place::SocketsReceive | Place::SocketsTransmit => &root[..],
        };
        let empty = Program::see(place, targets, &Writer::returning(place.pass()).finish())?;
        Ok(Trio { name, empty, alone: Some(maps.see(place, targets)?) })
    };
    TAPS.into_iter().map(trio).collect()
}

fn costs(agent: &Agent, trios: &[Trio]) -> Result<Vec<[Cost; 3]>> {
    let page = agent.scrape()?;
    trios.iter().map(|trio| trio.costs(&page)).collect()
}

impl Subject {
    fn row(&self) -> String {
        let ((program, hook, _), (load, _)) = (TAPS[self.program], LOADS[self.load]);
        format!("| `{program}` | `{hook}` | {load} | {} |\n", self.beside.cells())
    }

    fn aim(&self) -> Result<Aim> {
        let ((program, ..), (load, _)) = (TAPS[self.program], LOADS[self.load]);
        let what = format!("`{program}`, net, per {load} packet");
        let alone = self.beside.net_alone().with_context(|| what.clone())?;
        Ok(Aim {
            measured: self.beside.net().with_context(|| what.clone())?,
            most: AIM,
            unit: "ns",
            bound: Some(format!("the map operations alone, net, take {alone:.1} ns on this machine")),
            what,
        })
    }
}

fn written(subjects: &[Subject]) -> Result<Section> {
    let rows: String = subjects.iter().map(Subject::row).collect();
    let text = format!(
        "## Packets\n\n\
         ns per packet: median and quartiles of {ROUNDS} rounds, with `kernel.bpf_stats_enabled` on, between two network \
         namespaces joined by a bridge. *Small* packets are datagrams of 64 bytes, as many as one CPU sends; *large* \
         ones those of a TCP bulk, up to 64 KiB each, with those that acknowledge them. *Net* is without what an empty \
         program at the same hook is booked in the same rounds. *Map operations alone* are one lookup and two atomic \
         additions, in maps of the same kinds. Ours tell protocols and the headers on the wire too.\n\n\
         | program | hook | packets | ours | empty program | net | map operations alone |\n\
         |---|---|---|---|---|---|---|\n{rows}"
    );
    Ok(Section { text, aims: subjects.iter().map(Subject::aim).collect::<Result<_>>()? })
}
