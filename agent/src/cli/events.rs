//! `plimsoll events`: what became of limits, as a running agent has it in its journal.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    control::{Control, block_on},
    tell, units,
};
use crate::{
    control::{client::Lines, document::Lost},
    http::{events::Events, query::encoded},
    inventory::visible,
    ledger::{
        journal::{Container, Entry},
        limits::What,
        moment,
        span::Span,
    },
};

/// Between two looks whether an agent is there again.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// What `--help` says below the flags.
pub(super) const EXAMPLES: &str = "\
The newest 4,096 events are kept by the agent, from its start; all are in its
log, too. Times are UTC. Columns: when, what happened, to which container, which
limit, what changed, whose doing it is, and why.

Examples:
  plimsoll events --since 10m
  plimsoll events --follow --container web
  plimsoll events --json | jq 'select(.kind == \"hit\")'";

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Arguments {
    /// Then go on, with what happens, until Ctrl-C; with the next agent, too, when one ends.
    #[arg(long, short)]
    follow: bool,
    /// JSON, an event a line (docs/api.md).
    #[arg(long)]
    json: bool,
    /// Of this container only: its name, or the first characters of its id, 4 at least.
    #[arg(long, value_name = "CONTAINER")]
    container: Option<String>,
    /// Of this last time only: 90s, 10m, 2d.
    #[arg(long, value_name = "TIME")]
    since: Option<Span>,
    #[command(flatten)]
    control: Control,
}

impl Arguments {
    pub(super) fn run(self) -> Result<ExitCode> {
        block_on(async { if self.follow { self.follow().await } else { self.once().await } })
    }

    /// The request that asks for it.
    fn target(&self) -> String {
        let since = self.since.map(|since| format!("since={since}"));
        let container = self.container.as_ref().map(|container| format!("container={}", encoded(container)));
        let follow = self.follow.then(|| "follow=true".to_owned());
        let parameters: Vec<_> = [since, container, follow].into_iter().flatten().collect();
        format!("/v1/events?{}", parameters.join("&"))
    }

    async fn once(&self) -> Result<()> {
        let Events { events, began, .. } = self.control.agent().get(&self.target()).await?;
        if events.is_empty() && !self.json {
            eprintln!("plimsoll: nothing such became of limits since {}", units::moment(began));
        }
        for event in events {
            if !tell(&self.shown(&event)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Until nobody reads: an agent that ends may be followed by another, whose journal begins with it.
    async fn follow(&self) -> Result<()> {
        let mut lines = self.control.agent().lines(&self.target()).await?;
        while self.tell_all(&mut lines).await? {
            eprintln!("plimsoll: the agent ended, and its journal with it; waiting for the next");
            let next = Self { since: None, ..self.clone() };
            lines = loop {
                tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                match self.control.agent().lines(&next.target()).await {
                    Err(error) if error.is_absence() => {}
                    lines => break lines?,
                }
            };
        }
        Ok(())
    }

    /// Until the agent ends; `false`: nobody reads any more.
    async fn tell_all(&self, lines: &mut Lines) -> Result<bool> {
        // An agent that is killed cuts its stream.
        while let Ok(Some(line)) = lines.next().await {
            let going_on = match serde_json::from_slice(&line) {
                Ok(Lost { lost }) if !self.json => {
                    eprintln!(
                        "plimsoll: {lost} events are missing here: they came faster than they were read"
                    );
                    true
                }
                Ok(lost) => tell(&serde_json::to_string(&lost)?)?,
                Err(_) => {
                    let entry: Arc<Entry> = serde_json::from_slice(&line)
                        .context("read an event; is the agent of this command's version?")?;
                    tell(&self.shown(&entry)?)?
                }
            };
            if !going_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn shown(&self, entry: &Arc<Entry>) -> Result<String> {
        Ok(if self.json { serde_json::to_string(entry)? } else { line(entry) })
    }
}

/// One event as a line whose columns stand under those of others.
fn line(entry: &Entry) -> String {
    let Entry { sequence: _, at, kind, account: _, container, what, from: _, to: _, who, why } = entry;
    let (at, kind) = (units::moment(moment::seconds(*at)), kind.as_str());
    let name = if container == &Container::default() {
        "-".to_owned()
    } else if container.name.is_empty() {
        container.to_string()
    } else {
        container.name.clone()
    };
    let what = what.map_or("-", What::as_str);
    let change = entry.change();
    let change = if change.is_empty() { "-" } else { &change };
    visible(format!("{at}  {kind:<14}  {name:<20}  {what:<7}  {change:<18}  {who:<12}  {why}").trim_end())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use clap::Parser as _;

    use super::*;
    use crate::ledger::journal::{Filter, Journal, Kind, Note, Who};

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn flags_become_a_request() {
        for (line, expected) in [
            ("events", "/v1/events?"),
            ("events --since 10m", "/v1/events?since=10m"),
            ("events -f --container a&b=c", "/v1/events?container=a%26b%3Dc&follow=true"),
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            assert_eq!(cli.arguments.target(), expected);
        }
        let error = Cli::try_parse_from(["events", "--since", "yesterday"]).expect_err("no time").to_string();
        assert!(error.contains("not a length of time: write it as in 90s"), "{error}");
    }

    #[test]
    fn an_event_is_a_line_and_columns_align() {
        let (mut journal, reader) = Journal::new(UNIX_EPOCH);
        let container = Container { id: "4f2a11bc0d9e77".to_owned(), name: "we\u{1b}b".to_owned() };
        let note = Note::new(Kind::Set, Who::Uid(0));
        let (from, to, why) = ("50".to_owned(), "200".to_owned(), "for 1h".to_owned());
        journal.write(UNIX_EPOCH, Note { container, what: Some(What::Tasks), from, to, why, ..note });
        journal.write(UNIX_EPOCH, Note::new(Kind::ConfigRefused, Who::Agent));
        let entries = reader.look(None, &Filter::default()).entries;
        let lines: Vec<_> = entries.iter().map(|entry| line(entry)).collect();
        assert_eq!(
            lines,
            [
                "1970-01-01T00:00:00Z  set             we\\u{1b}b                  tasks    50 -> 200           uid 0         for 1h",
                "1970-01-01T00:00:00Z  config-refused  -                     -        -                   agent",
            ]
        );
    }
}
