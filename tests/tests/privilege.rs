//! After its start the agent keeps only the capabilities that it still needs, and tells which.

use std::fs;

use anyhow::{Context as _, Result};
use plimsoll_tests::{agent::Agent, pins::Pins, report::Case};

/// `CAP_DAC_READ_SEARCH` and `CAP_NET_ADMIN` (kernel: `linux/capability.h`): all that reading runtimes' files, and looking
/// at interfaces of containers, takes on a kernel of 5.19 or later.
const NEEDED: u64 = 1 << 2 | 1 << 12;

#[test]
fn only_what_is_needed_is_kept_and_told() -> Result<()> {
    Case::run("only_what_is_needed_is_kept_and_told", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &[])?;
        let page = agent.scrape()?;
        let told = page.count("plimsoll_capabilities_kept", &[])?;
        for thread in fs::read_dir(format!("/proc/{}/task", agent.pid()))? {
            let status =
                fs::read_to_string(thread?.path().join("status")).context("read a thread's status")?;
            let effective = mask(&status, "CapEff:")?;
            case.compare("capabilities told and kept", told, u64::from(effective.count_ones()));
            for (set, kept) in [
                ("CapEff:", NEEDED),
                ("CapPrm:", NEEDED),
                ("CapBnd:", NEEDED),
                ("CapInh:", 0),
                ("CapAmb:", 0),
            ] {
                case.compare(set, mask(&status, set)?, kept);
            }
        }
        case.compare(
            "capabilities told by name",
            page.all("plimsoll_capability_kept", &[]).count() as u64,
            told,
        );
        Ok(())
    })
}

fn mask(status: &str, set: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(set)).with_context(|| format!("no {set}"))?;
    u64::from_str_radix(line.trim(), 16).with_context(|| format!("{set} {line}"))
}
