//! Lists all cgroups of a hierarchy.

use std::{
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirEntryExt, MetadataExt},
    },
    path::Path,
};

use super::directory;

/// Cgroups listed at most: whoever may make cgroups does not decide how much memory the agent uses.
const MAX_CGROUPS: usize = 200_000;
/// Bytes of all their paths at most.
const MAX_PATH_BYTES: usize = 64 << 20;

/// The cgroups of one hierarchy at about one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// (cgroup id, path from the hierarchy's root), the root `/` first, parents before children.
    pub cgroups: Vec<(u64, Vec<u8>)>,
    /// Whether all were listed: false past 200,000 cgroups or 64 MiB of paths, or where a directory was refused.
    pub complete: bool,
}

/// Lists the cgroups below a mount. Those that vanish meanwhile are left out, those that appear may be.
///
/// Level by level, so that a deep tree of somebody's never displaces the cgroups near the root.
#[must_use]
pub fn walk(mount: &Path) -> Walk {
    walk_within(mount, MAX_CGROUPS, MAX_PATH_BYTES)
}

fn walk_within(mount: &Path, max_cgroups: usize, max_path_bytes: usize) -> Walk {
    let mut found = Walk { cgroups: Vec::new(), complete: true };
    match fs::metadata(mount) {
        Ok(root) => found.cgroups.push((root.ino(), b"/".to_vec())),
        Err(_) => found.complete = false,
    }
    let (mut next, mut path_bytes) = (0, 0);
    while let Some((_, parent)) = found.cgroups.get(next) {
        let children = match children(mount, parent) {
            Ok(children) => children,
            Err(error) => {
                found.complete &= is_gone(&error);
                Vec::new()
            }
        };
        path_bytes += children.iter().map(|(_, path)| path.len()).sum::<usize>();
        found.cgroups.extend(children);
        if found.cgroups.len() > max_cgroups || path_bytes > max_path_bytes {
            found.cgroups.truncate(max_cgroups);
            found.complete = false;
            break;
        }
        next += 1;
    }
    found
}

fn children(mount: &Path, parent: &[u8]) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let directory = directory(mount, parent);
    // kernfs keeps 2 + the number of subdirectories here (fs/kernfs/inode.c). Most cgroups have none, and reading
    // their tens of files costs several times this look.
    if fs::symlink_metadata(&directory)?.nlink() == 2 {
        return Ok(Vec::new());
    }
    let mut children = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // The type comes with the entry, as does the inode number: nothing is looked up, no link followed.
        if entry.file_type()?.is_dir() {
            let above: &[u8] = if parent == b"/" { b"" } else { parent };
            children.push((entry.ino(), [above, b"/", entry.file_name().as_bytes()].concat()));
        }
    }
    Ok(children)
}

/// A cgroup removed while it is read: the second is what kernfs says of an open directory.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        fs,
        os::unix::{ffi::OsStrExt, fs::MetadataExt, fs::symlink},
        path::Path,
    };

    use super::{walk, walk_within};

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in [&b"a/b/c"[..], b"a/\xff", b"d"] {
            fs::create_dir_all(dir.path().join(OsStr::from_bytes(path))).unwrap();
        }
        fs::write(dir.path().join("cgroup.procs"), "").unwrap();
        symlink("/proc", dir.path().join("a/link")).unwrap();
        dir
    }

    #[test]
    fn every_directory_is_listed_once_with_its_inode() {
        let dir = tree();
        let found = walk(dir.path());
        assert!(found.complete);
        let mut paths: Vec<&[u8]> = found.cgroups.iter().map(|(_, path)| path.as_slice()).collect();
        assert_eq!(paths.first(), Some(&&b"/"[..]));
        paths.sort_unstable();
        assert_eq!(paths, [&b"/"[..], b"/a", b"/a/b", b"/a/b/c", b"/a/\xff", b"/d"]);
        for (id, path) in &found.cgroups {
            let directory = crate::cgroup::directory(dir.path(), path);
            assert_eq!(fs::metadata(directory).unwrap().ino(), *id);
        }
    }

    #[test]
    fn bounds_cut_the_deepest_and_are_told() {
        let dir = tree();
        let found = walk_within(dir.path(), 4, 1000);
        assert!(!found.complete);
        assert_eq!(found.cgroups.len(), 4);
        assert!(!found.cgroups.iter().any(|(_, path)| path == b"/a/b/c"));
        assert!(!walk_within(dir.path(), 1000, 8).complete);
        assert!(walk_within(dir.path(), 6, 1000).complete);
    }

    #[test]
    fn a_mount_that_is_not_there_is_an_incomplete_walk() {
        let found = walk(Path::new("/nonexistent"));
        assert!(found.cgroups.is_empty() && !found.complete);
    }
}
