//! Judges what tests said of themselves. Data in, data out.

use std::fmt;

use super::record::{Outcome, Record};
use super::skips::Skips;

/// The tests of one place: this machine, or one kernel in a virtual machine.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// What the place is called in the summary.
    pub place: String,
    /// Whether it has hierarchies of cgroup v1 only.
    pub cgroup_v1: bool,
    /// The tests that should have run.
    pub listed: Vec<String>,
    /// What they said of themselves.
    pub records: Vec<Record>,
    /// How it ended, when that was not well.
    pub broken: Option<String>,
}

/// All that a run of tests comes to.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    passed: u64,
    failed: Vec<String>,
    skipped: Vec<String>,
    compared: u64,
    times: Vec<(u64, String)>,
}

/// How many of the slowest tests are told.
const SLOWEST: usize = 10;

impl Verdict {
    /// Adds tests that are judged by their own assertions only.
    pub fn add_unit_tests(&mut self, passed: u64, failed: &[String]) {
        self.passed += passed;
        self.failed.extend(failed.iter().map(|name| format!("unit: {name}")));
    }

    /// Adds what went wrong outside of any test.
    pub fn add_failure(&mut self, what: String) {
        self.failed.push(what);
    }

    /// Judges each test that should have run in one place.
    pub fn add(&mut self, run: &Run, skips: &Skips) {
        let before = self.failed.len();
        for test in &run.listed {
            let record = run.records.iter().rfind(|record| record.is_of(test));
            self.add_test(run, test, record, skips);
        }
        if let Some(broken) = &run.broken
            && self.failed.len() == before
        {
            self.failed.push(format!("{}: {broken}", run.place));
        }
    }

    fn add_test(&mut self, run: &Run, test: &str, record: Option<&Record>, skips: &Skips) {
        let name = format!("{}: {test}", run.place);
        let Some(Record { test: _, ms, outcome, reason, compared, kernel }) = record else {
            return self.failed.push(format!("{name}: left no record"));
        };
        self.times.push((*ms, name.clone()));
        self.compared += compared;
        match outcome {
            Outcome::Ran if *compared == 0 => self.failed.push(format!("{name}: nothing was compared")),
            Outcome::Ran => self.passed += 1,
            Outcome::Failed => self.failed.push(format!("{name}: {reason}")),
            Outcome::Skipped => match skips.reason(test, kernel, run.cgroup_v1) {
                Some(_) => self.skipped.push(format!("{name}: {reason}")),
                None => {
                    self.failed
                        .push(format!("{name}: skipped ({reason}) and not listed in tests/skips.toml"));
                }
            },
        }
    }

    /// Whether every test that ran was content.
    pub fn is_good(&self) -> bool {
        self.failed.is_empty()
    }

    /// The one line that counts.
    pub fn last_line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}

/// The summary, without its last line.
impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ran = self.passed + u64::try_from(self.failed.len()).unwrap_or(u64::MAX);
        writeln!(out, "{ran} ran, {} skipped, {} numbers compared", self.skipped.len(), self.compared)?;
        let mut slowest: Vec<_> = self.times.iter().collect();
        slowest.sort_by(|a, b| b.cmp(a));
        if !slowest.is_empty() {
            writeln!(out, "slowest tests:")?;
        }
        for (ms, name) in slowest.into_iter().take(SLOWEST) {
            writeln!(out, "{:>7}.{:01} s  {name}", ms / 1000, ms % 1000 / 100)?;
        }
        for name in &self.skipped {
            writeln!(out, "skipped: {name}")?;
        }
        for name in &self.failed {
            writeln!(out, "FAILED: {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(test: &str, outcome: Outcome, compared: u64, ms: u64) -> Record {
        Record {
            test: test.into(),
            ms,
            outcome,
            reason: "because".into(),
            compared,
            kernel: "6.12.117".into(),
        }
    }

    fn judged(listed: &[&str], records: Vec<Record>, broken: Option<&str>) -> Verdict {
        let skips =
            toml::from_str("[[skip]]\ntest = \"old\"\nkernel = \"6.12*\"\nreason = \"too old\"").unwrap();
        let mut verdict = Verdict::default();
        let listed = listed.iter().map(|name| (*name).to_owned()).collect();
        let run = Run {
            place: "6.12".into(),
            listed,
            records,
            broken: broken.map(str::to_owned),
            ..Run::default()
        };
        verdict.add(&run, &skips);
        verdict
    }

    #[test]
    fn sums_are_over_all_records() {
        let records = vec![record("a", Outcome::Ran, 40, 1), record("b", Outcome::Ran, 2, 2)];
        let verdict = judged(&["exactness::a", "exactness::b"], records, None);
        assert!(verdict.is_good());
        assert_eq!(verdict.last_line(), "2 passed, 0 failed, 0 skipped");
        assert!(verdict.to_string().starts_with("2 ran, 0 skipped, 42 numbers compared\n"));
    }

    #[test]
    fn a_test_that_compared_nothing_has_failed() {
        assert_eq!(
            judged(&["a"], vec![record("a", Outcome::Ran, 0, 1)], None).failed,
            ["6.12: a: nothing was compared"]
        );
    }

    #[test]
    fn a_test_that_said_nothing_has_failed() {
        assert_eq!(judged(&["a"], vec![], None).failed, ["6.12: a: left no record"]);
    }

    #[test]
    fn only_listed_skips_are_allowed() {
        assert_eq!(
            judged(&["old"], vec![record("old", Outcome::Skipped, 0, 1)], None).last_line(),
            "0 passed, 0 failed, 1 skipped"
        );
        assert!(!judged(&["new"], vec![record("new", Outcome::Skipped, 0, 1)], None).is_good());
    }

    #[test]
    fn a_bad_end_counts_when_no_test_tells_of_it() {
        let content = || vec![record("a", Outcome::Ran, 1, 1)];
        assert_eq!(judged(&["a"], content(), Some("exit code 101")).failed, ["6.12: exit code 101"]);
        assert_eq!(judged(&["a", "b"], content(), Some("exit code 101")).failed, ["6.12: b: left no record"]);
    }

    #[test]
    fn the_ten_slowest_are_told_slowest_first() {
        let names: Vec<String> = (0..12).map(|number| format!("t{number}")).collect();
        let records =
            (0..12).map(|number| record(&format!("t{number}"), Outcome::Ran, 1, number * 100)).collect();
        let told = judged(&names.iter().map(String::as_str).collect::<Vec<_>>(), records, None).to_string();
        assert_eq!(told.lines().filter(|line| line.contains(" s  ")).count(), 10);
        assert!(told.contains("slowest tests:\n      1.1 s  6.12: t11\n"), "{told}");
    }
}
