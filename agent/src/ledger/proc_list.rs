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
    let threads = live_threads(&fs::read_to_string(format!("/proc/{tgid}/stat")).ok()?)?;
    let path = path_of_pid(tgid, hierarchy).ok()??;
    let id = id_of(&directory(&hierarchy.mount, &path)).ok()?;
    Some(Word::new(cgroup_key(id), threads).0)
}

/// Whether there is a process of that id, not only a thread or a zombie.
#[must_use]
pub fn is_alive(tgid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{tgid}/status")).unwrap_or_default();
    let field = |name: &str| Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim());
    let is_leader = field("Tgid:").is_some_and(|found| found == tgid.to_string());
    is_leader
        && fs::read_to_string(format!("/proc/{tgid}/stat")).is_ok_and(|stat| live_threads(&stat).is_some())
}

/// `PF_EXITING`, include/linux/sched.h: past `sched_process_exit`, though not yet a zombie.
const EXITING: u64 = 0x4;

/// Threads of a process that is neither zombie nor dead, nor about to be: fields 3, 9 and 20 of `/proc/<pid>/stat`.
fn live_threads(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?; // the name before may hold anything
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let flags: u64 = fields.get(6)?.parse().ok()?;
    let over = fields.first()?.starts_with(['Z', 'X']) || flags & EXITING != 0;
    if over { None } else { fields.get(17)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::live_threads;

    #[test]
    fn what_is_over_is_no_process() {
        let stat = |state, flags| format!("1 (a) b) {state} 0 1 1 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 13 0 5");
        assert_eq!(live_threads(&stat('S', 4_194_560)), Some(13));
        assert_eq!(live_threads(&stat('Z', 4_194_560)), None);
        assert_eq!(live_threads(&stat('R', 4_194_564)), None);
        assert_eq!(live_threads(""), None);
    }
}
