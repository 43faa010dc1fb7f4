//! How much memory of the kernel all maps take: what we say for small and large hosts, and what the kernel says here.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::section::{Aim, Section};
use crate::{agent::Agent, bpf::PinnedMap, host, pins::Pins, settings};

/// CPUs of hosts that are told of.
const HOSTS: [u32; 3] = [2, 64, 192];
/// MiB on the largest of them.
const AIM: f64 = 96.0;

/// Asks for both and writes them down.
pub fn measure() -> Result<Section> {
    let pins = Pins::new()?;
    Agent::start(&pins, &[])?.stop()?;
    let is_map = |pin: &PathBuf| pin.iter().any(|part| part == "maps");
    let maps = pins.list()?.into_iter().filter(is_map).map(|pin| PinnedMap::open(&pins.path().join(pin)));
    let maps = maps.collect::<Result<Vec<_>>>()?;
    let empty = kernels(&maps)?;
    for map in &maps {
        map.fill()?;
    }
    let full = kernels(&maps)?;
    let here = ours(&[])?;
    let hosts = HOSTS.map(|cpus| ours(&["--possible-cpus", &cpus.to_string()]));
    let hosts = hosts.into_iter().collect::<Result<Vec<_>>>()?;
    let row = |(cpus, most): (&u32, &f64)| format!("| {cpus} CPUs | {most} | - | - |\n");
    let mut rows: Vec<String> = HOSTS.iter().zip(&hosts).map(row).collect();
    rows.push(format!("| this one | {here} | {full:.1} | {empty:.1} |\n"));
    let rows = rows.concat();
    let text = format!(
        "## Memory of maps\n\n\
         MiB of the kernel's memory for all maps together. *At most*, as `plimsoll check` tells: everything full. Beside \
         it what the kernel books (`memlock` of the maps' fdinfo) when all are full, and after a start; it leaves out \
         what its allocator rounds up.\n\n\
         | host | at most | the kernel, full | the kernel, after a start |\n|---|---|---|---|\n{rows}"
    );
    let what = format!("memory of all maps with {} CPUs", HOSTS[2]);
    let largest = Aim { what, measured: hosts[2], most: AIM, unit: "MiB", bound: None };
    Ok(Section { text, aims: vec![largest] })
}

/// MiB by our own word.
fn ours(options: &[&str]) -> Result<f64> {
    let text = host::run(Command::new(settings::agent()?).args(["check", "--json"]).args(options))?;
    let lines: Vec<Value> = serde_json::from_str(&text).context("read what check says")?;
    let line = lines.iter().find(|line| line["feature"] == "memory of maps").context("no memory of maps")?;
    let number = line["reason"].as_str().and_then(|reason| reason.split(' ').nth(2)?.parse().ok());
    number.with_context(|| format!("no number in {line}"))
}

/// MiB by the kernel's.
fn kernels(maps: &[PinnedMap]) -> Result<f64> {
    let bytes = maps.iter().map(PinnedMap::memory).sum::<Result<u64>>()?;
    Ok(f64::from(u32::try_from(bytes >> 10)?) / 1024.0)
}
