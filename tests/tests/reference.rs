//! The reference of metrics against the page.

use std::collections::BTreeSet;

use anyhow::Result;
use plimsoll_tests::{agent::Agent, pins::Pins, report::Case};

const REFERENCE: &str = include_str!("../../docs/metrics.md");

#[test]
fn every_family_of_the_page_is_documented() -> Result<()> {
    Case::run("every_family_of_the_page_is_documented", |case| {
        let pins = Pins::new()?;
        let page = Agent::start(&pins, &[])?.scrape()?;
        let documented: BTreeSet<&str> = REFERENCE.lines().filter_map(documented).collect();
        for (name, family) in &page.families {
            let kind = family.kind.as_deref().unwrap_or_default();
            let line = REFERENCE.lines().find(|line| line.starts_with(&format!("| `{name}` | {kind} |")));
            case.prove(format_args!("{name} ({kind}) is in docs/metrics.md"), line.is_some());
        }
        case.prove("the reference is read", documented.len() >= page.families.len());
        Ok(())
    })
}

fn documented(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
}
