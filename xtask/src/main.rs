//! Everything one does with this source tree besides editing it: `cargo xtask --help`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

mod agent;
mod bench;
mod check;
mod ebpf;
mod linker;
mod needs;
mod root;
mod shell;
mod test;
mod toolchain;
mod tree;
mod vm;

use ebpf::{Build, Builder};
use needs::Install;
use test::Selection;
use tree::Tree;
use vm::Boot;

/// Builds, runs, tests, checks and measures Plimsoll.
///
/// What is missing on the machine is found, told and, as root on Debian or Ubuntu, installed with apt.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and run the agent in the foreground.
    ///
    /// Without a configuration file the agent uses its built-in one and listens on 127.0.0.1:17546. As another user
    /// than root, everything is built as that user and the agent is run through sudo.
    Run {
        #[command(flatten)]
        setup: Setup,
        /// Arguments for `plimsoll run`, after `--`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Run every test: unit tests, real containers on this kernel, other kernels in virtual machines.
    Test {
        #[command(flatten)]
        setup: Setup,
        /// Leave the virtual machines out.
        #[arg(long)]
        no_vm: bool,
        /// Run only tests with one of these in their names.
        filter: Vec<String>,
    },
    /// Check format, lints, documentation, import layers, file lengths, licences.
    Check {
        #[command(flatten)]
        setup: Setup,
    },
    /// Build the kernel programs into target/ebpf/plimsoll.o.
    Ebpf {
        #[command(flatten)]
        setup: Setup,
        /// Build also what tests of upgrades use: another build, and the layout after this one.
        #[arg(long)]
        upgrades: bool,
    },
    /// Run the integration tests on other kernels, in virtual machines.
    Vm {
        #[command(flatten)]
        setup: Setup,
        /// Boot with hierarchies of cgroup v1 only, instead of cgroup v2 only.
        #[arg(long)]
        cgroup_v1: bool,
        /// Kernel versions (6.1 6.12 where none is given), then parts of the names of tests.
        #[arg(value_name = "KERNEL|FILTER")]
        words: Vec<String>,
    },
    /// Measure the agent's cost and write docs/benchmarks.md.
    Bench {
        #[command(flatten)]
        setup: Setup,
    },
}

/// How missing things are dealt with.
#[derive(Args, Clone, Copy)]
struct Setup {
    /// Only tell what is missing; install nothing.
    #[arg(long)]
    no_install: bool,
}

impl Setup {
    fn install(self) -> Install {
        if self.no_install { Install::Nothing } else { Install::Missing }
    }
}

fn main() -> ExitCode {
    match perform(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does a task, and tells whether what it looked at was good.
fn perform(task: Task) -> Result<bool> {
    let tree = Tree::here();
    match task {
        Task::Run { setup, arguments } => agent::run(&tree, setup.install(), &arguments).map(|()| true),
        Task::Test { setup, no_vm, filter } => {
            test::run(&tree, setup.install(), &Selection { filter, guests: !no_vm })
        }
        Task::Check { setup } => check::run(&tree, setup.install()),
        Task::Ebpf { setup, upgrades } => objects(&tree, setup.install(), upgrades).map(|()| true),
        Task::Vm { setup, cgroup_v1, words } => {
            let (kernels, filter) = kernels_and_filter(words);
            let boot = |kernel| Boot { kernel, cgroup_v1, filter: filter.clone() };
            test::run_guests(&tree, setup.install(), kernels.into_iter().map(boot).collect())
        }
        Task::Bench { setup } => bench::run(&tree, setup.install()).map(|()| true),
    }
}

fn objects(tree: &Tree, install: Install, upgrades: bool) -> Result<()> {
    let builder = Builder::ready(tree, install)?;
    let more: &[Build] = if upgrades { &[Build::Other, Build::Next] } else { &[] };
    for build in [Build::Product].iter().chain(more) {
        println!("{}", builder.object(*build)?.display());
    }
    Ok(())
}

/// Words that start with a digit are kernels, all others parts of names.
fn kernels_and_filter(words: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (kernels, filter): (Vec<_>, Vec<_>) =
        words.into_iter().partition(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let kernels = if kernels.is_empty() { test::KERNELS.map(str::to_owned).into() } else { kernels };
    (kernels, filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn versions_are_kernels_and_the_rest_is_the_filter() {
        assert_eq!(kernels_and_filter(words("6.1 storm")), (words("6.1"), words("storm")));
        assert_eq!(kernels_and_filter(words("storm")), (words("6.1 6.12"), words("storm")));
    }

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
