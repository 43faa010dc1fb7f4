//! What a container's own labels ask for. Whether they may is decided in `resolve`.

use std::{fmt::Display, str::FromStr};

use super::{BitsPerSecond, Ignored, Origin, Reason, Resource, Subject, Tasks, nearest::hint};

/// The labels that set a limit. The last two are how cri-dockerd keeps a pod's annotations.
pub(super) const KEYS: [(&str, Resource); 7] = [
    ("plimsoll.pids", Resource::Pids),
    ("plimsoll.egress", Resource::Egress),
    ("plimsoll.ingress", Resource::Ingress),
    ("kubernetes.io/egress-bandwidth", Resource::Egress),
    ("kubernetes.io/ingress-bandwidth", Resource::Ingress),
    ("annotation.kubernetes.io/egress-bandwidth", Resource::Egress),
    ("annotation.kubernetes.io/ingress-bandwidth", Resource::Ingress),
];

/// What labels of ours begin with.
const PREFIX: &str = "plimsoll.";
/// Labels of ours that are not about these limits.
const OTHERS: [&str; 1] = ["plimsoll.volume."];

/// What a container's labels ask for, each with its key.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) pids: Vec<(Tasks, &'static str)>,
    pub(super) egress: Vec<(BitsPerSecond, &'static str)>,
    pub(super) ingress: Vec<(BitsPerSecond, &'static str)>,
}

impl Asked {
    /// Reads them; what cannot be read is ignored.
    pub(super) fn by(subject: &Subject<'_>, ignored: &mut Vec<Ignored>) -> Self {
        let mut asked = Self::default();
        for (key, resource) in KEYS {
            let Some(value) = subject.label(key) else { continue };
            match resource {
                Resource::Pids => read(resource, key, value, &mut asked.pids, ignored),
                Resource::Egress => read(resource, key, value, &mut asked.egress, ignored),
                Resource::Ingress => read(resource, key, value, &mut asked.ingress, ignored),
            }
        }
        ignored.extend(unknown(subject));
        asked
    }
}

/// All limits that labels ask for, and what becomes of them where labels do not count.
pub(super) fn not_allowed(subject: &Subject<'_>) -> impl Iterator<Item = Ignored> {
    KEYS.into_iter().filter_map(|(key, resource)| {
        let value = subject.label(key)?;
        let origin = Origin::Label { key: key.to_owned() };
        Some(Ignored { resource: Some(resource), origin, value: value.to_owned(), reason: Reason::LabelsOff })
    })
}

fn read<T: FromStr<Err: Display>>(
    resource: Resource,
    key: &'static str,
    value: &str,
    into: &mut Vec<(T, &'static str)>,
    ignored: &mut Vec<Ignored>,
) {
    match value.parse() {
        Ok(number) => into.push((number, key)),
        Err(error) => ignored.push(Ignored {
            resource: Some(resource),
            origin: Origin::Label { key: key.to_owned() },
            value: value.to_owned(),
            reason: Reason::Unreadable { error: format!("{error}") },
        }),
    }
}

/// Labels that look like ours and are none.
fn unknown(subject: &Subject<'_>) -> impl Iterator<Item = Ignored> {
    let ours = |key: &str| key.starts_with(PREFIX) && !OTHERS.iter().any(|other| key.starts_with(other));
    let known = |key: &str| KEYS.iter().any(|(known, _)| *known == key);
    subject.labels.iter().filter(move |(key, _)| ours(key) && !known(key)).map(|(key, value)| Ignored {
        resource: None,
        origin: Origin::Label { key: key.clone() },
        value: value.clone(),
        reason: Reason::Unknown { hint: hint(key, KEYS.iter().map(|(key, _)| *key)) },
    })
}
