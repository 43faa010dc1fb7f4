//! What a test says of itself: one line of JSON in the report. Data only.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// One test, as it told of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// The test's name, with or without its module.
    pub test: String,
    /// How long it took, in milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was skipped or failed.
    #[serde(default)]
    pub reason: String,
    /// How many of our numbers it compared with the kernel's or the load's own.
    #[serde(default)]
    pub compared: u64,
    /// The kernel's release.
    #[serde(default)]
    pub kernel: String,
}

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It ran to its end.
    Ran,
    /// It could not run here.
    Skipped,
    /// It ran and was not content.
    Failed,
}

impl Record {
    /// True when this is the record of the test that libtest calls `name`.
    pub fn is_of(&self, name: &str) -> bool {
        last_part(&self.test) == last_part(name)
    }
}

/// The name of a test without its module.
pub fn last_part(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// The records of a report; none where no test wrote one.
pub fn read(report: &Path) -> Result<Vec<Record>> {
    if !report.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(report).with_context(|| format!("read {}", report.display()))?;
    parse(&text).with_context(|| format!("understand {}", report.display()))
}

fn parse(text: &str) -> Result<Vec<Record>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("line {line:?}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_line_by_line() {
        let text = "{\"test\":\"exactness::storm\",\"ms\":5,\"outcome\":\"ran\",\"reason\":\"\",\"compared\":42,\
                    \"kernel\":\"6.18.44\"}\n\n{\"test\":\"quota\",\"outcome\":\"skipped\",\"reason\":\"no ext4\"}\n";
        let records = parse(text).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].compared, 42);
        assert!(records[0].is_of("storm"));
        assert_eq!(records[1].outcome, Outcome::Skipped);
    }

    #[test]
    fn a_torn_line_is_an_error() {
        assert!(parse("{\"test\":\"a\"").is_err());
    }
}
