//! The reference of metrics against the page.

use std::collections::BTreeSet;

use anyhow::Result;
use plimsoll_tests::{agent::Agent, pins::Pins, report::Case};

const REFERENCE: &str = include_str!("../../docs/metrics.md");
/// Where the exporter names its families.
const TABLES: [&str; 5] = [
    include_str!("../../agent/src/exporter/families.rs"),
    include_str!("../../agent/src/exporter/families/limits.rs"),
    include_str!("../../agent/src/exporter/families/network.rs"),
    include_str!("../../agent/src/exporter/families/tcp.rs"),
    include_str!("../../agent/src/exporter/own.rs"),
];

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

#[test]
fn the_reference_names_what_the_exporter_has_and_nothing_else() -> Result<()> {
    Case::run("the_reference_names_what_the_exporter_has_and_nothing_else", |case| {
        let documented: BTreeSet<&str> = REFERENCE.lines().filter_map(documented).collect();
        let tables = TABLES.iter().filter_map(|text| text.split("#[cfg(test)]").next());
        let exported: BTreeSet<&str> = tables.flat_map(|text| text.split('"')).filter(is_family).collect();
        let missing: Vec<_> = exported.difference(&documented).collect();
        let invented: Vec<_> = documented.difference(&exported).collect();
        case.prove(format_args!("documented: {missing:?}"), missing.is_empty());
        case.prove(format_args!("exported: {invented:?}"), invented.is_empty());
        Ok(())
    })
}

fn is_family(text: &&str) -> bool {
    let prefixes = ["container_", "plimsoll_", "process_"];
    prefixes.iter().any(|prefix| text.starts_with(prefix))
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

fn documented(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
}
