//! `plimsoll ps`.

use std::{
    net::SocketAddr,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};

use super::{say, table::table};
use crate::exporter::{
    accounts::{Accounts, Row},
    client,
};

const PATH: &str = "/api/v1/containers";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The agent's address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:17546")]
    agent: SocketAddr,
    /// Other cgroups and dead containers too.
    #[arg(long)]
    all: bool,
    /// JSON instead of a table, everything included.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the runtime")?;
        let answer = runtime.block_on(client::get(self.agent, PATH))?;
        if self.json {
            say(String::from_utf8_lossy(&answer).trim_end())?;
            return Ok(ExitCode::SUCCESS);
        }
        let Accounts { containers, .. } =
            serde_json::from_slice(&answer).context("understand the agent's answer")?;
        let mut shown: Vec<_> =
            containers.iter().filter(|row| self.all || (is_container(row) && row.alive)).collect();
        if shown.is_empty() {
            say("no container runs here (--all shows other cgroups and dead containers)")?;
            return Ok(ExitCode::SUCCESS);
        }
        let heading = ["NAME", "PROCESSES", "THREADS", "FORKS", "EXECS", "EXITS", "AGE"];
        shown.sort_unstable_by_key(|row| shown_name(row));
        say(table(&heading, shown.into_iter().map(line), &[1, 2, 3, 4, 5, 6]))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn is_container(row: &Row<'_>) -> bool {
    matches!(&*row.kind, "container" | "unresolved")
}

fn shown_name<'a>(row: &'a Row<'_>) -> &'a str {
    if row.name.is_empty() { &row.id } else { &row.name }
}

fn line(row: &Row<'_>) -> Vec<String> {
    let name = shown_name(row);
    let gauge = |value: Option<u64>| value.map_or_else(|| "-".into(), |value| value.to_string());
    let exits = row.exits.ok + row.exits.error + row.exits.signal;
    vec![
        name.to_string(),
        gauge(row.processes),
        gauge(row.threads),
        row.forks.to_string(),
        row.execs.to_string(),
        exits.to_string(),
        row.started.filter(|_| row.alive).map_or_else(|| "-".into(), |started| age(now() - started)),
    ]
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Seconds in the largest unit that is not 0.
fn age(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let found = units.iter().find(|(size, _)| seconds >= *size);
    let (size, unit) = found.copied().unwrap_or((1.0, "s"));
    format!("{:.0}{unit}", (seconds.max(0.0) / size).floor())
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn an_age_has_one_unit() {
        let table =
            [(-1.0, "0s"), (0.4, "0s"), (59.9, "59s"), (60.0, "1m"), (7_300.0, "2h"), (200_000.0, "2d")];
        for (seconds, expected) in table {
            assert_eq!(age(seconds), expected);
        }
    }
}
