//! What traffic between two containers pays for being counted: the same loads with the agent and without.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{
    pair::{Packets, Pair},
    round::{Round, Rounds},
    section::{Aim, Section},
};
use crate::{agent::Agent, pins::Pins};

/// Rounds at most, and the time after which none begins.
const ROUNDS: usize = 15;
const TIME: Duration = Duration::from_secs(75);

/// A loss that is none, in percent.
const NOTHING: f64 = 0.5;

/// How long each load shall take, and what part of it tells how long it takes here.
const LENGTH: Duration = Duration::from_millis(500);
const PART: u32 = 20;

/// What is sent, how much that is in the table's unit, and the name with that.
#[derive(Clone, Copy)]
struct Load(Packets, f64, &'static str);

const LOADS: [Load; 2] = [
    Load(Packets::Large(4_000_000_000), 32.0, "TCP bulk, Gbit/s"),
    Load(Packets::Small(300_000), 300.0, "datagrams of 64 bytes, thousands/s"),
];

impl Load {
    fn divided(self, by: u32) -> Self {
        let Self(packets, amount, name) = self;
        let packets = match packets {
            Packets::Large(bytes) => Packets::Large(bytes / u64::from(by)),
            Packets::Small(count) => Packets::Small(count / by),
        };
        Self(packets, amount / f64::from(by), name)
    }

    /// As much of it as takes the time that it shall take.
    fn fitting(self, pair: &Pair) -> Result<Self> {
        let whole = pair.send(self.divided(PART).0)? * PART;
        Ok(self.divided(u32::try_from(whole.as_millis() / LENGTH.as_millis())?.max(1)))
    }
}

/// Measures both loads and writes them down.
pub fn measure() -> Result<Section> {
    let (pair, begun) = (Pair::new()?, Instant::now());
    let loads = LOADS.into_iter().map(|load| load.fitting(&pair)).collect::<Result<Vec<_>>>()?;
    let mut rounds = vec![Vec::new(); loads.len()];
    while rounds[0].is_empty() || (rounds[0].len() < ROUNDS && begun.elapsed() < TIME) {
        eprintln!("throughput: round {} of {ROUNDS}", rounds[0].len() + 1);
        let before = send(&pair, &loads)?;
        let with = send_counted(&pair, &loads)?;
        let after = send(&pair, &loads)?;
        for (at, rounds) in rounds.iter_mut().enumerate() {
            rounds.push(Round([before[at], with[at], after[at]]));
        }
    }
    let count = rounds[0].len();
    let rounds = rounds.iter().map(|rounds| Rounds::of(rounds)).collect::<Result<Vec<_>>>()?;
    let named = || loads.iter().map(|Load(.., name)| *name).zip(&rounds);
    let rows: String = named().map(|(name, rounds)| rounds.row(name)).collect();
    let text = format!(
        "## Throughput with and without the agent\n\n\
         Payload from one network namespace to another, joined by a bridge: median and quartiles of {count} rounds, each \
         without the agent, with it, and without it again. *Change* compares the middle of a round with the mean of \
         its ends (less than 0 is a loss), *noise* one end with the other.\n\n\
         | load | without | with | change, % | noise, % |\n|---|---|---|---|---|\n{rows}"
    );
    Ok(Section { text, aims: named().map(|(name, rounds)| aim(name, rounds)).collect() })
}

/// No loss that can be told from the noise, which goes both ways.
fn aim(name: &str, rounds: &Rounds) -> Aim {
    Aim {
        what: format!("loss that three rounds of four showed, {name}"),
        measured: (-rounds.added.percentile(75)).max(0.0),
        most: NOTHING,
        unit: "%",
        bound: Some(format!(
            "both ends share {} CPUs here, and a packet passes two programs at each",
            std::thread::available_parallelism().map_or(1, usize::from)
        )),
    }
}

fn send_counted(pair: &Pair, loads: &[Load]) -> Result<Vec<f64>> {
    let pins = Pins::new()?;
    let _agent = Agent::start(&pins, &[])?;
    pair.wait_until_counted(&pins)?;
    send(pair, loads)
}

/// What passed a second of each, in the tables' units.
fn send(pair: &Pair, loads: &[Load]) -> Result<Vec<f64>> {
    loads.iter().map(|Load(packets, amount, _)| Ok(amount / pair.send(*packets)?.as_secs_f64())).collect()
}
