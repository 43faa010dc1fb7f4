//! Whom limits are for, as far as it matters to them. Borrowed from the inventory.

use super::Protected;
use crate::inventory::{Identity, Kind};

/// A container, or another cgroup, that limits may be for. An empty string stands for what it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What kind of thing it is.
    pub kind: Kind,
    /// The cgroup's path from the hierarchy's root.
    pub id: &'a str,
    /// The container's name.
    pub name: &'a str,
    /// The image it was started from.
    pub image: &'a str,
    /// The runtime's name.
    pub runtime: &'a str,
    /// Compose project.
    pub project: &'a str,
    /// Compose service.
    pub service: &'a str,
    /// Its labels, as far as they are known: those of [`super::Policies::label_keys`] at least.
    pub labels: &'a [(String, String)],
    /// Why it has no limits, whoever asks for some.
    pub protected: Option<Protected>,
}

impl<'a> Subject<'a> {
    /// Who that identity is. `labels` are the container's own, not only those that are exported.
    #[must_use]
    pub fn new(identity: &'a Identity, labels: &'a [(String, String)], protected: Option<Protected>) -> Self {
        let Identity { kind, id, name, image, runtime, project, service, .. } = identity;
        Self { kind: *kind, id, name, image, runtime, project, service, labels, protected }
    }

    /// The value of its label of that key.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.labels.iter().find(|(label, _)| label == key).map(|(_, value)| value.as_str())
    }
}
