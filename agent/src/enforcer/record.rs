//! How each act of a limit is undone, as it stands in the pinned map `UNDO`: written before the act, deleted after its undo.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decide::Desired;
use crate::cgroup::printable;
use crate::kernel::records::Records;

/// Where a limit is held: one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The tasks of a cgroup, by its id in the hierarchy of the pids controller.
    Tasks(u64),
    /// What goes out to the host's end of a pair.
    Ingress(u32),
    /// What comes in from it.
    Egress(u32),
    /// All processes of a cgroup, by its id in the hierarchy of the freezer.
    Frozen(u64),
}

/// What was done at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "at", deny_unknown_fields)]
pub enum Record {
    /// `pids.max` of a cgroup was written.
    Tasks {
        /// The cgroup's id.
        cgroup: u64,
        /// Its path from the root of the hierarchy.
        path: Path,
        /// What it was before; `None`: `max`.
        before: Option<u64>,
        /// What it is now.
        ours: u64,
        /// What it was until now, also by us: what it still is if we were killed between writing this down and doing it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<u64>,
        /// What was wanted: no less.
        wanted: u64,
    },
    /// A tbf was put at the root of the host's end of a pair.
    Ingress {
        /// Its number.
        ifindex: u32,
        /// Bits per second.
        wanted: u64,
    },
    /// What comes from the host's end of a pair goes through an ifb with a tbf.
    Egress {
        /// Its number.
        ifindex: u32,
        /// Bits per second.
        wanted: u64,
        /// There was nothing before that filters could hang at.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        makes_hook: bool,
    },
    /// A cgroup was frozen as its task limit was hit.
    Frozen {
        /// The cgroup's id.
        cgroup: u64,
        /// Its path from the root of the hierarchy.
        path: Path,
    },
}

/// A path, as text where it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Path {
    /// As it is.
    Text(String),
    /// Byte by byte.
    Bytes(Vec<u8>),
}

impl From<&[u8]> for Path {
    fn from(path: &[u8]) -> Self {
        str::from_utf8(path).map_or_else(|_| Self::Bytes(path.to_vec()), |text| Self::Text(text.to_owned()))
    }
}

impl Path {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tasks { path, .. } => write!(f, "task limit of {}", printable(path.bytes())),
            Self::Ingress { ifindex, .. } => write!(f, "ingress limit at interface {ifindex}"),
            Self::Egress { ifindex, .. } => write!(f, "egress limit at interface {ifindex}"),
            Self::Frozen { path, .. } => write!(f, "freeze of {}", printable(path.bytes())),
        }
    }
}

impl Place {
    /// Its key in pinned maps.
    #[must_use]
    pub fn key(self) -> u64 {
        let (kind, number) = match self {
            Self::Tasks(cgroup) => (b"tasks  ", cgroup),
            Self::Ingress(ifindex) => (b"ingress", ifindex.into()),
            Self::Egress(ifindex) => (b"egress ", ifindex.into()),
            Self::Frozen(cgroup) => (b"frozen ", cgroup),
        };
        plimsoll_common::key::key(&[b"undo", kind, &number.to_le_bytes()])
    }
}

impl Record {
    /// Where it was done.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::Tasks { cgroup, .. } => Place::Tasks(*cgroup),
            Self::Ingress { ifindex, .. } => Place::Ingress(*ifindex),
            Self::Egress { ifindex, .. } => Place::Egress(*ifindex),
            Self::Frozen { cgroup, .. } => Place::Frozen(*cgroup),
        }
    }

    /// The number that was wanted.
    #[must_use]
    pub const fn wanted(&self) -> u64 {
        match self {
            Self::Tasks { wanted, .. } | Self::Ingress { wanted, .. } | Self::Egress { wanted, .. } => {
                *wanted
            }
            Self::Frozen { .. } => 0,
        }
    }

    /// Whether what was done is what is to be held.
    #[must_use]
    pub fn is_for(&self, desired: &Desired) -> bool {
        match self {
            Self::Tasks { before, ours, .. } if *ours != desired.within(*before) => false,
            record => record.wanted() == desired.wanted,
        }
    }

    /// Whether it has room in the map, all numbers as long as they can be.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|text| text.len() <= Records::room())
    }

    /// Whether a number in `pids.max` is ours.
    #[must_use]
    pub fn is_ours(&self, now: Option<u64>) -> bool {
        matches!(self, Self::Tasks { ours, was, .. } if now.is_some() && (now == Some(*ours) || now == *was))
    }

    /// From the map.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Place, Record};

    #[test]
    fn a_record_comes_back_as_it_was() {
        let path = |bytes: &[u8]| Path::from(bytes);
        let tasks =
            |path, before| Record::Tasks { cgroup: 7, path, before, ours: 50, was: Some(40), wanted: 60 };
        let records = [
            tasks(path(b"/docker/4f"), None),
            tasks(path(b"/docker/\xff\"\n"), Some(100)),
            Record::Ingress { ifindex: 3, wanted: 1 },
            Record::Egress { ifindex: 3, wanted: u64::MAX, makes_hook: false },
            Record::Egress { ifindex: u32::MAX, wanted: u64::MAX, makes_hook: true },
        ];
        for record in &records {
            assert_eq!(Record::parse(&record.text().unwrap()).as_ref(), Some(record));
        }
        assert!(tasks(path(&[b'a'; 500]), None).text().is_none(), "it has no room");
        assert!(Record::parse("{\"at\":\"elsewhere\"}").is_none());
    }

    #[test]
    fn places_have_keys_of_their_own() {
        let places = [Place::Tasks(3), Place::Ingress(3), Place::Egress(3), Place::Egress(4)];
        let keys: std::collections::BTreeSet<u64> = places.into_iter().map(Place::key).collect();
        assert_eq!(keys.len(), places.len());
    }
}
