//! `plimsoll`: parses, runs, says what went wrong.

use std::process::ExitCode;

use clap::Parser as _;
use plimsoll::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("plimsoll: {error:#}");
            ExitCode::FAILURE
        }
    }
}
