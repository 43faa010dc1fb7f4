//! Runs the integration tests on other kernels, in virtual machines, with smaller numbers.

use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::binaries::Binaries;
use super::record;
use super::verdict::Run;
use crate::tree::Tree;
use crate::vm::{self, Boot, Job, JobFile, Request, RunResult};

/// By what the numbers of the tests are divided: the guests have no KVM.
const SCALE: u32 = 20;

/// Where a guest has its job.
const FOLDER: &str = "/job";

/// A guest that takes longer than this has hung.
const LIMIT: Duration = Duration::from_mins(15);

/// Boots each guest once and runs the tests that its filter leaves; the caller's work is done meanwhile.
pub fn run<T>(
    tree: &Tree,
    binaries: &Binaries,
    boots: Vec<Boot>,
    meanwhile: impl FnOnce() -> T,
) -> (T, Result<Vec<Run>>) {
    let listed = match listed(binaries, boots) {
        Ok(listed) if !listed.is_empty() => listed,
        nothing => return (meanwhile(), nothing.map(|_| Vec::new())),
    };
    let (boots, tests): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
    match vm::prepare(&Request { boots, artefacts: tree.target().join("vm"), job: job(binaries) }) {
        Ok(guests) => {
            let (done, results) = guests.run(meanwhile);
            let told =
                |results: Vec<_>| iter::zip(results, tests).map(|(one, tests)| told(one, tests)).collect();
            (done, results.and_then(told))
        }
        Err(error) => (meanwhile(), Err(error)),
    }
}

/// The tests that each guest has; guests without any are left out.
fn listed(binaries: &Binaries, boots: Vec<Boot>) -> Result<Vec<(Boot, Vec<String>)>> {
    let mut listed = Vec::new();
    for boot in boots {
        let tests = binaries.list(&boot.filter)?;
        if !tests.is_empty() {
            listed.push((boot, tests));
        }
    }
    Ok(listed)
}

/// What one guest's tests came to.
fn told(result: RunResult, listed: Vec<String>) -> Result<Run> {
    let passed = result.passed();
    let RunResult { boot, outcome, out, report, kernel_log } = result;
    let place = boot.label();
    eprintln!("    {place}: {outcome}; what it left is in {}", out.display());
    for line in kernel_log.iter().flat_map(|log| log.lines()) {
        eprintln!("    {place}: kernel: {line}");
    }
    let records = report.as_deref().map(record::read).transpose()?.unwrap_or_default();
    let broken = (!passed).then(|| outcome.to_string());
    Ok(Run { place, cgroup_v1: boot.cgroup_v1, listed, records, broken })
}

fn job(binaries: &Binaries) -> Job {
    let file = |host: &PathBuf, folder: &str| JobFile {
        host: host.clone(),
        guest: Path::new(folder).join(host.file_name().unwrap_or_default()),
    };
    let Binaries { agent, object, other_object, next_agent, load, tests } = binaries;
    let mut files: Vec<JobFile> =
        [agent, object, other_object, next_agent, load].map(|host| file(host, "")).into();
    files.extend(tests.iter().map(|host| file(host, "tests")));
    Job { files, script: script(binaries), limit: LIMIT }
}

/// What the guest does: the same binaries, one after the other.
fn script(binaries: &Binaries) -> String {
    let environment = binaries.environment(Some(Path::new(FOLDER)));
    let exports = environment.iter().map(|(name, value)| format!("export {name}={}\n", value.display()));
    format!(
        "{}export PLIMSOLL_SCALE={SCALE} PLIMSOLL_REPORT=$VM_REPORT\n\
         code=0\n\
         for test in {FOLDER}/tests/*; do $test --test-threads=1 $VM_FILTER || code=$?; done\n\
         exit $code\n",
        exports.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_finds_its_files_where_the_job_puts_them() {
        let at = |name: &str| Path::new("/build").join(name);
        let binaries = Binaries {
            agent: at("plimsoll"),
            object: at("plimsoll.o"),
            other_object: at("plimsoll-other.o"),
            next_agent: at("plimsoll-next"),
            load: at("plimsoll-load"),
            tests: vec![at("storm-1")],
        };
        let script = script(&binaries);
        for JobFile { host: _, guest } in job(&binaries).files {
            let named = script.contains(&format!("={FOLDER}/{}\n", guest.display()));
            assert!(named || guest.starts_with("tests"), "{} is not named in {script}", guest.display());
        }
    }
}
