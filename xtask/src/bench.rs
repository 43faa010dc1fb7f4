//! Measures the agent and writes what came out, with machine and date, to `docs/benchmarks.md`.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use nix::sys::utsname::uname;

use crate::agent::{self, mount_bpffs};
use crate::needs::Install;
use crate::root::as_root;
use crate::shell;
use crate::tree::Tree;

/// Runs the benchmarks and replaces the page with their figures.
pub fn run(tree: &Tree, install: Install) -> Result<()> {
    let agent = agent::build(tree, install)?;
    agent::release(tree, "build the benchmarks", "plimsoll-tests", &["plimsoll-bench", "plimsoll-load"])?;
    mount_bpffs()?;
    let mut bench = Command::new(tree.release("plimsoll-bench"));
    shell::forget_outer_cargo(&mut bench);
    bench.env("PLIMSOLL_BIN", agent).env("PLIMSOLL_OBJECT", tree.object());
    bench.env("PLIMSOLL_LOAD", tree.release("plimsoll-load")).env("PLIMSOLL_SCALE", "1");
    let mut bench = as_root(bench, "measuring the agent")?;
    let figures = shell::step("measure", || shell::output(bench.stderr(Stdio::inherit())))?;
    let page = tree.root().join("docs/benchmarks.md");
    let text = format!("# Benchmarks\n\n{}\n\n{}\n", machine()?, figures.trim());
    fs::write(&page, text).with_context(|| format!("write {}", page.display()))?;
    println!("{}", page.display());
    Ok(())
}

/// One sentence: when this was measured, and on what.
fn machine() -> Result<String> {
    let date = shell::output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?;
    let kernel = uname().context("ask for the kernel's release")?;
    let cpus = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    let memory = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    Ok(format!(
        "Measured by `cargo xtask bench` on {}, Linux {}, {}.",
        date.trim(),
        kernel.release().to_string_lossy(),
        hardware(&cpus, &memory)
    ))
}

/// Processor and memory, as `/proc/cpuinfo` and `/proc/meminfo` tell them.
fn hardware(cpus: &str, memory: &str) -> String {
    let value =
        |text: &'static str, line: &str| Some(line.strip_prefix(text)?.split_once(':')?.1.trim().to_owned());
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let model =
        cpus.lines().find_map(|line| value("model name", line)).unwrap_or_else(|| "unknown CPU".to_owned());
    let kib = memory.lines().find_map(|line| value("MemTotal", line)?.split(' ').next()?.parse::<u64>().ok());
    format!("{count} CPUs of {model}, {} MiB of memory", kib.unwrap_or_default() / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_one_phrase() {
        let cpus = "processor\t: 0\nmodel name\t: Abacus 9\n\nprocessor\t: 1\nmodel name\t: Abacus 9\n";
        assert_eq!(hardware(cpus, "MemTotal:        2097152 kB\n"), "2 CPUs of Abacus 9, 2048 MiB of memory");
    }
}
