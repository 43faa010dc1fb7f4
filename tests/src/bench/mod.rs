//! `plimsoll-bench`: what the agent costs. Prints Markdown; what it is doing goes to standard error.
//!
//! With words, only the sections of these names: `programs`, `packets`, `loops`, `throughput`, `scale`, `memory`,
//! `naming`, `attaching`, `limits`. Needs root, and the environment of the tests. Changes nothing for good.

mod alone;
mod attaching;
mod beside;
mod containers;
mod figures;
mod instruction;
mod kernel;
mod limits;
mod loads;
mod loops;
mod memory;
mod naming;
mod packets;
mod pair;
mod programs;
mod round;
mod scale;
mod section;
mod stats;
mod throughput;
mod types;

use std::{
    env, fs,
    process::{self, Command, ExitCode},
};

use anyhow::{Context as _, Result, ensure};

use section::Section;

use crate::host;

type Measure = fn() -> Result<Section>;

const SECTIONS: [(&str, Measure); 9] = [
    ("programs", programs::measure),
    ("packets", packets::measure),
    ("loops", loops::measure),
    ("throughput", throughput::measure),
    ("scale", scale::measure),
    ("memory", memory::measure),
    ("naming", naming::measure),
    ("attaching", attaching::measure),
    ("limits", limits::measure),
];

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    match page(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(page) => {
            println!("{page}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("plimsoll-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn page(wanted: &[String]) -> Result<String> {
    let names = SECTIONS.map(|(name, _)| name);
    for word in wanted {
        ensure!(names.contains(&word.as_str()), "unknown section {word}: there are {names:?}");
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    // Neighbours shall not be measured: all that is started here goes first.
    host::run(Command::new("renice").args(["-n", "-20", "-p", &process::id().to_string()]))?;
    let before = load_average()?;
    let mut sections = Vec::new();
    for (name, measure) in SECTIONS.into_iter().filter(|(name, _)| is_wanted(name)) {
        sections.push(measure().with_context(|| format!("measure {name}"))?);
    }
    let load = format!(
        "Load average of the last minute: {before} at the beginning, {} at the end. Everything measured ran at nice -20.",
        load_average()?
    );
    let texts = sections.iter().map(|section| section.text.trim_end().to_owned());
    Ok([load, aims(&sections)].into_iter().chain(texts).collect::<Vec<_>>().join("\n\n"))
}

fn aims(sections: &[Section]) -> String {
    let aims = sections.iter().flat_map(|section| &section.aims);
    let rows = aims.map(ToString::to_string);
    let heading = ["## Aims\n", "| figure | measured | aim | |", "|---|---|---|---|"].map(str::to_owned);
    heading.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

fn load_average() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}
