//! Runs every test there is: unit tests, integration tests on this kernel, and on others in virtual machines.

use anyhow::Result;

use crate::ebpf;
use crate::needs::{Install, meet};
use crate::shell;
use crate::tree::Tree;
use crate::vm::Boot;

mod binaries;
mod guests;
mod native;
mod needs;
mod record;
mod skips;
mod unit;
mod verdict;

use binaries::Binaries;
use record::{Outcome, Record};
use skips::Skips;
use verdict::{Run, Verdict};

/// The kernels that every change is tested on, beside the machine's own.
pub const KERNELS: [&str; 2] = ["6.1", "6.12"];

/// Parts of names of the tests that a whole run boots virtual machines for: those whose answer may differ from kernel to
/// kernel. Without KVM all of them would take a guest a quarter of an hour; `cargo xtask vm` runs them all.
const V2_TESTS: [&str; 19] = [
    "exactness_in",
    "exactness_of",
    "exactness_when",
    "an_agent_started_in_a_fork_storm",
    "twenty_kills_and_other_programs",
    "only_what_is_needed",
    "a_new_container_of_runc",
    "bytes_of_every_kind",
    "programs_of_others",
    "pairs_that_live",
    "a_pair_that_outlives",
    "packets_that_are_dropped",
    "in_the_hosts_network",
    "bytes_of_a_pair_that_ends",
    "containers_and_the_host",
    "tcp_connections",
    "a_fork_bomb_is",
    "bandwidth_is_held",
    "limits_outlive",
];

/// The kernel that is booted once more with hierarchies of cgroup v1 only, and the tests that count there.
const V1_KERNEL: &str = "6.12";
const V1_TESTS: [&str; 5] =
    ["exactness_in", "exactness_of", "exactness_when", "identity_stays", "tcp_is_not_told"];

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
    let boots = if *guests { all_boots(filter) } else { Vec::new() };
    let (here, there) = guests::run(tree, &binaries, boots, || {
        shell::step("integration tests on this kernel", || native::run(tree, &binaries, filter))
    });
    add(&mut verdict, here.map(|run| vec![run]), &skips);
    add(&mut verdict, there, &skips);
    Ok(finish(&verdict))
}

/// Runs the selected integration tests in virtual machines only.
pub fn run_guests(tree: &Tree, install: Install, boots: Vec<Boot>) -> Result<bool> {
    meet(&[ebpf::needs(tree), needs::for_guests()].concat(), install)?;
    let binaries = Binaries::build(tree, install)?;
    let skips = Skips::read(&tree.root().join("tests/skips.toml"))?;
    let mut verdict = Verdict::default();
    let ((), there) = guests::run(tree, &binaries, boots, || ());
    add(&mut verdict, there, &skips);
    Ok(finish(&verdict))
}

/// All kernels with cgroup v2, and one with v1, each with the tests that count there; the user's filter stands instead.
/// Those that take longest come first.
fn all_boots(filter: &[String]) -> Vec<Boot> {
    let boot = |kernel: &str, cgroup_v1, tests: &[&str]| {
        let own = tests.iter().map(|&test| test.to_owned()).collect();
        let filter = if filter.is_empty() { own } else { filter.to_vec() };
        Boot { kernel: kernel.to_owned(), cgroup_v1, filter }
    };
    let v2 = KERNELS.iter().rev().map(|kernel| boot(kernel, false, &V2_TESTS));
    let v1 = filter.is_empty().then(|| boot(V1_KERNEL, true, &V1_TESTS));
    v2.chain(v1).collect()
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
