//! bpf-linker, built into the target folder, and the LLVM that it stands on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::needs::{Need, Present};
use crate::shell;
use crate::toolchain::LLVM;
use crate::tree::Tree;

const VERSION: &str = "0.13.0";

/// LLVM with what bpf-linker is built from.
const NEEDS: [Need; 6] = [
    Need {
        what: "LLVM 22 with its headers",
        why: WHY,
        present: Present::File("/usr/lib/llvm-22/bin/llvm-config"),
        packages: &["llvm-22-dev"],
    },
    Need {
        what: "LLVM's Polly",
        why: WHY,
        present: Present::File("/usr/lib/llvm-22/lib/libPolly.a"),
        packages: &["libpolly-22-dev"],
    },
    Need {
        what: "zlib.h",
        why: WHY,
        present: Present::File("/usr/include/zlib.h"),
        packages: &["zlib1g-dev"],
    },
    Need {
        what: "zstd.h",
        why: WHY,
        present: Present::File("/usr/include/zstd.h"),
        packages: &["libzstd-dev"],
    },
    Need {
        what: "libxml2's headers",
        why: WHY,
        present: Present::File("/usr/include/libxml2/libxml/tree.h"),
        packages: &["libxml2-dev"],
    },
    Need { what: "a C++ compiler", why: WHY, present: Present::Command("g++"), packages: &["g++"] },
];
const WHY: &str = "bpf-linker, which links the kernel programs";

/// What building bpf-linker takes; nothing once it is there.
pub fn needs(tree: &Tree) -> &'static [Need] {
    if in_home(tree).is_file() { &[] } else { &NEEDS }
}

/// bpf-linker, built first where it is not there yet.
pub fn ensure(tree: &Tree) -> Result<PathBuf> {
    let linker = in_home(tree);
    if !linker.is_file() {
        shell::step("build bpf-linker (once, about two minutes)", || build(&home(tree)))?;
    }
    Ok(linker)
}

/// Where LLVM's own tools are.
pub fn llvm_bin() -> PathBuf {
    llvm().join("bin")
}

fn home(tree: &Tree) -> PathBuf {
    tree.tools().join(format!("bpf-linker-{VERSION}-llvm-{LLVM}"))
}

fn in_home(tree: &Tree) -> PathBuf {
    home(tree).join("bin/bpf-linker")
}

fn llvm() -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{LLVM}"))
}

fn build(home: &Path) -> Result<()> {
    let scratch = home.join("build");
    let mut cargo = shell::cargo();
    cargo.args(["install", "bpf-linker", "--locked", "--version", VERSION]);
    cargo.args(["--no-default-features", "--features", &format!("llvm-{LLVM}")]);
    cargo.arg("--root").arg(home).arg("--target-dir").arg(&scratch);
    // Without the prefix its build script finds another LLVM, or none, and linking fails.
    shell::run(cargo.env("LLVM_PREFIX", llvm()).env_remove("RUSTFLAGS"))?;
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))
}
