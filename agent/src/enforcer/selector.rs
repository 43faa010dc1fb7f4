//! Which containers a policy is for.

use super::{Glob, Subject};
use crate::{inventory::Kind, runtimes::Runtime};

/// Which containers a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Every container, and nothing that is none.
    All,
    /// Those that every key says.
    Keys(Box<Keys>),
}

/// What a container must have. An empty list says nothing; of the others, one entry each must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys {
    /// Its name.
    pub names: Vec<Glob>,
    /// Its image, as whoever started it wrote it.
    pub images: Vec<Glob>,
    /// Its labels: of each inner list, one.
    pub labels: Vec<Vec<LabelPattern>>,
    /// Its runtime.
    pub runtimes: Vec<Runtime>,
    /// Its Compose project.
    pub projects: Vec<Glob>,
    /// Its Compose service.
    pub services: Vec<Glob>,
    /// Its cgroup's path. This key alone also reaches cgroups that are no container.
    pub cgroups: Vec<Glob>,
}

/// A label that a container must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelPattern {
    /// Its key.
    pub key: String,
    /// Its value; `None`: any.
    pub value: Option<Glob>,
}

impl Selector {
    /// Whether it is for this one.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All => subject.kind.is_container(),
            Self::Keys(keys) => keys.match_all(subject),
        }
    }

    /// Whether it certainly selects whatever `other` does.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            // A path may be that of a cgroup which is no container.
            (Self::All, Self::Keys(keys)) => keys.cgroups.is_empty(),
            (one, other) => one == other,
        }
    }

    /// The labels that it looks at.
    pub fn label_keys(&self) -> impl Iterator<Item = &str> {
        let keys = match self {
            Self::All => None,
            Self::Keys(keys) => Some(keys),
        };
        keys.into_iter().flat_map(|keys| keys.labels.iter().flatten()).map(|label| label.key.as_str())
    }
}

impl Keys {
    /// Whether it says nothing, and so selects nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn match_all(&self, subject: &Subject<'_>) -> bool {
        let Self { names, images, labels, runtimes, projects, services, cgroups } = self;
        !self.is_empty()
            && (subject.kind.is_container() || !cgroups.is_empty() && subject.kind != Kind::Other)
            && any_matches(names, subject.name)
            && any_matches(images, subject.image)
            && labels.iter().all(|one_of| one_of.iter().any(|label| label.matches(subject)))
            && (runtimes.is_empty() || runtimes.iter().any(|runtime| runtime.as_str() == subject.runtime))
            && any_matches(projects, subject.project)
            && any_matches(services, subject.service)
            && any_matches(cgroups, subject.id)
    }
}

/// What it does not have matches no pattern, not even `*`.
fn any_matches(globs: &[Glob], text: &str) -> bool {
    globs.is_empty() || !text.is_empty() && globs.iter().any(|glob| glob.matches(text))
}

impl LabelPattern {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let value = subject.label(&self.key);
        value.is_some_and(|value| self.value.as_ref().is_none_or(|pattern| pattern.matches(value)))
    }
}

#[cfg(test)]
mod tests;
