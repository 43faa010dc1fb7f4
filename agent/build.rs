//! Finds the eBPF object that the agent carries: `$PLIMSOLL_EBPF_OBJECT`, else where `cargo xtask ebpf` puts it.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=PLIMSOLL_EBPF_OBJECT");
    let object = env::var_os("PLIMSOLL_EBPF_OBJECT").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/ebpf/plimsoll.o"),
        PathBuf::from,
    );
    println!("cargo::rerun-if-changed={}", object.display());
    if object.exists() {
        println!("cargo::rustc-env=PLIMSOLL_EBPF_OBJECT={}", object.display());
    } else {
        println!("cargo::error=no eBPF object at {}: run `cargo xtask ebpf` first", object.display());
    }
}
