//! Builds the kernel programs from source, for the BPF target. Never loads them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::linker;
use crate::needs::{self, Install, Need};
use crate::shell;
use crate::toolchain::{self, Toolchain};
use crate::tree::Tree;

const TARGET: &str = if cfg!(target_endian = "little") { "bpfel-unknown-none" } else { "bpfeb-unknown-none" };

/// What building the kernel programs takes from the machine.
pub fn needs(tree: &Tree) -> Vec<Need> {
    [&[toolchain::NEED], linker::needs(tree)].concat()
}

/// Which build of the kernel programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// What the agent embeds.
    Product,
    /// The same programs as an upgrade sees them.
    Other,
    /// The same programs with the layout after this one.
    Next,
}

/// Everything that building the kernel programs takes.
#[derive(Debug)]
pub struct Builder<'tree> {
    tree: &'tree Tree,
    toolchain: Toolchain,
    linker: PathBuf,
}

impl<'tree> Builder<'tree> {
    /// Finds compiler and linker, and gets what is missing.
    pub fn ready(tree: &'tree Tree, install: Install) -> Result<Self> {
        needs::meet(&needs(tree), install)?;
        Ok(Self { tree, toolchain: toolchain::find()?, linker: linker::ensure(tree)? })
    }

    /// Builds one object into its place under `target/ebpf`.
    pub fn object(&self, build: Build) -> Result<PathBuf> {
        let (name, place) = match build {
            Build::Product => ("build the kernel programs", self.tree.object()),
            Build::Other => ("build the kernel programs, other build", self.tree.other_object()),
            Build::Next => ("build the kernel programs, next layout", self.tree.next_object()),
        };
        shell::step(name, || {
            let mut cargo = self.with_settings(self.toolchain.cargo(), "build");
            match build {
                Build::Product => {}
                Build::Other => _ = cargo.args(["--features", "other-build"]),
                Build::Next => _ = cargo.args(["--features", "next-layout"]),
            }
            shell::run(&mut cargo)?;
            self.put(&self.folder().join(TARGET).join("release/plimsoll-ebpf"), &place)
        })?;
        Ok(place)
    }

    /// Lints the kernel programs with the clippy of their own compiler.
    pub fn clippy(&self) -> Result<()> {
        let mut clippy = self.with_settings(self.toolchain.clippy(), "clippy");
        shell::run(clippy.args(["--", "--deny", "warnings"]))
    }

    /// Builds the documentation of the kernel programs with warnings denied.
    pub fn doc(&self) -> Result<()> {
        let mut cargo = self.with_settings(self.toolchain.cargo(), "doc");
        cargo.args(["--no-deps", "--document-private-items"]);
        let flags = format!("{}\x1f--deny\x1fwarnings", arch_flag());
        shell::run(cargo.env("CARGO_ENCODED_RUSTDOCFLAGS", flags))
    }

    fn folder(&self) -> PathBuf {
        self.tree.target().join("ebpf-build")
    }

    /// A cargo command with all that the BPF target asks for.
    fn with_settings(&self, mut cargo: Command, verb: &str) -> Command {
        cargo.args([verb, "--package", "plimsoll-ebpf", "--bins", "--release"]);
        cargo.args(["--target", TARGET, "-Zbuild-std=core", "--target-dir"]).arg(self.folder());
        cargo.current_dir(self.tree.root());
        // bpf-linker does the link-time work, and BTF is made from the debug information.
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_STRIP", "none");
        cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "2");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.flags().join("\x1f"));
        cargo
    }

    fn flags(&self) -> Vec<String> {
        // Paths end up in BTF's line table; without them one source gives one object, wherever it is built.
        let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
        let mut flags = vec![
            arch_flag(),
            "-Ctarget-cpu=v3".to_owned(),
            format!("-Clinker={}", self.linker.display()),
            "-Clink-arg=--btf".to_owned(),
            remap(self.tree.root(), "plimsoll"),
            remap(&self.toolchain.library(), "library"),
        ];
        flags.extend(cargo_home().map(|home| remap(&home, "cargo")));
        flags
    }

    /// Puts an object into its place without DWARF, and only when it is another one.
    fn put(&self, from: &Path, to: &Path) -> Result<()> {
        let stripped = self.folder().join("stripped.o");
        shell::run(
            Command::new(linker::llvm_bin().join("llvm-objcopy"))
                .arg("--strip-debug")
                .arg(from)
                .arg(&stripped),
        )?;
        let object = fs::read(&stripped).with_context(|| format!("read {}", stripped.display()))?;
        if fs::read(to).is_ok_and(|old| old == object) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        fs::write(to, object).with_context(|| format!("write {}", to.display()))
    }
}

/// Tells aya the machine whose kernel structures the programs will meet.
fn arch_flag() -> String {
    format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH)
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}
