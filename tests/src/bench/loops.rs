//! What a load pays for being counted: loops of fork and of exec, with the agent and without.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};

use super::{
    loads::storm,
    round::{Round, Rounds},
    section::Section,
};
use crate::{agent::Agent, cgroup::Cgroup, pins::Pins};

const ROUNDS: usize = 11;
/// Name in the table, mode of the load program, births in a loop.
const LOOPS: [(&str, &str, u32); 2] =
    [("fork, exit, wait", "fork", 10_000), ("vfork, exec, exit, wait", "vforkexec", 2_500)];

/// Measures both loops and writes them down.
pub fn measure() -> Result<Section> {
    let mut rounds = [const { Vec::new() }; LOOPS.len()];
    for round in 1..=ROUNDS {
        eprintln!("loops: round {round} of {ROUNDS}");
        let before = loops()?;
        let with = counted_loops()?;
        let after = loops()?;
        for (at, rounds) in rounds.iter_mut().enumerate() {
            rounds.push(Round([before[at], with[at], after[at]]));
        }
    }
    let rows = LOOPS.iter().zip(&rounds).map(|((name, ..), rounds)| Ok(Rounds::of(rounds)?.row(name)));
    let rows = rows.collect::<Result<String>>()?;
    let text = format!(
        "## Loops with and without the agent\n\n\
         CPU time of the load, µs per event: median and quartiles of {ROUNDS} rounds, each without the agent, with \
         it, and without it again. *Added* compares the middle of a round with the mean of its ends, *noise* one end \
         with the other: what is below the spread of the noise cannot be told from none.\n\n\
         | loop | without | with | added, % | noise, % |\n|---|---|---|---|---|\n{rows}"
    );
    Ok(Section { text, aims: Vec::new() })
}

fn counted_loops() -> Result<[f64; LOOPS.len()]> {
    let pins = Pins::new()?;
    let _agent = Agent::start(&pins, &[])?;
    loops()
}

fn loops() -> Result<[f64; LOOPS.len()]> {
    let cgroup = Cgroup::create("bench")?;
    let mut found = [0.0; LOOPS.len()];
    for (place, (_, mode, count)) in found.iter_mut().zip(LOOPS) {
        let before = cpu_of_children()?;
        storm(mode, &cgroup, count)?;
        *place = cpu_of_children()?.saturating_sub(before).as_secs_f64() * 1e6 / f64::from(count);
    }
    Ok(found)
}

/// CPU time of all processes below this one that were waited for.
fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("ask for the CPU time of children")?;
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(microseconds.try_into()?))
}
