//! What must hold before a change is kept: format, lints, documentation, layers, lengths, licences.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::ebpf::{self, Build, Builder};
use crate::needs::{Install, meet};
use crate::tree::Tree;
use crate::{shell, toolchain};

mod layers;
mod length;

/// The folders whose Rust files are ours.
const CRATES: [&str; 5] = ["agent", "agent-common", "agent-ebpf", "tests", "xtask"];

/// Everything but the kernel programs, which need another compiler.
const USER_CRATES: [&str; 3] = ["--workspace", "--exclude", "plimsoll-ebpf"];

/// One Rust file of ours: its path from the root of the tree, and its text.
type Source = (PathBuf, String);

/// Does all checks, and tells at the end whether all held.
pub fn run(tree: &Tree, install: Install) -> Result<bool> {
    meet(&[ebpf::needs(tree), vec![toolchain::CLIPPY]].concat(), install)?;
    let builder = Builder::ready(tree, install)?;
    // The agent embeds the object, so even looking at it takes one.
    builder.object(Build::Product)?;
    let sources = sources(tree)?;
    let results = [
        check("format", || cargo(tree, &["fmt", "--all", "--", "--check"])),
        check("clippy", || clippy(tree)),
        check("clippy of the kernel programs", || builder.clippy()),
        check("documentation", || documentation(tree)),
        check("documentation of the kernel programs", || builder.doc()),
        check("import layers", || report(&layers::broken(&sources))),
        check("file lengths", || report(&length::broken(&sources))),
        check("bans, licences and sources", || cargo_deny(tree)),
    ];
    let failed: Vec<&str> = results.into_iter().flatten().collect();
    match failed.as_slice() {
        [] => println!("check: all held"),
        failed => println!("check: {} did not hold", failed.join(", ")),
    }
    Ok(failed.is_empty())
}

/// Does one check, shows what is wrong, and gives its name if it failed.
fn check(name: &'static str, work: impl FnOnce() -> Result<()>) -> Option<&'static str> {
    let error = shell::step(name, work).err()?;
    eprintln!("{error:#}");
    Some(name)
}

fn cargo(tree: &Tree, arguments: &[&str]) -> Result<()> {
    shell::run(shell::cargo().current_dir(tree.root()).args(arguments))
}

fn clippy(tree: &Tree) -> Result<()> {
    let mut command = shell::cargo();
    command.current_dir(tree.root()).arg("clippy").args(USER_CRATES);
    shell::run(command.args(["--all-targets", "--", "--deny", "warnings"]))
}

fn documentation(tree: &Tree) -> Result<()> {
    let mut command = shell::cargo();
    command.current_dir(tree.root()).args(["doc", "--no-deps"]).args(USER_CRATES);
    shell::run(command.arg("--document-private-items").env("RUSTDOCFLAGS", "--deny warnings"))
}

fn cargo_deny(tree: &Tree) -> Result<()> {
    if shell::find("cargo-deny").is_none() {
        eprintln!("    not checked: cargo-deny is not installed (cargo install cargo-deny)");
        return Ok(());
    }
    cargo(tree, &["deny", "--log-level", "error", "check", "bans", "licenses", "sources"])
}

fn report(broken: &[String]) -> Result<()> {
    if broken.is_empty() {
        return Ok(());
    }
    bail!("{}", broken.join("\n"))
}

/// Every Rust file of ours.
fn sources(tree: &Tree) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for name in CRATES {
        rust_files(&tree.root().join(name), &mut paths)?;
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok((path.strip_prefix(tree.root()).map(Path::to_path_buf).unwrap_or(path), text))
    };
    paths.into_iter().map(read).collect()
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if path.is_dir() {
            rust_files(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}
