//! Going on from pins of an older layout. What all layouts share is linked into a new set, the hooks are handed over, and
//! the old rows are imported into the new ones, each once. Killed anywhere, the next start goes on with it.

use std::{
    fs, io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use aya::maps::MapInfo;
use plimsoll_common::{
    command::{Answer, Command, Import, Target},
    names,
    word::cgroup_key,
};

use super::{
    Commands, Error,
    maps::{self, Maps, Meta},
    pins::{self, Pins},
    programs::{HOOKS, ITERATOR, TAPS},
    shapers::SHAPERS,
    start::other_hierarchy,
    sys,
    veths::VETHS,
};

/// Maps that all layouts share.
const SHARED: [&str; 3] = [names::PROC, names::TALLIES, names::EVENTS];

/// Those of them that the first layout did not have.
const SHARED_SINCE: [&str; 9] = [
    names::LANES,
    names::SOCKETS,
    names::VETHS,
    names::PORTS,
    names::SEEN,
    names::SHAPED,
    names::UNDO,
    names::HANDS,
    names::SPENT,
];

/// Digest of a set whose hooks still run the programs of an older one: no object has it.
const NOT_HANDED_OVER: u64 = 0;

/// Longer than any program runs: for kernels without a barrier.
const LONGEST_RUN: Duration = Duration::from_millis(100);

/// A set of pins of an older layout.
pub struct Old {
    /// Its layout.
    pub layout: u32,
    /// Its directory.
    pub path: PathBuf,
}

/// An entry of a map whose sizes are another version's.
type Entry = (Vec<u8>, Vec<u8>);

impl Old {
    /// Whether counts can be taken over from it.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn look(&self, hierarchy_id: u32) -> Result<(), String> {
        let maps = self.path.join("maps");
        maps::check(&maps, SHARED.into_iter())?;
        let meta = maps::read_meta(&maps, self.layout).map_err(|error| error.to_string())?;
        let meta = meta.ok_or("they were never finished")?;
        if meta.hierarchy_id == hierarchy_id {
            Ok(())
        } else {
            Err(other_hierarchy(meta.hierarchy_id, hierarchy_id))
        }
    }

    fn entries(&self, name: &'static str) -> Result<Vec<Entry>, Error> {
        let path = self.path.join("maps").join(name);
        let info = MapInfo::from_pin(&path).map_err(Error::map("look at", name))?;
        let map = sys::object_get(&path).map_err(Error::pin("open", &path))?;
        let mut entries = Vec::new();
        let (key, value) = (info.key_size() as usize, info.value_size() as usize);
        sys::lookup_batches(map.as_fd(), key, value, |key, value| entries.push((key.into(), value.into())))
            .map_err(Error::pin("read", &path))?;
        Ok(entries)
    }
}

/// Links into the `stage` what all layouts share: maps, slots, links and the programs that jump into the slots.
///
/// # Errors
/// The kernel's.
pub fn link(old: &Old, stage: &Path) -> Result<(), Error> {
    let link = |kind: &str, name: &str| {
        let (from, to) = (old.path.join(kind).join(name), stage.join(kind).join(name));
        match fs::hard_link(&from, &to) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::pin("link", from)(source)),
            _ => Ok(()), // a hook that is new, or that this kernel lacks
        }
    };
    let slots = HOOKS.iter().map(|hook| hook.slot);
    SHARED.into_iter().chain(SHARED_SINCE).chain(slots).try_for_each(|name| link("maps", name))?;
    HOOKS.iter().try_for_each(|hook| link("programs", hook.entry))?;
    let (hooks, taps) = (HOOKS.iter().map(|hook| hook.entry), TAPS.iter().map(|tap| tap.program));
    hooks.chain([ITERATOR]).chain(taps).try_for_each(|name| link("links", name))?;
    [VETHS, SHAPERS].into_iter().try_for_each(|kind| {
        let links = fs::read_dir(old.path.join(kind)).into_iter().flatten().flatten();
        links.map(|entry| entry.file_name()).try_for_each(|name| link(kind, &name.to_string_lossy()))
    })
}

/// Makes the `stage` the current set. Its hooks are still `old`'s.
///
/// # Errors
/// The kernel's.
pub fn commit(set: &Pins, old: &Old, stage: &Path, wanted: Meta) -> Result<(), Error> {
    let maps = stage.join("maps");
    // What the old set itself imported, before it was left.
    if old.path.join("maps").join(names::IMPORTED).exists() {
        maps::note_imported(&maps, old.entries(names::IMPORTED)?.iter().map(|(token, _)| words(token)))?;
    }
    maps::write_meta(&maps, Meta { digest: NOT_HANDED_OVER, ..wanted })?;
    set.commit(stage).map(drop)
}

/// Imports the rows, sums and names of `old` into the current set, whose programs run already, and removes it.
///
/// # Errors
/// The kernel's.
pub fn import(set: &Pins, old: &Old, current: &Path) -> Result<(), Error> {
    // Hooks that only the older build had end here.
    pins::remove(&old.path.join("links"))?;
    sys::wait_for_programs().unwrap_or_else(|_| thread::sleep(LONGEST_RUN));
    let mut new = Maps::open(&current.join("maps"))?;
    // Names before the sums that they belong to.
    let names = old.entries(names::NAMES)?;
    for (key, name) in &names {
        new.put_name(number(key), &array(name))?;
    }
    for (cgroup, account) in old.entries(names::OWNERS)? {
        new.put_owner(cgroup_key(number(&cgroup)), number(&account))?;
    }
    let commands = Commands::open(current)?;
    let mut rows = 0;
    for (name, target) in [(names::FOLDED, Target::Folded), (names::ROWS, Target::Rows)] {
        for (key, row) in old.entries(name)? {
            let command = Command { key: number(&key), from: old.layout.into(), to: target as u64 };
            if commands.import(&Import { command, row: words(&row) })? == Answer::Full {
                tracing::warn!(
                    "map {name} has no room for all counts of layout {}: the rest stays in {}, and is taken over at the next start",
                    old.layout,
                    old.path.display()
                );
                return Ok(());
            }
            rows += 1;
        }
    }
    tracing::info!("{rows} rows and {} names of layout {} taken over", names.len(), old.layout);
    set.discard(&old.path)
}

/// The first bytes of a longer value, or the value and zeros.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    array
}

/// A key of four or eight bytes.
fn number(bytes: &[u8]) -> u64 {
    match bytes.as_array() {
        Some(half) => u32::from_ne_bytes(*half).into(),
        None => u64::from_ne_bytes(array(bytes)),
    }
}

/// Words, those that the older layout lacks 0.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    let found = bytes.as_chunks().0.iter().copied().map(u64::from_ne_bytes);
    words.iter_mut().zip(found).for_each(|(place, word)| *place = word);
    words
}

#[cfg(test)]
mod tests {
    use super::{array, number, words};

    #[test]
    fn what_the_older_layout_lacks_is_zero() {
        let row: Vec<u8> = [1_u64, 2].iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(words(&row), [1, 2, 0]);
        assert_eq!(array(b"ab"), *b"ab\0");
        assert_eq!(array(b"abc"), *b"ab");
    }

    #[test]
    fn keys_have_two_widths() {
        assert_eq!((number(&7_u32.to_ne_bytes()), number(&u64::MAX.to_ne_bytes())), (7, u64::MAX));
    }
}
