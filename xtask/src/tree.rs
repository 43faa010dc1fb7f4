//! Where things lie in the source tree and in its target folder. Touches nothing.

use std::env;
use std::path::{Path, PathBuf};

/// The source tree, from its root.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree that this program was built from.
    pub fn here() -> Self {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        Self { root: manifest.parent().map(Path::to_path_buf).unwrap_or(manifest) }
    }

    /// The root of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The target folder of the tree: eBPF objects, tools, files for the virtual machines.
    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Tools that were built for this tree only.
    pub fn tools(&self) -> PathBuf {
        self.target().join("tools")
    }

    /// The eBPF object that the agent embeds.
    pub fn object(&self) -> PathBuf {
        self.target().join("ebpf/plimsoll.o")
    }

    /// The same programs as another build, for the tests of upgrades.
    pub fn other_object(&self) -> PathBuf {
        self.target().join("ebpf/plimsoll-other.o")
    }

    /// The same programs with the layout after this one, for the tests of upgrades.
    pub fn next_object(&self) -> PathBuf {
        self.target().join("ebpf/plimsoll-next.o")
    }

    /// The agent with the layout after this one, for the tests of upgrades.
    pub fn next_agent(&self) -> PathBuf {
        self.target().join("ebpf/plimsoll-next")
    }

    /// A binary that `cargo build --release` made.
    pub fn release(&self, name: &str) -> PathBuf {
        self.cargos_target().join("release").join(name)
    }

    /// A binary that `cargo build` made.
    pub fn debug(&self, name: &str) -> PathBuf {
        self.cargos_target().join("debug").join(name)
    }

    fn cargos_target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.target(), |dir| self.root.join(dir))
    }
}
