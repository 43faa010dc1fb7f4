//! The pinned maps, opened and typed. Never creates one.

use std::{os::fd::AsFd as _, path::Path};

use aya::{
    Pod,
    maps::{Array, HashMap, IterableMap as _, Map, MapData, MapError, MapType},
};
use plimsoll_common::{
    names::{self, META_MAGIC, META_WORDS, NAME_LEN},
    port::{Port, Veth},
    row::Row,
    tally::{PLACES, Tally},
    traffic::{Lane, Traffic},
};

use super::{Error, sys};

/// `BPF_NOEXIST`, include/uapi/linux/bpf.h.
const BPF_NOEXIST: u64 = 1;

/// What identifies a set of pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Digest of the object that works behind the hooks.
    pub digest: u64,
    /// The hierarchy whose cgroup ids are the keys; 0 is cgroup2.
    pub hierarchy_id: u32,
}

/// The maps, by what they hold.
pub struct Maps {
    proc: HashMap<MapData, u32, u64>,
    rows: HashMap<MapData, u32, Row>,
    folded: HashMap<MapData, u64, Row>,
    names: HashMap<MapData, u64, [u8; NAME_LEN]>,
    owners: HashMap<MapData, u32, u64>,
    tallies: Array<MapData, u64>,
}

/// What a map is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: MapType,
    /// Bytes of a key.
    pub key: usize,
    /// Bytes of a value.
    pub value: usize,
    /// Room; bytes of a ring buffer.
    pub entries: u32,
    /// Whether all of it is taken at once.
    pub preallocated: bool,
}

const fn map(name: &'static str, kind: MapType, key: usize, value: usize, entries: u32) -> Shape {
    Shape { name, kind, key, value, entries, preallocated: true }
}

/// Shape of each map that the agent opens: what a pin must be before it is used. aya checks no reused pin.
pub(super) const SHAPES: &[Shape] = &[
    map(names::PROC, MapType::Hash, 4, 8, names::PROC_MAX),
    map(names::ROWS, MapType::Hash, 4, size_of::<Row>(), names::ROWS_MAX),
    map(names::FOLDED, MapType::Hash, 8, size_of::<Row>(), names::FOLDED_MAX),
    Shape { preallocated: false, ..map(names::NAMES, MapType::Hash, 8, NAME_LEN, names::NAMES_MAX) },
    Shape { preallocated: false, ..map(names::OWNERS, MapType::Hash, 4, 8, names::OWNERS_MAX) },
    Shape { preallocated: false, ..map(names::IMPORTED, MapType::Hash, 16, 4, names::IMPORTED_MAX) },
    map(names::LANES, MapType::Hash, 8, size_of::<Lane>(), names::LANES_MAX),
    map(names::SOCKETS, MapType::Hash, 4, size_of::<[Traffic; 2]>(), names::SOCKETS_MAX),
    map(names::VETHS, MapType::Hash, 4, size_of::<Veth>(), names::VETHS_MAX),
    Shape {
        preallocated: false,
        ..map(names::SEEN, MapType::Hash, 4, 8 * names::SEEN_WORDS, names::VETHS_MAX)
    },
    map(names::PORTS, MapType::Hash, 8, size_of::<Port>(), names::PORTS_MAX),
    Shape { preallocated: false, ..map(names::SHAPED, MapType::Hash, 4, 4, names::SHAPED_MAX) },
    Shape { preallocated: false, ..map(names::UNDO, MapType::Hash, 8, names::RECORD_LEN, names::UNDO_MAX) },
    Shape { preallocated: false, ..map(names::HANDS, MapType::Hash, 8, names::RECORD_LEN, names::HANDS_MAX) },
    Shape {
        preallocated: false,
        ..map(names::SPENT, MapType::Hash, 8, 8 * names::SPENT_WORDS, names::SPENT_MAX)
    },
    map(names::TALLIES, MapType::Array, 4, 8, PLACES),
    map(names::PROBE, MapType::Array, 4, 8, 2),
    map(names::META, MapType::Array, 4, 8 * META_WORDS, 1),
    map(names::EVENTS, MapType::RingBuf, 0, 0, names::EVENTS_BYTES),
    map(names::LOGS, MapType::RingBuf, 0, 0, names::LOGS_BYTES),
];

/// Names of all maps that are pinned, slots of hooks aside.
pub fn all_names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|shape| shape.name)
}

