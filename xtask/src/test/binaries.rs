//! Builds everything that the integration tests take, and tells where it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::agent;
use crate::ebpf::{Build, Builder};
use crate::needs::Install;
use crate::shell;
use crate::tree::Tree;

/// What the integration tests are made of.
#[derive(Debug)]
pub struct Binaries {
    /// The agent.
    pub agent: PathBuf,
    /// Its kernel programs.
    pub object: PathBuf,
    /// The same as another build.
    pub other_object: PathBuf,
    /// The agent with the layout after this one.
    pub next_agent: PathBuf,
    /// The program that makes load and counts it.
    pub load: PathBuf,
    /// The tests themselves.
    pub tests: Vec<PathBuf>,
}

impl Binaries {
    /// Builds all of it.
    pub fn build(tree: &Tree, install: Install) -> Result<Self> {
        let other_object = Builder::ready(tree, install)?.object(Build::Other)?;
        let agent = agent::build(tree, install)?;
        let next_agent = agent::build_next(tree, install)?;
        agent::release(tree, "build the load program", "plimsoll-tests", &["plimsoll-load"])?;
        let tests = shell::step("build the integration tests", || integration_tests(tree))?;
        let (object, load) = (tree.object(), tree.release("plimsoll-load"));
        Ok(Self { agent, object, other_object, next_agent, load, tests })
    }

    /// What every integration test is told by its environment, each file below `folder` where one is given.
    pub fn environment(&self, in_guest: Option<&Path>) -> Vec<(&'static str, PathBuf)> {
        let Self { agent, object, other_object, next_agent, load, tests: _ } = self;
        let files = [
            ("PLIMSOLL_BIN", agent),
            ("PLIMSOLL_OBJECT", object),
            ("PLIMSOLL_OTHER_OBJECT", other_object),
            ("PLIMSOLL_NEXT_BIN", next_agent),
            ("PLIMSOLL_LOAD", load),
        ];
        let place = |file: &PathBuf| match (in_guest, file.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => file.clone(),
        };
        files.map(|(name, file)| (name, place(file))).into()
    }

    /// The names of all tests that a filter leaves.
    pub fn list(&self, filter: &[String]) -> Result<Vec<String>> {
        let names: Vec<_> = self.tests.iter().map(|binary| list(binary, filter)).collect::<Result<_>>()?;
        Ok(names.concat())
    }
}

/// The names of the tests in one binary that a filter leaves.
pub fn list(binary: &Path, filter: &[String]) -> Result<Vec<String>> {
    let listed = shell::output(Command::new(binary).args(["--list", "--format", "terse"]).args(filter))?;
    Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// One line of cargo's JSON messages; only the fields that tell of an executable.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

fn integration_tests(tree: &Tree) -> Result<Vec<PathBuf>> {
    let mut cargo = shell::cargo();
    cargo.current_dir(tree.root()).args(["test", "--no-run", "--package", "plimsoll-tests", "--tests"]);
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let messages = shell::output(&mut cargo)?;
    let mut tests = Vec::new();
    for line in messages.lines() {
        tests.extend(executable(line).with_context(|| format!("understand cargo's message {line}"))?);
    }
    tests.sort();
    Ok(tests)
}

/// The integration test that a message of cargo tells of, if it does.
fn executable(line: &str) -> Result<Option<PathBuf>> {
    let Message { target, executable } = serde_json::from_str(line)?;
    let is_test = target.is_some_and(|target| target.kind.iter().any(|kind| kind == "test"));
    Ok(executable.filter(|_| is_test))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integration_tests_are_taken() {
        let test = r#"{"reason":"compiler-artifact","target":{"kind":["test"]},"executable":"/t/storm-1"}"#;
        assert_eq!(executable(test).unwrap(), Some("/t/storm-1".into()));
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":"/t/lib-1"}"#;
        assert_eq!(executable(library).unwrap(), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#).unwrap(), None);
    }
}
