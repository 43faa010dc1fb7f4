//! The page as its readers want it: `promtool`, and those that ask in the wrong way.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    agent::Agent,
    http::{self, Response},
    pins::Pins,
    report::Case,
};

/// What `promtool check metrics` says of names that are not ours: cAdvisor chose them.
const KNOWN: &str = include_str!("../promtool-known.txt");

#[test]
fn promtool_finds_nothing_but_what_is_known() -> Result<()> {
    Case::run("promtool_finds_nothing_but_what_is_known", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &[])?;
        let page = http::get(agent.address(), "/metrics")?;
        let found = promtool(&page.body)?;
        let known: BTreeSet<&str> = KNOWN.lines().filter(|line| !line.starts_with('#')).collect();
        let new: Vec<&str> = found.lines().filter(|line| !known.contains(line)).collect();
        case.prove(format_args!("promtool says nothing new: {new:?}"), new.is_empty());
        let ours = known.iter().filter(|line| line.starts_with("plimsoll_")).count();
        case.compare("names of ours among the known", ours, 0);
        let kind = page.header("content-type").unwrap_or_default();
        case.prove(format_args!("its type is told: {kind}"), kind.starts_with("text/plain; version=0.0.4"));
        case.prove("no sample has a time", agent.scrape()?.samples.iter().all(|sample| !sample.timed));
        Ok(())
    })
}

fn promtool(page: &[u8]) -> Result<String> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start promtool")?;
    promtool.stdin.take().context("input of promtool")?.write_all(page)?;
    let output = promtool.wait_with_output()?;
    Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
}

#[test]
fn only_honest_requests_are_answered() -> Result<()> {
    Case::run("only_honest_requests_are_answered", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &["--allowed-host", "plimsoll.example"])?;
        let address = agent.address();
        let ask = |method: &str, host: &str| -> Result<Response> {
            http::send(
                address,
                &format!("{method} /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            )
        };
        for host in [&*address.to_string(), "localhost", "plimsoll.example"] {
            case.compare(format_args!("GET of {host}"), ask("GET", host)?.status, 200);
        }
        let refused = ask("GET", "evil.example")?;
        case.prove("a strange host is refused", (400..500).contains(&refused.status));
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            case.compare(format_args!("{method}"), ask(method, "localhost")?.status, 405);
        }
        case.prove("other sites may not read it", refused.header("access-control-allow-origin").is_none());
        Ok(())
    })
}
