//! Names containers: runtime and id from a cgroup path, the rest from the runtime's own files on disk.
//! Never asks a daemon, never reads usage.

#![forbid(unsafe_code)]

pub mod daemons;
pub mod docker;
pub mod docker_root;
pub mod path;
mod state_file;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub use docker_root::{DockerRoot, Source};
pub use path::{Proposal, proposals, propose};

/// Who made a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    /// Docker, also under cri-dockerd.
    Docker,
    /// containerd: CRI, nerdctl, ctr.
    Containerd,
    /// CRI-O.
    Crio,
    /// Podman.
    Podman,
    /// A pod's container whose path does not tell the runtime below Kubernetes.
    Kubernetes,
    /// A task of Amazon ECS.
    Ecs,
    /// LXC, LXD, Incus, Proxmox.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// libvirt: LXC and QEMU domains.
    Libvirt,
    /// Mesos.
    Mesos,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Docker,
        Self::Containerd,
        Self::Crio,
        Self::Podman,
        Self::Kubernetes,
        Self::Ecs,
        Self::Lxc,
        Self::Nspawn,
        Self::Libvirt,
        Self::Mesos,
    ];

    /// The name as metrics show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Ecs => "ecs",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
            Self::Libvirt => "libvirt",
            Self::Mesos => "mesos",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a runtime's file says of a container. Every string is raw: hostile, and unbounded but for the file's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Whose file it was.
    pub runtime: Runtime,
    /// Whose the file is: only who may write where its containers' cgroups are made can be its runtime.
    pub owner: u32,
    /// The container's name.
    pub name: String,
    /// The image as whoever started it wrote it; its digest where they wrote none.
    pub image: String,
    /// The labels that were asked for, as far as the container has them.
    pub labels: BTreeMap<String, String>,
    /// All of them.
    pub every_label: BTreeMap<String, String>,
    /// Compose project.
    pub project: Option<String>,
    /// Compose service.
    pub service: Option<String>,
    /// When it was created.
    pub created: Option<SystemTime>,
    /// When it was last started; `None` until the runtime writes it, some ms after the first exec, and once it ended.
    pub started: Option<SystemTime>,
}

/// Where the runtimes of this host keep their files.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    given: Option<PathBuf>,
    /// Docker's data roots, the likeliest first, each once.
    pub docker: Vec<DockerRoot>,
    /// Configuration files that are there and could not be understood, each with the reason.
    pub problems: Vec<String>,
}

/// Roots that are kept at most.
const MAX_ROOTS: usize = 64;

impl Roots {
    /// Looks for the roots in configuration files and in the command lines of running daemons.
    /// A given Docker root is the only one.
    #[must_use]
    pub fn find(docker: Option<&Path>) -> Self {
        let (found, problems) = DockerRoot::find(docker);
        let problems = problems.iter().map(sentence).collect();
        Self { given: docker.map(Path::to_owned), docker: found, problems }
    }

    /// These and those of daemons that were started since; `None` where there are none.
    #[must_use]
    pub fn find_more(&self) -> Option<Self> {
        let found = Self::find(self.given.as_deref()).docker;
        let known = |root: &DockerRoot| self.docker.iter().any(|known| known.path == root.path);
        let room = MAX_ROOTS.saturating_sub(self.docker.len());
        let new: Vec<_> = found.into_iter().filter(|root| !known(root)).take(room).collect();
        let docker = [self.docker.clone(), new].concat();
        (docker.len() > self.docker.len()).then(|| Self { docker, ..self.clone() })
    }
}

/// An error with its cause: `parse FILE: expected value at line 1`.
#[must_use]
pub fn sentence(error: &RuntimeError) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

/// A file of a runtime that is there and cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Not an id that may become part of a path.
    #[error("container id {0:?} is not 64 hex digits")]
    NotAnId(String),
    /// The kernel refused to open or read it.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a device, a pipe.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// More than a runtime ever writes.
    #[error("{} is larger than {max} bytes; it is left unread", path.display())]
    TooBig {
        /// The file.
        path: PathBuf,
        /// Bytes that would have been read.
        max: u64,
    },
    /// Not the JSON that was expected; the source names line and column.
    #[error("parse {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: serde_json::Error,
    },
    /// It speaks of another container than its path.
    #[error("{} is about container {found:?}", path.display())]
    OtherId {
        /// The file.
        path: PathBuf,
        /// The id in it.
        found: String,
    },
}

/// Reads what the proposed runtime knows of the container. `None`: it knows no such container.
///
/// `labels` are the keys of the labels to keep.
///
/// # Errors
/// The runtime's file is there, but cannot be read or is not about this container.
pub fn confirm(
    roots: &Roots,
    proposal: &Proposal,
    labels: &[String],
) -> Result<Option<Metadata>, RuntimeError> {
    match proposal.runtime {
        // The two others may have Docker below: cri-dockerd with the cgroupfs driver, and ECS.
        Runtime::Docker | Runtime::Kubernetes | Runtime::Ecs => {
            docker::confirm(&roots.docker, &proposal.container_id, labels)
        }
        Runtime::Containerd
        | Runtime::Crio
        | Runtime::Podman
        | Runtime::Lxc
        | Runtime::Nspawn
        | Runtime::Libvirt
        | Runtime::Mesos => Ok(None),
    }
}
