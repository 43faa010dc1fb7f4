//! Which compiler builds the kernel programs. The one place that knows: everybody else asks `find`.
//!
//! The BPF target comes without a standard library, so the compiler must have the source of its own `core`;
//! and bpf-linker reads the compiler's LLVM bitcode, so both must have the same LLVM.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::needs::{Need, Present};
use crate::shell;

/// The LLVM of the compiler and of bpf-linker.
pub const LLVM: u32 = 22;

/// The rustup toolchain that is taken before all others: its LLVM is the one above.
const NIGHTLY: &str = "nightly-2026-05-20";

/// Where distributions put their compiler.
const SYSTEM: &str = "/usr";

/// Asks for a compiler that can build the kernel programs.
pub const NEED: Need = Need {
    what: "a Rust compiler with LLVM 22 and its library's source",
    why: "the kernel programs, or: rustup toolchain install nightly-2026-05-20 --component rust-src,clippy",
    present: Present::Asked(|| find().is_ok()),
    packages: &["cargo-web", "rust-web-src", "rustc-web"],
};

/// Asks for the clippy of that compiler.
pub const CLIPPY: Need = Need {
    what: "the clippy of that compiler",
    why: "linting the kernel programs",
    present: Present::Asked(|| find().is_ok_and(|toolchain| toolchain.has_clippy())),
    packages: &["rust-web-clippy"],
};

/// A compiler that can build the kernel programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The folder with `bin` and `lib` in it.
    prefix: PathBuf,
}

/// A compiler that was found, and what decides whether it will do.
#[derive(Debug, Clone)]
struct Candidate {
    prefix: PathBuf,
    has_source: bool,
    llvm: Option<u32>,
}

impl Toolchain {
    /// Its cargo, with its compiler and nothing of the cargo that runs us.
    pub fn cargo(&self) -> Command {
        self.tool("cargo")
    }

    /// Its clippy, to be used like its cargo.
    pub fn clippy(&self) -> Command {
        self.tool("cargo-clippy")
    }

    fn has_clippy(&self) -> bool {
        ["cargo-clippy", "clippy-driver"].iter().all(|name| self.bin(name).is_file())
    }

    /// Where the source of its library is.
    pub fn library(&self) -> PathBuf {
        library(&self.prefix)
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.prefix.join("bin").join(name)
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin(name));
        shell::forget_outer_cargo(&mut command);
        for name in [
            "RUSTUP_TOOLCHAIN",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "CARGO_BUILD_TARGET",
        ] {
            command.env_remove(name);
        }
        for name in ["cargo", "rustc", "rustdoc"] {
            command.env(name.to_uppercase(), self.bin(name));
        }
        // `-Z build-std` and core's atomics are unstable; a nightly does not mind being told so.
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    }
}

/// The best compiler on this machine: rustup's pinned nightly, its other nightlies, the distribution's.
pub fn find() -> Result<Toolchain> {
    let candidates: Vec<Candidate> = prefixes().into_iter().map(Candidate::look).collect();
    choose(&candidates)
}

impl Candidate {
    fn look(prefix: PathBuf) -> Self {
        let has_source =
            library(&prefix).join("core/Cargo.toml").is_file() && prefix.join("bin/cargo").is_file();
        // Asking a compiler takes a moment, so those that will not do anyway are not asked.
        let llvm = has_source.then(|| llvm_of(&prefix.join("bin/rustc")).ok()).flatten();
        Self { prefix, has_source, llvm }
    }
}

/// The first compiler that will do, or one sentence that says why none does.
fn choose(candidates: &[Candidate]) -> Result<Toolchain> {
    if let Some(fit) = candidates.iter().find(|candidate| candidate.llvm == Some(LLVM)) {
        return Ok(Toolchain { prefix: fit.prefix.clone() });
    }
    let verdicts: Vec<String> = candidates
        .iter()
        .map(|Candidate { prefix, has_source, llvm }| match (has_source, llvm) {
            (false, _) => format!("{} has no cargo with library source", prefix.display()),
            (true, Some(llvm)) => format!("{} has LLVM {llvm}, bpf-linker LLVM {LLVM}", prefix.display()),
            (true, None) => format!("{} does not tell its LLVM", prefix.display()),
        })
        .collect();
    bail!("no compiler for the kernel programs: {}", verdicts.join("; "))
}

fn prefixes() -> Vec<PathBuf> {
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let rustup = home.or_else(|| env::home_dir().map(|home| home.join(".rustup"))).unwrap_or_default();
    let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let nightly = |name: &str| rustup.join("toolchains").join(format!("{name}-{host}"));
    vec![nightly(NIGHTLY), nightly("nightly"), PathBuf::from(SYSTEM)]
}

fn library(prefix: &Path) -> PathBuf {
    prefix.join("lib/rustlib/src/rust/library")
}

fn llvm_of(rustc: &Path) -> Result<u32> {
    let version = shell::output(Command::new(rustc).arg("-vV").env_remove("RUSTUP_TOOLCHAIN"))?;
    llvm_major(&version).with_context(|| format!("{} -vV: no LLVM version", rustc.display()))
}

/// The major version of LLVM in the output of `rustc -vV`.
fn llvm_major(version: &str) -> Option<u32> {
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    llvm.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(prefix: &str, has_source: bool, llvm: Option<u32>) -> Candidate {
        Candidate { prefix: prefix.into(), has_source, llvm }
    }

    #[test]
    fn the_first_that_fits_is_chosen() {
        let found = [
            candidate("/a", false, None),
            candidate("/b", true, Some(LLVM + 1)),
            candidate("/c", true, Some(LLVM)),
        ];
        assert_eq!(choose(&found).unwrap(), Toolchain { prefix: "/c".into() });
    }

    #[test]
    fn the_error_tells_why_each_will_not_do() {
        let found = [candidate("/a", false, None), candidate("/b", true, Some(17))];
        let told = choose(&found).unwrap_err().to_string();
        assert!(
            told.contains("/a has no cargo with library source; /b has LLVM 17, bpf-linker LLVM 22"),
            "{told}"
        );
    }

    #[test]
    fn llvm_is_read_from_the_compilers_own_words() {
        assert_eq!(llvm_major("release: 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("release: 1.96.0\n"), None);
    }

    #[test]
    fn the_pinned_nightly_is_the_one_that_is_advised() {
        assert!(NEED.why.contains(NIGHTLY));
    }
}