/// Holds every pinned map in `directory` against the shape it must have.
///
/// # Errors
/// A sentence that names the first one that is missing or differs.
pub fn check_shapes(directory: &Path) -> Result<(), String> {
    check(directory, all_names())
}

/// Holds some of the maps in `directory` against the shape that they must have.
///
/// # Errors
/// As [`check_shapes`].
pub fn check(directory: &Path, names: impl Iterator<Item = &'static str>) -> Result<(), String> {
    for Shape { name, kind, key, value, .. } in
        names.flat_map(|name| SHAPES.iter().filter(move |shape| shape.name == name))
    {
        check_name(directory, name)?;
        let path = directory.join(name);
        let info = aya::maps::MapInfo::from_pin(&path).map_err(|error| format!("map {name}: {error}"))?;
        let found_kind = info.map_type().map_err(|error| format!("map {name}: {error}"))?;
        let found = (info.key_size() as usize, info.value_size() as usize);
        if found_kind != *kind || found != (*key, *value) {
            return Err(format!(
                "map {name} is {found_kind:?} of {found:?} bytes, not {kind:?} of {:?}",
                (key, value)
            ));
        }
    }
    Ok(())
}

/// Holds the name of the map pinned as `name` against it.
///
/// # Errors
/// A sentence that says what it is instead.
pub fn check_name(directory: &Path, name: &str) -> Result<(), String> {
    let info =
        aya::maps::MapInfo::from_pin(directory.join(name)).map_err(|error| format!("map {name}: {error}"))?;
    let found = info.name_as_str().unwrap_or_default();
    if sys::is_name_of(name, found) { Ok(()) } else { Err(format!("map {name} is {found:?}")) }
}

/// Opens the map `name` in `directory`.
pub(super) fn open<T: TryFrom<Map, Error = MapError>>(
    directory: &Path,
    name: &'static str,
) -> Result<T, Error> {
    let data = MapData::from_pin(directory.join(name)).map_err(Error::map("open", name))?;
    Map::from_map_data(data).and_then(T::try_from).map_err(Error::map("open", name))
}

/// Room in the map `name`.
pub(super) fn room(directory: &Path, name: &'static str) -> Result<u32, Error> {
    Ok(aya::maps::MapInfo::from_pin(directory.join(name)).map_err(Error::map("look at", name))?.max_entries())
}

/// Reads what a set of pins of this layout is.
///
/// # Errors
/// The map cannot be opened; `Ok(None)`: it was never finished.
pub fn read_meta(directory: &Path, layout: u32) -> Result<Option<Meta>, Error> {
    let map: Array<_, [u64; META_WORDS]> = open(directory, names::META)?;
    let [magic, found, digest, hierarchy, ..] = map.get(&0, 0).map_err(Error::map("read", names::META))?;
    let whole = magic == META_MAGIC && found == u64::from(layout);
    Ok(u32::try_from(hierarchy).ok().filter(|_| whole).map(|hierarchy_id| Meta { digest, hierarchy_id }))
}

/// Says what a set of pins is: the last act of a start or an upgrade.
///
/// # Errors
/// The kernel's.
pub fn write_meta(directory: &Path, meta: Meta) -> Result<(), Error> {
    let mut map: Array<_, [u64; META_WORDS]> = open(directory, names::META)?;
    let mut words = [0; META_WORDS];
    words[..4].copy_from_slice(&[
        META_MAGIC,
        u64::from(plimsoll_common::LAYOUT),
        meta.digest,
        u64::from(meta.hierarchy_id),
    ]);
    map.set(0, words, 0).map_err(Error::map("write", names::META))
}

/// Notes rows of older layouts as imported, see [`names::IMPORTED`].
///
/// # Errors
/// The kernel's.
pub fn note_imported(directory: &Path, tokens: impl Iterator<Item = [u64; 2]>) -> Result<(), Error> {
    let mut map: HashMap<_, [u64; 2], u32> = open(directory, names::IMPORTED)?;
    for token in tokens {
        map.insert(token, 1, 0).map_err(Error::map("write", names::IMPORTED))?;
    }
    Ok(())
}

