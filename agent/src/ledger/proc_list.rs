//! Processes as /proc lists them, for those that the task iterator leaves out (on some hosts it begins at pid 2).

use std::{collections::HashMap, fs};

use plimsoll_common::word::{Word, cgroup_key};

use crate::cgroup::{Hierarchy, directory, id_of, path_of_pid};

/// The words of all processes in /proc that `known` does not have: live ones only, as `cgroup.procs` counts.
#[must_use]
pub fn unknown(known: impl Fn(u32) -> bool, hierarchy: &Hierarchy) -> HashMap<u32, u64> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let tgids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    tgids.filter(|tgid| !known(*tgid)).filter_map(|tgid| Some((tgid, word(tgid, hierarchy)?))).collect()
}

/// A process that ends meanwhile has none.
fn word(tgid: u32, hierarchy: &Hierarchy) -> Option<u64> {
    let threads = live_threads(&fs::read_to_string(format!("/proc/{tgid}/status")).ok()?)?;
    let path = path_of_pid(tgid, hierarchy).ok()??;
    let id = id_of(&directory(&hierarchy.mount, &path)).ok()?;
    Some(Word::new(cgroup_key(id), threads).0)
}

/// Threads of a process that is neither zombie nor dead.
fn live_threads(status: &str) -> Option<u32> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("State:")?.starts_with(['Z', 'X']) {
        return None;
    }
    field("Threads:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::live_threads;

    #[test]
    fn zombies_are_no_processes() {
        assert_eq!(live_threads("Name:\tx\nState:\tS (sleeping)\nThreads:\t13\n"), Some(13));
        assert_eq!(live_threads("State:\tZ (zombie)\nThreads:\t1\n"), None);
        assert_eq!(live_threads(""), None);
    }
}
