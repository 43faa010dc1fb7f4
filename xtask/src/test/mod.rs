//! Runs every test there is: unit tests, integration tests on this kernel, and on others in virtual machines.

use anyhow::Result;

use crate::ebpf;
use crate::needs::{Install, meet};
use crate::shell;
use crate::tree::Tree;

mod binaries;
mod guests;
mod native;
mod needs;
mod record;
mod skips;
mod unit;
mod verdict;

use binaries::Binaries;
pub use guests::Guests;
use record::{Outcome, Record};
use skips::Skips;
use verdict::{Run, Verdict};

/// The kernels that every change is tested on, beside the machine's own.
pub const KERNELS: [&str; 2] = ["6.1", "6.12"];

/// The kernel that is booted once more with hierarchies of cgroup v1 only, and the tests that count there.
const V1_KERNEL: &str = "6.12";
const V1_TESTS: [&str; 2] = ["exactness", "identity"];

/// Which tests are asked for.
#[derive(Debug)]
pub struct Selection {
    /// Parts of names; a test runs if it has one of them. None stands for all.
    pub filter: Vec<String>,
    /// Whether virtual machines are booted too.
    pub guests: bool,
}

/// Runs the selected tests everywhere, prints the summary and tells whether all were content.
pub fn run(tree: &Tree, install: Install, selection: &Selection) -> Result<bool> {
    let Selection { filter, guests } = selection;
    let for_guests = if *guests { needs::for_guests() } else { Vec::new() };
    meet(&[&ebpf::needs(tree), needs::for_native(), &for_guests].concat(), install)?;
    let binaries = Binaries::build(tree, install)?;
    let skips = Skips::read(&tree.root().join("tests/skips.toml"))?;
    let mut verdict = Verdict::default();
    shell::step("unit tests", || add_unit_tests(tree, filter, &skips, &mut verdict))?;
    let here = shell::step("integration tests on this kernel", || native::run(tree, &binaries, filter));
    add(&mut verdict, here.map(|run| vec![run]), &skips);
    if *guests {
        for (guests, filter) in all_guests(filter) {
            add(&mut verdict, boot(tree, &binaries, &guests, &filter), &skips);
        }
    }
    Ok(finish(&verdict))
}

/// Runs the selected integration tests in virtual machines only.
pub fn run_guests(tree: &Tree, install: Install, guests: &Guests, filter: &[String]) -> Result<bool> {
    meet(&[ebpf::needs(tree), needs::for_guests()].concat(), install)?;
    let binaries = Binaries::build(tree, install)?;
    let skips = Skips::read(&tree.root().join("tests/skips.toml"))?;
    let mut verdict = Verdict::default();
    add(&mut verdict, boot(tree, &binaries, guests, filter), &skips);
    Ok(finish(&verdict))
}

fn boot(tree: &Tree, binaries: &Binaries, guests: &Guests, filter: &[String]) -> Result<Vec<Run>> {
    let name = format!(
        "integration tests on {}{}",
        guests.kernels.join(", "),
        if guests.cgroup_v1 { " with cgroup v1" } else { "" }
    );
    shell::step(&name, || guests::run(tree, binaries, guests, filter))
}

/// All kernels with cgroup v2, and one with v1 and the tests that count there.
fn all_guests(filter: &[String]) -> Vec<(Guests, Vec<String>)> {
    let v2 = Guests { kernels: KERNELS.map(str::to_owned).into(), cgroup_v1: false };
    let mut all = vec![(v2, filter.to_vec())];
    // libtest takes the union of its filters, so a filter of the user's cannot be narrowed to these.
    if filter.is_empty() {
        let v1 = Guests { kernels: vec![V1_KERNEL.to_owned()], cgroup_v1: true };
        all.push((v1, V1_TESTS.map(str::to_owned).into()));
    }
    all
}

/// Judges the runs of one step; a step that could not be done is a failure of its own.
fn add(verdict: &mut Verdict, runs: Result<Vec<Run>>, skips: &Skips) {
    match runs {
        Ok(runs) => runs.iter().for_each(|run| verdict.add(run, skips)),
        Err(error) => verdict.add_failure(format!("{error:#}")),
    }
}

fn add_unit_tests(tree: &Tree, filter: &[String], skips: &Skips, verdict: &mut Verdict) -> Result<()> {
    let unit::Counts { passed, failed, ignored } = unit::run(tree, filter)?;
    verdict.add_unit_tests(passed, &failed);
    let records = ignored.iter().map(|test| Record {
        test: test.clone(),
        ms: 0,
        outcome: Outcome::Skipped,
        reason: "ignored".to_owned(),
        compared: 0,
        kernel: String::new(),
    });
    let run = Run { place: "unit".into(), records: records.collect(), listed: ignored, ..Run::default() };
    verdict.add(&run, skips);
    Ok(())
}

fn finish(verdict: &Verdict) -> bool {
    print!("\n{verdict}");
    println!("{}", verdict.last_line());
    verdict.is_good()
}
