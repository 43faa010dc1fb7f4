//! `plimsoll`: parses, runs, says what went wrong.

use std::process::ExitCode;

use clap::Parser as _;
use plimsoll::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("plimsoll: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// What was tried and why it failed, each reason once: some errors repeat theirs in their own text.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, reason| match told {
        told if told.is_empty() => reason,
        told if told.contains(reason.trim()) => told,
        told => format!("{told}: {reason}"),
    })
}
