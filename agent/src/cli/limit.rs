//! `plimsoll limit`: limits of containers, as a running agent holds them; set and unset by hand.

mod rows;

use std::{io::IsTerminal as _, process::ExitCode, time::SystemTime};

use anyhow::Result;
use clap::{ArgGroup, Subcommand, ValueEnum};

use super::{
    control::{Control, block_on},
    say,
};
use crate::{
    control::{
        Set, Unset,
        document::{LimitsDocument, Row, SettledDocument},
    },
    inventory::visible,
    ledger::{limits::What, moment, span::Span},
};

/// What `--help` says below the flags.
const EXAMPLES: &str = "\
A container is named by its name, or by the first characters of its id, 4 at
least. A limit that is set by hand goes before what the configuration and the
container's labels say; unset, they count again.

Examples:
  plimsoll limit ls
  plimsoll limit set web --pids 200
  plimsoll limit set web --egress 10mbit --ingress 20mbit --for 1h
  plimsoll limit set web --pids 200 --dry-run
  plimsoll limit ls --violations        whom limits in a dry run would have hit
  plimsoll limit unset web egress
  plimsoll limit unset web              all that was set by hand";

/// What `ls --help` says below the flags.
const COLUMNS: &str = "\
Columns:
  CONTAINER      its name; else the first characters of its id
  LIMIT          tasks (processes and threads), egress (what it transmits),
                 ingress (what it receives)
  LINE           the limit: a number of tasks, or a rate on the wire, headers
                 included, in bits per second
  USED           what is used of it now; - where not known
  MODE           enforce, or dry-run: decided and counted, nothing touched
  FROM           who wants it
  METHOD         what holds it
  STATE          held, dry-run, or not held and why
  HITS/DROPPED   forks and threads that were refused, or packets dropped
  UNTIL          when it ends by itself

With --violations:
  TIMES          how often it was at its line, or over it in a dry run
  LASTED         for how long altogether";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all limits: what holds them, and what came of them.
    #[command(after_help = COLUMNS)]
    Ls(Ls),
    /// Limit one container by hand, whatever the configuration says. What is not named stays as it is.
    #[command(after_help = EXAMPLES)]
    Set(SetArguments),
    /// Take back what was set by hand for one container.
    #[command(after_help = EXAMPLES)]
    Unset(UnsetArguments),
}

#[derive(Debug, clap::Args)]
struct Ls {
    /// Only limits that a container was at, or went over in a dry run.
    #[arg(long)]
    violations: bool,
    /// JSON instead of a table (docs/api.md).
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: Control,
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("limits").args(["pids", "egress", "ingress"]).required(true).multiple(true))]
struct SetArguments {
    /// Its name, or the first characters of its id.
    container: String,
    /// Tasks at most: processes and threads.
    #[arg(long, alias = "tasks", value_name = "N")]
    pids: Option<u64>,
    /// What it transmits at most: 10mbit, 1.5gbit, as tc and Kubernetes spell rates.
    #[arg(long, value_name = "RATE")]
    egress: Option<String>,
    /// What it receives at most.
    #[arg(long, value_name = "RATE")]
    ingress: Option<String>,
    /// For so long, then it is unset: 90s, 1h30m, 2d.
    #[arg(long = "for", value_name = "TIME")]
    lasts: Option<Span>,
    /// Decide and count everything, touch nothing.
    #[arg(long)]
    dry_run: bool,
    /// JSON instead of a table (docs/api.md).
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: Control,
}

#[derive(Debug, clap::Args)]
struct UnsetArguments {
    /// Its name, or the first characters of its id.
    container: String,
    /// Which limits; without one, all.
    #[arg(value_enum, value_name = "LIMIT")]
    what: Vec<Limit>,
    /// JSON instead of a table (docs/api.md).
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: Control,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Limit {
    #[value(alias = "pids")]
    Tasks,
    Egress,
    Ingress,
}

impl From<Limit> for What {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Tasks => Self::Tasks,
            Limit::Egress => Self::Egress,
            Limit::Ingress => Self::Ingress,
        }
    }
}

impl Arguments {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Ls(arguments) => block_on(arguments.list()),
            Command::Set(arguments) => block_on(arguments.set()),
            Command::Unset(arguments) => block_on(arguments.unset()),
        }
    }
}