impl Maps {
    /// Opens all maps pinned in `directory`.
    ///
    /// # Errors
    /// One is missing or of another shape.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            proc: open(directory, names::PROC)?,
            rows: open(directory, names::ROWS)?,
            folded: open(directory, names::FOLDED)?,
            names: open(directory, names::NAMES)?,
            owners: open(directory, names::OWNERS)?,
            tallies: open(directory, names::TALLIES)?,
        })
    }

    /// Every process with its word.
    ///
    /// # Errors
    /// The kernel's.
    pub fn processes(&self) -> Result<Vec<(u32, u64)>, Error> {
        entries(&self.proc, names::PROC)
    }

    /// Every cgroup with its row.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rows(&self) -> Result<Vec<(u32, Row)>, Error> {
        entries(&self.rows, names::ROWS)
    }

    /// Every account and workload with the sum of its dead rows.
    ///
    /// # Errors
    /// The kernel's.
    pub fn folded(&self) -> Result<Vec<(u64, Row)>, Error> {
        entries(&self.folded, names::FOLDED)
    }

    /// Every name that was written down, as it was.
    ///
    /// # Errors
    /// The kernel's.
    pub fn names(&self) -> Result<Vec<(u64, [u8; NAME_LEN])>, Error> {
        entries(&self.names, names::NAMES)
    }

    /// Every cgroup with its account.
    ///
    /// # Errors
    /// The kernel's.
    pub fn owners(&self) -> Result<Vec<(u32, u64)>, Error> {
        entries(&self.owners, names::OWNERS)
    }

    /// Writes down who an account or workload is.
    ///
    /// # Errors
    /// The kernel's: E2BIG when the map is full.
    pub fn put_name(&mut self, key: u64, name: &[u8; NAME_LEN]) -> Result<(), Error> {
        self.names.insert(key, name, 0).map_err(Error::map("write", names::NAMES))
    }

    /// Forgets who an account was.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete_name(&mut self, key: u64) -> Result<(), Error> {
        absent_is_fine(self.names.remove(&key), names::NAMES)
    }

    /// Writes down whose a cgroup is.
    ///
    /// # Errors
    /// The kernel's: E2BIG when the map is full.
    pub fn put_owner(&mut self, cgroup: u32, account: u64) -> Result<(), Error> {
        self.owners.insert(cgroup, account, 0).map_err(Error::map("write", names::OWNERS))
    }

    /// Forgets whose a cgroup was.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete_owner(&mut self, cgroup: u32) -> Result<(), Error> {
        absent_is_fine(self.owners.remove(&cgroup), names::OWNERS)
    }

    /// Makes a sum of nothing, so that a full map cannot keep it out later.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make_sum(&mut self, key: u64) -> Result<(), Error> {
        insert_new(&mut self.folded, key, &Row::ZERO, names::FOLDED)
    }

    /// Room in one of the maps.
    ///
    /// # Errors
    /// The kernel's, or there is no such map here.
    pub fn room(&self, name: &'static str) -> Result<u64, Error> {
        let map = match name {
            names::PROC => self.proc.map(),
            names::ROWS => self.rows.map(),
            names::NAMES => self.names.map(),
            names::OWNERS => self.owners.map(),
            _ => self.folded.map(),
        };
        map.info().map(|info| info.max_entries().into()).map_err(Error::map("look at", name))
    }

    /// One tally.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tally(&self, tally: Tally) -> Result<u64, Error> {
        self.tallies.get(&(tally as u32), 0).map_err(Error::map("read", names::TALLIES))
    }
}

/// Every entry of a map.
pub(super) fn entries<K: Pod, V: Pod>(
    map: &HashMap<MapData, K, V>,
    name: &'static str,
) -> Result<Vec<(K, V)>, Error> {
    sys::lookup_all(map.map().fd().as_fd()).map_err(Error::pin("read map", name))
}

/// Makes an entry, unless there is one.
pub(super) fn insert_new<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    key: K,
    value: &V,
    name: &'static str,
) -> Result<(), Error> {
    match map.insert(key, value, BPF_NOEXIST) {
        Err(MapError::SyscallError(error)) if error.io_error.kind() == std::io::ErrorKind::AlreadyExists => {
            Ok(())
        }
        result => result.map_err(Error::map("write", name)),
    }
}

/// What was not there to be deleted is gone.
pub(super) fn absent_is_fine(result: Result<(), MapError>, name: &'static str) -> Result<(), Error> {
    match result {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::map("delete in", name)(error)),
    }
}
