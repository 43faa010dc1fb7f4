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
        let (load, tests) = shell::step("build the integration tests", || integration_tests(tree))?;
        Ok(Self { agent, object: tree.object(), other_object, next_agent, load, tests })
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
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

/// The program that makes load, and the tests.
fn integration_tests(tree: &Tree) -> Result<(PathBuf, Vec<PathBuf>)> {
    let mut cargo = shell::cargo();
    cargo.current_dir(tree.root()).args(["test", "--no-run", "--package", "plimsoll-tests", "--tests"]);
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let messages = shell::output(&mut cargo)?;
    let (mut load, mut tests) = (None, Vec::new());
    for line in messages.lines() {
        match executable(line).with_context(|| format!("understand cargo's message {line}"))? {
            Some(Executable::Load(path)) => load = Some(path),
            Some(Executable::Test(path)) => tests.push(path),
            None => {}
        }
    }
    tests.sort();
    Ok((load.context("cargo built no plimsoll-load")?, tests))
}

/// What a message of cargo tells of.
#[derive(Debug, PartialEq)]
enum Executable {
    Load(PathBuf),
    Test(PathBuf),
}

fn executable(line: &str) -> Result<Option<Executable>> {
    let Message { target, profile, executable } = serde_json::from_str(line)?;
    let (Some(Target { kind, name }), Some(Profile { test }), Some(path)) = (target, profile, executable)
    else {
        return Ok(None);
    };
    let is = |what: &str| kind.iter().any(|kind| kind == what);
    if is("test") {
        return Ok(Some(Executable::Test(path)));
    }
    // Its own unit tests have its name too.
    let is_load = is("bin") && !test && name == "plimsoll-load";
    Ok(is_load.then_some(Executable::Load(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integration_tests_and_the_load_are_taken() {
        let told = |kind: &str, name: &str, test: bool| {
            let message = format!(
                r#"{{"target":{{"kind":["{kind}"],"name":"{name}"}},"profile":{{"test":{test}}},"executable":"/t/x"}}"#
            );
            executable(&message).unwrap()
        };
        assert_eq!(told("test", "storm", true), Some(Executable::Test("/t/x".into())));
        assert_eq!(told("bin", "plimsoll-load", false), Some(Executable::Load("/t/x".into())));
        assert_eq!(told("bin", "plimsoll-load", true), None);
        assert_eq!(told("bin", "plimsoll-bench", false), None);
        assert_eq!(told("lib", "plimsoll_tests", true), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#).unwrap(), None);
    }
}
