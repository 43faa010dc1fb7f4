//! What each test case compared, or why it was skipped: one JSON line each in the file that `PLIMSOLL_REPORT` names.

use std::{
    env,
    fmt::{Debug, Display},
    fs::OpenOptions,
    io::Write as _,
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::settings;

/// One test case, from its beginning to the end of its scope.
///
/// A case that compared nothing and was not skipped panics at its end: it proved nothing.
#[derive(Debug)]
pub struct Case {
    name: &'static str,
    begun: Instant,
    compared: u64,
    outcome: Outcome,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Ran,
    Skipped(String),
    Failed(String),
}

#[derive(Serialize)]
struct Line<'a> {
    test: &'a str,
    ms: u128,
    outcome: &'a str,
    reason: &'a str,
    compared: u64,
    kernel: &'a str,
}

impl Case {
    /// Begins a case, named as its test function.
    #[must_use]
    pub fn begin(name: &'static str) -> Self {
        Self { name, begun: Instant::now(), compared: 0, outcome: Outcome::Ran }
    }

    /// A whole case whose body may fail by `?`.
    pub fn run(name: &'static str, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut case = Self::begin(name);
        let result = body(&mut case);
        if let Err(error) = &result {
            case.outcome = Outcome::Failed(format!("{error:#}"));
        }
        result
    }

    /// Our number against the kernel's (or the load's own).
    ///
    /// # Panics
    /// If they differ.
    pub fn compare<T: PartialEq + Debug + Copy>(&mut self, what: impl Display, ours: T, kernels: T) {
        assert!(ours == kernels, "{}: {what}: ours {ours:?}, the kernel's {kernels:?}", self.name);
        self.compared += 1;
    }

    /// Our number against the range that it must be in.
    ///
    /// # Panics
    /// If it is not.
    pub fn compare_within(&mut self, what: impl Display, ours: u64, least: u64, most: u64) {
        let name = self.name;
        assert!((least..=most).contains(&ours), "{name}: {what}: ours {ours}, not from {least} to {most}");
        self.compared += 1;
    }

    /// Something that must hold, told as such when it does not.
    ///
    /// # Panics
    /// If it does not hold.
    pub fn prove(&mut self, what: impl Display, holds: bool) {
        assert!(holds, "{}: not so: {what}", self.name);
        self.compared += 1;
    }

    /// Ends the case without a proof. `tests/skips.toml` must list it.
    pub fn skip(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        println!("{}: skipped: {reason}", self.name);
        self.outcome = Outcome::Skipped(reason);
    }

    fn write(&self) -> Result<()> {
        let Some(path) = env::var_os("PLIMSOLL_REPORT") else { return Ok(()) };
        let Self { name, begun, compared, outcome } = self;
        let (outcome, reason) = match outcome {
            Outcome::Ran => ("ran", ""),
            Outcome::Skipped(reason) => ("skipped", reason.as_str()),
            Outcome::Failed(reason) => ("failed", reason.as_str()),
        };
        let (ms, kernel) = (begun.elapsed().as_millis(), settings::kernel());
        let line = Line { test: name, ms, outcome, reason, compared: *compared, kernel: &kernel };
        let mut file = OpenOptions::new().append(true).create(true).open(path).context("open the report")?;
        writeln!(file, "{}", serde_json::to_string(&line)?).context("write the report")
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let nothing = self.outcome == Outcome::Ran && self.compared == 0;
        if thread::panicking() {
            self.outcome = Outcome::Failed("it panicked".to_owned());
        } else if nothing {
            self.outcome = Outcome::Failed("nothing was compared".to_owned());
        }
        let written = self.write();
        if !thread::panicking() {
            assert!(!nothing, "{}: nothing was compared", self.name);
            assert!(written.is_ok(), "{}: {written:?}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Case;

    #[test]
    fn a_case_that_compares_ends_well() {
        Case::begin("a_case_that_compares_ends_well").compare("a number", 1, 1);
    }

    #[test]
    #[should_panic(expected = "nothing was compared")]
    fn a_case_that_compares_nothing_fails() {
        drop(Case::begin("a_case_that_compares_nothing_fails"));
    }

    #[test]
    #[should_panic(expected = "processes: ours 1, the kernel's 2")]
    fn a_difference_is_told() {
        Case::begin("a_difference_is_told").compare("processes", 1, 2);
    }

    #[test]
    fn an_error_is_not_hidden_by_the_lack_of_comparisons() {
        let result = Case::run("an_error", |_| anyhow::bail!("the reason"));
        assert_eq!(result.unwrap_err().to_string(), "the reason");
    }
}
