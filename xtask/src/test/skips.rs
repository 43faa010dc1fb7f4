//! Which tests may be skipped, where and why: `tests/skips.toml`. A skip that is not listed is a failure.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::record::last_part;

/// The list of allowed skips.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skips {
    #[serde(default)]
    skip: Vec<Skip>,
}

/// One allowed skip.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    /// The test, with or without its module; `*` at the end stands for any rest.
    test: String,
    /// The kernel's release; `*` at the end stands for any rest.
    kernel: String,
    /// Only where the hierarchies are of this version: `v1`.
    cgroups: Option<String>,
    /// Why it cannot run there.
    reason: String,
}

impl Skips {
    /// Reads the list; no file allows no skip.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("understand {}", path.display()))
    }

    /// Why this test may be skipped on this kernel, if it may.
    pub fn reason(&self, test: &str, kernel: &str, cgroup_v1: bool) -> Option<&str> {
        let allowed = |skip: &&Skip| {
            let Skip { test: pattern, kernel: release, cgroups, reason } = *skip;
            let named = matches(pattern, test) || matches(pattern, last_part(test));
            let hierarchy = cgroups.as_deref().is_none_or(|version| cgroup_v1 == (version == "v1"));
            named && hierarchy && matches(release, kernel) && !reason.trim().is_empty()
        };
        self.skip.iter().find(allowed).map(|skip| skip.reason.as_str())
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skips() -> Skips {
        toml::from_str(
            "[[skip]]\ntest = \"identity::*\"\nkernel = \"6.1.*\"\nreason = \"no room\"\n\
             [[skip]]\ntest = \"freeze\"\nkernel = \"*\"\ncgroups = \"v1\"\nreason = \"no freezer\"\n\
             [[skip]]\ntest = \"unexplained\"\nkernel = \"*\"\nreason = \" \"\n",
        )
        .unwrap()
    }

    #[test]
    fn a_listed_skip_has_its_reason() {
        assert_eq!(skips().reason("identity::labels", "6.1.0-56-cloud-amd64", false), Some("no room"));
        assert_eq!(skips().reason("exactness::freeze", "6.12.117", true), Some("no freezer"));
    }

    #[test]
    fn another_test_kernel_or_hierarchy_is_not_listed() {
        assert_eq!(skips().reason("identity::labels", "6.12.117", false), None);
        assert_eq!(skips().reason("exactness::storm", "6.1.0", false), None);
        assert_eq!(skips().reason("freeze", "6.12.117", false), None);
    }

    #[test]
    fn a_skip_without_a_reason_is_not_listed() {
        assert_eq!(skips().reason("unexplained", "6.1.0", false), None);
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        assert!(toml::from_str::<Skips>("[[skip]]\ntest = \"a\"\nkernels = \"*\"\nreason = \"b\"").is_err());
    }
}
