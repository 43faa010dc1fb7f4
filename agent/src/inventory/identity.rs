//! Who an account belongs to, and which workload it counts for. Data only.

use std::{collections::BTreeMap, time::SystemTime};

/// Who an account belongs to. Every string is raw but bounded: encoders escape it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cgroup's path from the hierarchy's root, as cAdvisor's `id` label: `/docker/4f…`, `/`, `/other`.
    pub id: String,
    /// What kind of thing it is.
    pub kind: Kind,
    /// The container's name; empty where it is none.
    pub name: String,
    /// The image it was started from; empty on cgroups that are no container.
    pub image: String,
    /// The runtime's own id of the container; empty where it is none.
    pub container_id: String,
    /// `docker` ...; empty where it is none.
    pub runtime: String,
    /// Compose project; empty where there is none.
    pub project: String,
    /// Compose service; empty where there is none.
    pub service: String,
    /// Labels that are exported as `container_label_*`, key as the runtime spells it.
    pub labels: BTreeMap<String, String>,
    /// All labels, bounded in number: for whoever selects by them. They are not written down.
    pub every_label: BTreeMap<String, String>,
    /// When the container was created.
    pub created: Option<SystemTime>,
    /// When the container was last started.
    pub started: Option<SystemTime>,
}

/// What an account's cgroup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A container whose runtime's file was read.
    Container,
    /// A path that looks like a container's, but no runtime knows it.
    Unresolved,
    /// A systemd unit, or another cgroup near the root.
    Cgroup,
    /// The sum of all that have no account of their own.
    Other,
}

impl Kind {
    /// Whether it is a container, with a name or without.
    #[must_use]
    pub const fn is_container(self) -> bool {
        matches!(self, Self::Container | Self::Unresolved)
    }
}

/// What a total is grouped by when its container is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// How the name was found.
    pub kind: WorkloadKind,
    /// `project/service`, the image, or the parent path; raw but bounded.
    pub name: String,
}

/// How a workload's name was found, the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// Compose project and service.
    Compose,
    /// The image of a container.
    Image,
    /// The parent path of the cgroup.
    Path,
    /// Past the 2,000 names kept, and rows that nobody knows.
    Other,
}

impl Identity {
    /// The cgroup at `id` that is no container.
    #[must_use]
    pub fn cgroup(id: String, kind: Kind) -> Self {
        let none = String::new;
        Self {
            id,
            kind,
            name: none(),
            image: none(),
            container_id: none(),
            runtime: none(),
            project: none(),
            service: none(),
            labels: BTreeMap::new(),
            every_label: BTreeMap::new(),
            created: None,
            started: None,
        }
    }

    /// What it counts for.
    #[must_use]
    pub fn workload(&self) -> Workload {
        if !self.project.is_empty() && !self.service.is_empty() {
            let name = super::bounded(&format!("{}/{}", self.project, self.service)).into_owned();
            return Workload { kind: WorkloadKind::Compose, name };
        }
        if !self.image.is_empty() {
            return Workload { kind: WorkloadKind::Image, name: self.image.clone() };
        }
        let parent = match self.id.rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => parent,
            _ => "/",
        };
        Workload { kind: WorkloadKind::Path, name: parent.to_owned() }
    }
}

impl Workload {
    /// Where everything goes that has no workload of its own.
    #[must_use]
    pub fn other() -> Self {
        Self { kind: WorkloadKind::Other, name: "other".into() }
    }

    /// Its key in pinned maps.
    #[must_use]
    pub fn key(&self) -> u64 {
        plimsoll_common::key::key(&[b"workload", self.kind.as_str().as_bytes(), self.name.as_bytes()])
    }
}

impl WorkloadKind {
    /// Its name in metrics and pinned maps.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Image => "image",
            Self::Path => "path",
            Self::Other => "other",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Compose, Self::Image, Self::Path, Self::Other].into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Kind {
    /// Its name in metrics and pinned maps.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Unresolved => "unresolved",
            Self::Cgroup => "cgroup",
            Self::Other => "other",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Container, Self::Unresolved, Self::Cgroup, Self::Other]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Kind, Workload, WorkloadKind};

    fn container() -> Identity {
        Identity::cgroup("/docker/4f".into(), Kind::Container)
    }

    #[test]
    fn a_workload_is_the_compose_service_else_the_image_else_the_parent_path() {
        let image = Identity { image: "nginx:1".into(), ..container() };
        let compose = Identity { project: "shop".into(), service: "api".into(), ..image.clone() };
        let half = Identity { project: "shop".into(), ..image.clone() };
        let root = Identity::cgroup("/".into(), Kind::Cgroup);
        let table = [
            (container(), WorkloadKind::Path, "/docker"),
            (image, WorkloadKind::Image, "nginx:1"),
            (compose, WorkloadKind::Compose, "shop/api"),
            (half, WorkloadKind::Image, "nginx:1"),
            (root, WorkloadKind::Path, "/"),
        ];
        for (identity, kind, name) in table {
            assert_eq!(identity.workload(), Workload { kind, name: name.into() });
        }
    }

    #[test]
    fn workloads_of_one_name_and_two_kinds_have_two_keys() {
        let image = Workload { kind: WorkloadKind::Image, name: "/docker".into() };
        let path = Workload { kind: WorkloadKind::Path, name: "/docker".into() };
        assert_ne!(image.key(), path.key());
    }
}
