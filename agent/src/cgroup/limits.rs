//! `pids.max` of many cgroups, at every scrape. Files stay open and are watched: opening one costs ten times what reading it
//! does, and nearly none changes.

use std::{collections::HashMap, fs::File, os::unix::fs::FileExt as _, path::Path};

use nix::sys::{
    inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
    resource::{Resource, getrlimit, setrlimit},
};

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
    /// Tells of writes; `None` where the user may have no more of these: then each file is read each time.
    changes: Option<Inotify>,
    /// Whose file a watch is of.
    watched: HashMap<WatchDescriptor, u64>,
}

#[derive(Debug)]
struct Open {
    cgroup: u32,
    file: File,
    watch: Option<WatchDescriptor>,
    /// What it says, as long as it is watched and was not written to.
    limit: Option<u64>,
}

impl Limits {
    /// With as much room as this process may have descriptors, for which it asks for all it can get.
    #[must_use]
    pub fn new() -> Self {
        if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard); // what it has is asked next
        }
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        let room = descriptors.saturating_sub(OTHERS).min(MOST).try_into().unwrap_or_default();
        let changes = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        Self { room, changes, ..Self::default() }
    }

    /// Forgets what was written to since; to be called before each snapshot.
    pub fn refresh(&mut self) {
        let Some(changes) = &self.changes else { return };
        while let Ok(events) = changes.read_events() {
            for event in events {
                // A queue that ran over has no watch: anything may have changed.
                let written = self.watched.get(&event.wd);
                if let Some(open) = written.and_then(|account| self.open.get_mut(account)) {
                    open.limit = None;
                } else if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    self.open.values_mut().for_each(|open| open.limit = None);
                }
            }
        }
    }

    /// `pids.max` of the cgroup at `path`, an account's own; 0 stands for `max`, as in cAdvisor's
    /// `container_threads_max`. `cgroup` tells one of that path from the next.
    ///
    /// `mount`: where the pids controller is; on a hybrid host that is the v1 hierarchy, with the same paths. `None`: the
    /// root, a cgroup without the controller, a cgroup that is gone.
    pub fn pids_max(&mut self, mount: &Path, account: u64, cgroup: u32, path: &[u8]) -> Option<u64> {
        if let Some(open) = self.open.get_mut(&account).filter(|open| open.cgroup == cgroup) {
            if open.limit.is_some() {
                return open.limit;
            }
            if let Some(limit) = read(&open.file) {
                open.limit = open.watch.map(|_| limit);
                return Some(limit);
            }
        }
        self.close(account);
        let place = directory(mount, path).join("pids.max");
        let file = File::open(&place).ok()?;
        if self.open.len() >= self.room {
            return read(&file);
        }
        // Watched before it is read: no write is missed.
        let watch = self.changes.as_ref().and_then(|it| it.add_watch(&place, AddWatchFlags::IN_MODIFY).ok());
        self.watched.extend(watch.map(|watch| (watch, account)));
        let limit = read(&file);
        self.open.insert(account, Open { cgroup, file, watch, limit: limit.filter(|_| watch.is_some()) });
        limit
    }

    /// Closes the files of all other accounts.
    pub fn keep(&mut self, accounts: impl Fn(u64) -> bool) {
        let gone: Vec<u64> = self.open.keys().copied().filter(|account| !accounts(*account)).collect();
        for account in gone {
            self.close(account);
        }
    }

    fn close(&mut self, account: u64) {
        let watch = self.open.remove(&account).and_then(|open| open.watch);
        if let Some((changes, watch)) = self.changes.as_ref().zip(watch) {
            self.watched.remove(&watch);
            let _gone_with_its_file = changes.rm_watch(watch);
        }
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
    fn what_is_told_is_what_the_file_says_and_of_the_cgroup_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            fs::create_dir_all(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("pids.max"), text).unwrap();
        };
        put("a", "max\n");
        put("b", "7\n");
        for mut limits in [Limits::new(), Limits { room: 10, ..Limits::default() }] {
            put("a", "max\n");
            assert_eq!(limits.pids_max(dir.path(), 1, 3, b"/a"), Some(0));
            put("a", "64\n");
            limits.refresh();
            assert_eq!(limits.pids_max(dir.path(), 1, 3, b"/a"), Some(64));
            limits.refresh();
            assert_eq!(limits.pids_max(dir.path(), 1, 3, b"/a"), Some(64));
            fs::remove_dir_all(dir.path().join("a")).unwrap();
            put("a", "65\n");
            assert_eq!(limits.pids_max(dir.path(), 1, 4, b"/a"), Some(65), "another cgroup of that path");
            assert_eq!(limits.pids_max(dir.path(), 1, 5, b"/b"), Some(7), "the account moved on");
            assert_eq!(limits.pids_max(dir.path(), 2, 6, b"/none"), None);
            assert_eq!((limits.open.len(), limits.watched.len()), (1, limits.changes.iter().count()));
            limits.keep(|_| false);
            assert!(limits.open.is_empty() && limits.watched.is_empty());
        }
    }

    #[test]
    fn without_room_limits_are_read_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pids.max"), "9\n").unwrap();
        let mut limits = Limits::default();
        assert_eq!(limits.pids_max(dir.path(), 1, 1, b"/"), Some(9));
        assert!(limits.open.is_empty());
    }
}