impl Ls {
    async fn list(self) -> Result<()> {
        let mut document: LimitsDocument<'_> = self.control.agent().get("/v1/limits").await?;
        if self.violations {
            document.limits.retain(rows::was_at_its_line);
        }
        if self.json {
            return say(serde_json::to_string_pretty(&document)?);
        }
        if let Some(problem) = &document.problem {
            eprintln!("plimsoll: a newer configuration is not in force: {}", visible(problem));
        }
        if document.limits.is_empty() {
            return say(nothing(&document.mode, self.violations));
        }
        rows::order(&mut document.limits);
        if self.violations {
            say(rows::violations(&document.limits, painted()))
        } else {
            show(&document.limits)
        }
    }
}

/// What is told where there is no row.
fn nothing(mode: &str, violations: bool) -> String {
    if violations {
        return "no container was at its line, or over it in a dry run".to_owned();
    }
    if mode == "off" {
        return "no container is limited: limits are off in the agent's configuration".to_owned();
    }
    format!("no container is limited (mode {mode}): `plimsoll limit set <container> --pids 200` limits one")
}

impl SetArguments {
    async fn set(self) -> Result<()> {
        let Self { container, pids, egress, ingress, lasts, dry_run, json, control } = self;
        let set = Set { container, pids, egress, ingress, lasts, dry_run };
        settled(&control.agent().post("/v1/limits/set", &set).await?, json)
    }
}

impl UnsetArguments {
    async fn unset(self) -> Result<()> {
        let Self { container, what, json, control } = self;
        let unset = Unset { container, what: what.into_iter().map(What::from).collect() };
        settled(&control.agent().post("/v1/limits/unset", &unset).await?, json)
    }
}

/// Tells what a change came to.
fn settled(settled: &SettledDocument<'_>, json: bool) -> Result<()> {
    if json {
        return say(serde_json::to_string_pretty(settled)?);
    }
    let SettledDocument { container, notes, limits } = settled;
    if limits.is_empty() {
        say(format_args!("{}: not limited in this any more", visible(&container.to_string())))?;
    } else {
        show(limits)?;
    }
    notes.iter().try_for_each(|note| say(format_args!("note: {}", visible(note))))
}

fn show(limits: &[Row<'_>]) -> Result<()> {
    say(rows::table_of(limits, moment::seconds(SystemTime::now()), painted()))
}

/// Whether whoever reads stdout sees colours, and does not mind.
fn painted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parsed(line: &str) -> Result<Command, String> {
        let words = std::iter::once("limit").chain(line.split(' '));
        Cli::try_parse_from(words).map(|cli| cli.arguments.command).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_is_what_it_says() {
        let Ok(Command::Set(set)) = parsed("set web --tasks 200 --egress 10mbit --for 1h30m --dry-run")
        else {
            panic!("not read");
        };
        assert_eq!(
            (set.container.as_str(), set.pids, set.egress.as_deref()),
            ("web", Some(200), Some("10mbit"))
        );
        assert_eq!((set.ingress, set.lasts, set.dry_run), (None, "90m".parse().ok(), true));
        let Ok(Command::Unset(unset)) = parsed("unset web pids egress") else { panic!("not read") };
        assert_eq!(unset.what.into_iter().map(What::from).collect::<Vec<_>>(), [What::Tasks, What::Egress]);
        let Ok(Command::Ls(list)) = parsed("ls --violations --control /x") else { panic!("not read") };
        assert_eq!(list.control.agent().socket, std::path::Path::new("/x"));
    }

    #[test]
    fn what_cannot_be_is_told_before_anybody_is_asked() {
        for (line, word) in [
            ("set web", "<--pids <N>|--egress <RATE>|--ingress <RATE>>"),
            ("set --pids 1", "<CONTAINER>"),
            ("set web --pids x", "invalid value 'x' for '--pids <N>'"),
            ("set web --pids 1 --for 10", "10 of what? write a unit"),
            ("set web --for 1h", "required"),
            ("unset web disk", "possible values: tasks, egress, ingress"),
            ("ls web", "unexpected argument"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        assert!(nothing("enforce", false).contains("plimsoll limit set"));
        assert!(nothing("off", false).contains("off in the agent's configuration"));
        assert!(nothing("off", true).contains("in a dry run"));
    }
}
