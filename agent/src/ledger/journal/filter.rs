//! Which entries a reader wants. Pure.

use std::time::SystemTime;

use super::{Container, Entry, entry::CUT};

/// Characters of an id that name a container.
const LEAST: usize = 4;

/// Which entries a reader wants; all where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Of this container: its name, or the first characters of its id, 4 at least.
    pub container: Option<String>,
    /// From this moment on.
    pub since: Option<SystemTime>,
}

impl Filter {
    /// Whether it wants this one.
    #[must_use]
    pub fn wants(&self, entry: &Entry) -> bool {
        let Self { container, since } = self;
        since.is_none_or(|since| entry.at >= since)
            && container.as_ref().is_none_or(|wanted| names(wanted, &entry.container))
    }
}

/// Whether somebody who says `wanted` may mean that container.
fn names(wanted: &str, Container { id, name }: &Container) -> bool {
    let begins = |kept: &str| !kept.is_empty() && wanted.starts_with(kept);
    name == wanted
        || name.strip_suffix(CUT).is_some_and(begins)
        || wanted.len() >= LEAST && id.starts_with(wanted)
}
