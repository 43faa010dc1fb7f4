//! After its start the agent keeps only the capabilities that it still needs, and tells which.

use std::fs;

use anyhow::{Context as _, Result};
use plimsoll_tests::{agent::Agent, pins::Pins, report::Case};

/// What loading and attaching took, and what nobody who only reads needs (kernel: `linux/capability.h`).
const GIVEN_UP: [(&str, u32); 9] = [
    ("setuid", 7),
    ("net_admin", 12),
    ("net_raw", 13),
    ("sys_module", 16),
    ("sys_rawio", 17),
    ("sys_admin", 21),
    ("mknod", 27),
    ("perfmon", 38),
    ("bpf", 39),
];

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
            for (name, bit) in GIVEN_UP {
                for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
                    case.prove(format_args!("{name} is not in {set}"), mask(&status, set)? & (1 << bit) == 0);
                }
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
