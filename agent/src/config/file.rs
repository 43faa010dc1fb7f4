//! Reads a file from its bytes to its end: what cannot be is told, and nothing of it is used then.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use toml::de::DeTable;

use super::{
    Config, Hierarchy, Problem, TOP,
    limits::{self, LIMITS},
    problem::Findings,
    table::{Entry, Table},
    text::{Text, quoted},
};
use crate::{control::unusable, exporter::hosts::Host};

/// Puts what the file says into `config`. Gives the warnings.
///
/// # Errors
/// What cannot be; `config` is worth nothing then.
pub(super) fn read(bytes: &[u8], config: &mut Config) -> Result<Vec<Problem>, Vec<Problem>> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (valid, _) = bytes.split_at(error.valid_up_to());
            let text = String::from_utf8_lossy(valid);
            let mut findings = Findings::new(&text);
            findings.error(&(valid.len()..valid.len()), "", "not text: here is a byte that is not UTF-8");
            return findings.into_result();
        }
    };
    let mut findings = Findings::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut last = 0;
    for error in errors {
        let at = error.span().unwrap_or_default();
        // What follows in a line of the first mistake is hardly one of its own.
        let line = findings.place(at.start).line;
        if line != last {
            findings.error(&at, "", syntax(text.get(at.clone()).unwrap_or_default(), error.message()));
        }
        last = line;
    }
    // A table that was read around a mistake may lack what is there.
    if findings.is_clean() {
        read_top(Table::top(table.into_inner(), &TOP), config, &mut findings);
    }
    findings.into_result()
}

/// What the parser says of `found`.
fn syntax(found: &str, message: &str) -> String {
    match found.trim() {
        "" => message.to_owned(),
        found => format!("{}: {message}", quoted(found)),
    }
}

fn read_top(mut table: Table<'_>, config: &mut Config, findings: &mut Findings<'_>) {
    put(&mut config.listen, table.take("listen").and_then(|it| read_listen(it, findings)));
    put(&mut config.allowed_hosts, table.take("allowed-hosts").and_then(|it| texts(it, host, findings)));
    let docker_root = table.take("docker-root").and_then(|it| read_directory(it, findings));
    config.docker_root = docker_root.or(config.docker_root.take());
    put(&mut config.labels, table.take("labels").and_then(|it| texts(it, label, findings)));
    let retention = table.take("retention-seconds").and_then(|it| it.integer(SECONDS, findings));
    put(&mut config.retention_seconds, retention.map(|Seconds(seconds)| seconds));
    put(&mut config.hierarchy, table.take("hierarchy").and_then(|it| it.choice(&HIERARCHIES, findings)));
    put(&mut config.control, table.take("control").and_then(|it| read_socket(it, findings)));
    let group = table.take("control-group").and_then(|it| it.text("the name of a group", findings));
    config.control_group = group.map(|text| text.string).or(config.control_group.take());
    let limits = table.take("limits").and_then(|it| it.table(&LIMITS, findings));
    put(&mut config.limits, limits.map(|table| limits::read(table, findings)));
    table.finish(findings);
}

const HIERARCHIES: [(&str, Hierarchy); 3] =
    [("auto", Hierarchy::Auto), ("cgroup2", Hierarchy::Cgroup2), ("pids", Hierarchy::Pids)];

fn put<T>(into: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *into = value;
    }
}

fn read_listen(entry: Entry<'_>, findings: &mut Findings<'_>) -> Option<SocketAddr> {
    const WANTED: &str = "an address with a port, as in \"127.0.0.1:17546\"";
    let text = entry.text(WANTED, findings)?;
    text.read(|text| text.parse().map_err(|_| format!("should be {WANTED}")), findings)
}

fn read_directory(entry: Entry<'_>, findings: &mut Findings<'_>) -> Option<PathBuf> {
    let text = entry.text("a directory", findings)?;
    if text.string.is_empty() {
        text.wrong("should be a directory", findings);
        return None;
    }
    Some(text.string.into())
}

fn read_socket(entry: Entry<'_>, findings: &mut Findings<'_>) -> Option<PathBuf> {
    let text = entry.text("the path of a socket", findings)?;
    let path = PathBuf::from(&text.string);
    if let Some(why) = unusable(&path) {
        text.wrong(format!("is {why}"), findings);
        return None;
    }
    Some(path)
}

/// A list of strings that `check` allows; it says what else they should be.
fn texts(
    entry: Entry<'_>,
    check: impl Fn(&str) -> Result<(), &'static str>,
    findings: &mut Findings<'_>,
) -> Option<Vec<String>> {
    let read = |text: &Text, findings: &mut Findings<'_>| {
        text.read(|text| check(text).map_err(|wanted| format!("should be {wanted}")), findings)?;
        Some(text.string.clone())
    };
    entry.each(false, read, findings)
}

/// Whether a request may name that host.
///
/// # Errors
/// What it should be.
pub(super) fn host(text: &str) -> Result<(), &'static str> {
    Host::parse(text).map(|_| ()).ok_or("a host name or an address")
}

/// Whether it can be the key of a label.
///
/// # Errors
/// What it should be.
pub(super) fn label(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() { Err("the key of a label") } else { Ok(()) }
}

const SECONDS: &str = "a number of seconds";

struct Seconds(u64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("should be {SECONDS}, 0 or more"))
    }
}
