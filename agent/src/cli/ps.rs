//! `plimsoll ps`: what a running agent knows of every container, with rates of bytes.

mod live;
mod rates;
mod reading;
mod rows;
mod screen;
mod terminal;

use std::{env, io::IsTerminal as _, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use serde::Serialize;

use self::{
    rates::{Rated, rated},
    rows::Sort,
};
use super::say;

/// What `--help` says below the flags.
pub(super) const COLUMNS: &str = "\
On a terminal the table is live: q, Esc or Ctrl-C end it.
Into a pipe, or with --once, it is printed once.

Columns:
  NAME                 the container's name; else its cgroup's path
  PROCESSES, THREADS   live now; - once the cgroup is gone
  FORKS, EXECS, EXITS  since it was first seen
  RX/S, TX/S           bytes per second received and transmitted between two
                       readings: by its interfaces, or by its own sockets where
                       it uses those of another container; - where not known
  AGE                  since it was last started

Examples:
  plimsoll ps --sort rx             live, who receives most first
  plimsoll ps --once --interval 10  one table, rates over 10 seconds
  plimsoll ps --json | jq '.containers[] | {name, receive_bytes_per_second}'";

const NOTHING: &str = "no container runs here (--all shows other cgroups and dead containers)";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The agent's address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:17546")]
    agent: SocketAddr,
    /// Other cgroups and dead containers too.
    #[arg(long)]
    all: bool,
    /// The order of rows: names from A to Z, numbers from the largest.
    #[arg(long, value_enum, value_name = "COLUMN", default_value = "name")]
    sort: Sort,
    /// The time between two readings, which rates are over and the live table is drawn anew after. At least 0.3.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// One table after two readings, on a terminal too.
    #[arg(long)]
    once: bool,
    /// One JSON document after two readings, everything included (docs/api.md).
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The moment of the second reading, in seconds since 1970.
    at: f64,
    /// The moment of the first.
    since: f64,
    containers: Vec<Rated<'a>>,
}

impl Arguments {
    pub(super) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the runtime")?;
        let live = !self.once && !self.json && can_be_live();
        runtime.block_on(async { if live { live::show(&self).await } else { self.once().await } })?;
        Ok(ExitCode::SUCCESS)
    }

    /// Two readings, one answer.
    async fn once(&self) -> Result<()> {
        let before = reading::read(self.agent).await?;
        tokio::time::sleep(self.interval).await;
        let now = reading::read_after(self.agent, before.at).await?;
        let mut containers = rated(Some(&before), &now);
        if self.json {
            rows::order(&mut containers, self.sort);
            let document = Document { at: now.at, since: before.at, containers };
            return say(serde_json::to_string_pretty(&document)?);
        }
        let shown = rows::chosen(containers, self.all, self.sort);
        if shown.is_empty() {
            return say(NOTHING);
        }
        say(rows::lines(&shown, now.at, None).join("\n"))
    }
}

/// Whether whoever reads stdout sees a table change in place.
fn can_be_live() -> bool {
    std::io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// Pages may be 250 ms old: below 0.3 s there would be nothing new to tell.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.3..=3_600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("from 0.3 to 3600 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::interval;

    #[test]
    fn an_interval_is_longer_than_a_page_is_shared() {
        for text in ["0.29", "0", "-1", "NaN", "inf", "1s", "", "3601"] {
            assert!(interval(text).is_err(), "{text}");
        }
        for (text, millis) in [("0.3", 300), ("1", 1_000), ("3600", 3_600_000)] {
            assert_eq!(interval(text).expect(text).as_millis(), millis);
        }
    }
}
