//! Runs the unit tests and counts what they did. Their output stays as cargo made it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::shell;
use crate::tree::Tree;

/// What libtest printed, counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that were content.
    pub passed: u64,
    /// Tests that were not.
    pub failed: Vec<String>,
    /// Tests that were left out by an attribute.
    pub ignored: Vec<String>,
}

/// Everything but the tests that need the real kernel, which are told of by themselves.
const SELECTIONS: [&[&str]; 2] = [
    &["--workspace", "--exclude", "plimsoll-ebpf", "--exclude", "plimsoll-tests"],
    &["--package", "plimsoll-tests", "--lib", "--bins"],
];

/// Runs the unit tests of all crates.
pub fn run(tree: &Tree, filter: &[String]) -> Result<Counts> {
    let mut counts = Counts::default();
    for selection in SELECTIONS {
        let mut cargo = shell::cargo();
        cargo.current_dir(tree.root()).args(["test", "--no-fail-fast"]).args(selection);
        cargo.arg("--").args(filter);
        counted(&mut cargo, &mut counts)?;
    }
    Ok(counts)
}

/// Runs a command whose output is libtest's, passes it on and counts.
fn counted(command: &mut Command, counts: &mut Counts) -> Result<()> {
    eprintln!("    $ {}", shell::line(command));
    let failed_before = counts.failed.len();
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("start {}", shell::line(command)))?;
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        let line = line.context("read the output of the tests")?;
        println!("{line}");
        counts.count(&line);
    }
    let status = child.wait().context("wait for the tests")?;
    if !status.success() && counts.failed.len() == failed_before {
        counts.failed.push(format!("{}: {status}", shell::line(command)));
    }
    Ok(())
}

impl Counts {
    fn count(&mut self, line: &str) {
        let Some((name, outcome)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... "))
        else {
            return;
        };
        match outcome.split([',', ' ']).next() {
            Some("ok") => self.passed += 1,
            Some("FAILED") => self.failed.push(name.to_owned()),
            Some("ignored") => self.ignored.push(name.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtests_lines_are_counted() {
        let mut counts = Counts::default();
        for line in [
            "running 4 tests",
            "test a::b ... ok",
            "test src/lib.rs - Word (line 3) ... ok",
            "test a::c ... FAILED",
            "test a::d ... ignored, takes an hour",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            counts.count(line);
        }
        assert_eq!(counts, Counts { passed: 2, failed: vec!["a::c".into()], ignored: vec!["a::d".into()] });
    }
}
