//! `pids.max` of many cgroups, at every scrape. Files stay open: opening one costs ten times what reading it does.

use std::{collections::HashMap, fs::File, os::unix::fs::FileExt as _, path::Path};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{directory, files::parse_pids_max};

/// Descriptors that are left for everything else.
const OTHERS: u64 = 256;
/// Files that are kept open at most.
const MOST: u64 = 8_192;

/// The open files, by account.
#[derive(Debug, Default)]
pub struct Limits {
    open: HashMap<u64, Open>,
    room: usize,
}

#[derive(Debug)]
struct Open {
    path: Vec<u8>,
    file: File,
}

impl Limits {
    /// With as much room as this process may have descriptors, for which it asks for all it can get.
    #[must_use]
    pub fn new() -> Self {
        if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard); // what it has is asked next
        }
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        let room = descriptors.saturating_sub(OTHERS).min(MOST);
        Self { open: HashMap::new(), room: room.try_into().unwrap_or_default() }
    }

    /// `pids.max` of the cgroup at `path`, an account's own; 0 stands for `max`, as in cAdvisor's
    /// `container_threads_max`.
    ///
    /// `mount`: where the pids controller is; on a hybrid host that is the v1 hierarchy, with the same paths. `None`: the
    /// root, a cgroup without the controller, a cgroup that is gone.
    pub fn pids_max(&mut self, mount: &Path, account: u64, path: &[u8]) -> Option<u64> {
        if let Some(open) = self.open.get(&account)
            && open.path == path
            && let Some(limit) = read(&open.file)
        {
            return Some(limit);
        }
        // Another cgroup of that name, perhaps: a file of one that is gone cannot be read any more.
        self.open.remove(&account);
        let file = File::open(directory(mount, path).join("pids.max")).ok()?;
        let limit = read(&file);
        if self.open.len() < self.room {
            self.open.insert(account, Open { path: path.to_vec(), file });
        }
        limit
    }

    /// Closes the files of all other accounts.
    pub fn keep(&mut self, accounts: impl Fn(u64) -> bool) {
        self.open.retain(|account, _| accounts(*account));
    }
}

/// All of the file, with one read from its beginning.
fn read(file: &File) -> Option<u64> {
    let mut text = [0; 32];
    let length = file.read_at(&mut text, 0).ok()?;
    parse_pids_max(text.get(..length)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Limits;

    #[test]
    fn a_limit_is_read_anew_each_time_and_of_the_cgroup_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            fs::create_dir_all(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("pids.max"), text).unwrap();
        };
        put("a", "max\n");
        put("b", "7\n");
        let mut limits = Limits::new();
        assert_eq!(limits.pids_max(dir.path(), 1, b"/a"), Some(0));
        put("a", "64\n");
        assert_eq!(limits.pids_max(dir.path(), 1, b"/a"), Some(64));
        assert_eq!(limits.pids_max(dir.path(), 1, b"/b"), Some(7), "the account moved on");
        assert_eq!(limits.pids_max(dir.path(), 2, b"/none"), None);
        assert_eq!(limits.open.len(), 1);
        limits.keep(|_| false);
        assert!(limits.open.is_empty());
    }

    #[test]
    fn without_room_limits_are_read_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pids.max"), "9\n").unwrap();
        let mut limits = Limits::default();
        assert_eq!(limits.pids_max(dir.path(), 1, b"/"), Some(9));
        assert!(limits.open.is_empty());
    }
}
