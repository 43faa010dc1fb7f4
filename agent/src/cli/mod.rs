//! The command line.

mod check;
mod control;
mod events;
mod limit;
mod ps;
mod run;
mod table;
mod units;

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    control::{Door, DoorError, SOCKET},
    kernel::pins,
};

/// Accounts for every container of this host: processes, threads, forks, execs and exits, counted in the kernel as
/// they happen and served to Prometheus. Talks to no container daemon.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count and serve metrics, in the foreground, until SIGTERM or Ctrl-C.
    ///
    /// Programs and counts are pinned: they outlive the agent, and the next one goes on with them.
    Run(run::Arguments),
    /// Show what this host allows, what is left out, and why. Loads nothing, changes nothing.
    Check(check::Arguments),
    /// Show processes and network rates of every container, as a running agent knows them: a live table.
    #[command(after_help = ps::COLUMNS)]
    Ps(ps::Arguments),
    /// Show the limits of containers, as a running agent holds them; set and unset them by hand.
    Limit(limit::Arguments),
    /// Show what became of limits: every change and every hit, with who and why.
    #[command(after_help = events::EXAMPLES)]
    Events(events::Arguments),
    /// Remove every program, map and pin of Plimsoll from the kernel. Counts are lost.
    Cleanup(Cleanup),
}

#[derive(Debug, clap::Args)]
struct Cleanup {
    /// The bpf filesystem that the pins are in.
    #[arg(long, value_name = "DIR", default_value = BPFFS)]
    bpffs: PathBuf,
    /// The control socket: removed, unless an agent listens there.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    control: PathBuf,
    /// Remove all pins even where limits could not be put back: then nobody knows any more how.
    #[arg(long)]
    force: bool,
}

/// Where bpf filesystems are mounted.
const BPFFS: &str = "/sys/fs/bpf";

/// How much is logged to stderr.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// One sentence that says what went wrong and what to do.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Run(arguments) => arguments.run(),
            Command::Check(arguments) => arguments.run(),
            Command::Ps(arguments) => arguments.run(),
            Command::Limit(arguments) => arguments.run(),
            Command::Events(arguments) => arguments.run(),
            Command::Cleanup(arguments) => arguments.run(),
        }
    }
}

impl Cleanup {
    fn run(self) -> Result<ExitCode> {
        crate::app::require_root("cleanup", "remove kernel programs")?;
        let path = self.bpffs.display();
        let undone = crate::app::undo_limits(&self.bpffs)?;
        undone.told.into_iter().try_for_each(say)?;
        if !undone.failed.is_empty() && !self.force {
            undone.failed.iter().try_for_each(|why| say(format_args!("not undone: {why}")))?;
            anyhow::bail!(
                "what limits changed could not all be put back, and stays written down in {path}: try again, or remove it all the same with --force"
            );
        }
        let removed = pins::remove_all(&self.bpffs)?;
        match Door::sweep(&self.control) {
            Ok(_) | Err(DoorError::Live(_)) => {} // live: of an agent with other pins
            Err(error) => return Err(error.into()),
        }
        if removed {
            say(format_args!("removed: no program, map or pin of Plimsoll is left in {path}"))?;
        } else {
            say(format_args!("nothing is pinned in {path}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a line. Whoever stopped reading, as `head` does, misses nothing.
fn say(line: impl Display) -> Result<()> {
    tell(line).map(drop)
}

/// Prints a line; `false` where nobody reads any more.
fn tell(line: impl Display) -> Result<bool> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("write to stdout"),
    }
}

/// Logs to stderr, in colours on a terminal only.
fn log_to_stderr(level: Level, json: bool) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(level);
    if json { log.json().init() } else { log.init() }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
