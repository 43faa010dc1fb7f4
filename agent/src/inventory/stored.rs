//! Names as they stand in the pinned map `NAMES`: fields, each with its length before it. What is not understood is
//! `None`, never a wrong name.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use plimsoll_common::names::NAME_LEN;

use super::{Identity, Kind, Workload, WorkloadKind};

/// A value of the map.
pub type Value = [u8; NAME_LEN];

/// Who a sum belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// An account, with the workload it counts for once that is settled, and when its last cgroup went.
    Account(Box<Identity>, Option<Workload>, Option<SystemTime>),
    /// A workload.
    Workload(Workload),
}

impl Stored {
    /// As bytes. Labels that find no room are left out; every other field is bounded and fits.
    #[must_use]
    pub fn encode(&self) -> Value {
        let mut fields = Fields::default();
        match self {
            Self::Workload(workload) => {
                fields.push("w");
                fields.workload(workload);
            }
            Self::Account(identity, workload, died) => {
                fields.push("a");
                match workload {
                    Some(workload) => fields.workload(workload),
                    None => ["", ""].into_iter().for_each(|field| fields.push(field)),
                }
                fields.time(*died);
                fields.identity(identity);
            }
        }
        fields.value()
    }

    /// From bytes.
    #[must_use]
    pub fn decode(value: &Value) -> Option<Self> {
        let mut fields = Reader(value);
        match fields.next()? {
            "w" => Some(Self::Workload(fields.workload()?)),
            "a" => {
                let (kind, name) = (fields.next()?, fields.owned()?);
                let workload = WorkloadKind::from_name(kind).map(|kind| Workload { kind, name });
                let died = fields.time();
                Some(Self::Account(Box::new(fields.identity()?), workload, died))
            }
            _ => None,
        }
    }
}

#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn push(&mut self, field: &str) {
        let length = u16::try_from(field.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_le_bytes());
        self.0.extend(&field.as_bytes()[..usize::from(length)]);
    }

    fn workload(&mut self, workload: &Workload) {
        self.push(workload.kind.as_str());
        self.push(&workload.name);
    }

    fn time(&mut self, time: Option<SystemTime>) {
        self.push(&time.and_then(millis).map_or_else(String::new, |millis| millis.to_string()));
    }

    fn identity(&mut self, identity: &Identity) {
        let Identity {
            id,
            kind,
            name,
            image,
            container_id,
            runtime,
            project,
            service,
            labels,
            every_label: _,
            created,
            started,
        } = identity;
        for field in [id, kind.as_str(), name, image, container_id, runtime, project, service] {
            self.push(field);
        }
        self.time(*created);
        self.time(*started);
        for (key, value) in labels {
            if self.0.len() + 2 + key.len() + 2 + value.len() + 2 <= NAME_LEN {
                self.push(key);
                self.push(value);
            }
        }
    }

    /// The bytes and, as all that follows is zero, an empty field that ends the labels.
    fn value(self) -> Value {
        let mut value = [0; NAME_LEN];
        let length = self.0.len().min(NAME_LEN);
        value[..length].copy_from_slice(&self.0[..length]);
        value
    }
}

fn millis(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        self.0 = rest;
        std::str::from_utf8(field).ok()
    }

    fn owned(&mut self) -> Option<String> {
        self.next().map(str::to_owned)
    }

    /// `None` where the field is empty or no time.
    fn time(&mut self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.next()?.parse().ok()?))
    }

    fn workload(&mut self) -> Option<Workload> {
        Some(Workload { kind: WorkloadKind::from_name(self.next()?)?, name: self.owned()? })
    }

    fn identity(&mut self) -> Option<Identity> {
        let mut identity = Identity {
            id: self.owned()?,
            kind: Kind::from_name(self.next()?)?,
            name: self.owned()?,
            image: self.owned()?,
            container_id: self.owned()?,
            runtime: self.owned()?,
            project: self.owned()?,
            service: self.owned()?,
            created: self.time(),
            started: self.time(),
            labels: BTreeMap::new(),
            every_label: BTreeMap::new(),
        };
        while let Some(key) = self.owned().filter(|key| !key.is_empty()) {
            identity.labels.insert(key, self.owned()?);
        }
        Some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Duration, Identity, Kind, NAME_LEN, Stored, UNIX_EPOCH, Workload, WorkloadKind};

    fn identity(text: &str) -> Identity {
        Identity {
            name: text.into(),
            image: text.into(),
            container_id: "4f".repeat(32),
            runtime: "docker".into(),
            project: text.into(),
            service: text.into(),
            labels: BTreeMap::from([("k".into(), text.into())]),
            every_label: BTreeMap::new(),
            created: Some(UNIX_EPOCH + Duration::from_millis(1_795_380_368_123)),
            ..Identity::cgroup(text.into(), Kind::Container)
        }
    }

    #[test]
    fn what_was_stored_comes_back() {
        let long = "\u{1}é\"\n".repeat(50);
        for text in ["", "shop", &long] {
            let workload = Workload { kind: WorkloadKind::Image, name: text.into() };
            let died = Some(UNIX_EPOCH + Duration::from_millis(1_795_380_999_001));
            let account = |workload, died| Stored::Account(Box::new(identity(text)), workload, died);
            let settled = Some(workload.clone());
            for stored in [account(None, None), account(settled, died), Stored::Workload(workload.clone())] {
                assert_eq!(Stored::decode(&stored.encode()).as_ref(), Some(&stored));
            }
        }
    }

    #[test]
    fn labels_without_room_are_left_out_whole() {
        let mut identity = identity("x");
        identity.labels = (0..100).map(|n| (format!("key{n}"), "v".repeat(100))).collect();
        let workload = identity.workload();
        let Some(Stored::Account(found, ..)) =
            Stored::decode(&Stored::Account(Box::new(identity), Some(workload), None).encode())
        else {
            panic!("not an account")
        };
        assert!((10..20).contains(&found.labels.len()));
        assert!(found.labels.values().all(|value| value.len() == 100));
    }

    #[test]
    fn garbage_is_no_name() {
        for garbage in [[0; NAME_LEN], [0xff; NAME_LEN], [1; NAME_LEN]] {
            assert_eq!(Stored::decode(&garbage), None);
        }
    }
}
