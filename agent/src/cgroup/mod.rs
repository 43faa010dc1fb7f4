//! Finds the cgroup hierarchies of this host, walks them and reads their files; limits, freezes and kills the tasks of a cgroup
//! when it is told to. Knows no runtime, decides nothing.

#![forbid(unsafe_code)]

pub mod choose;
pub mod files;
pub mod freezer;
pub mod hierarchy;
pub mod kill;
#[cfg(test)]
mod lab;
pub mod limits;
pub mod max;
mod opened;
pub mod tasks;
pub mod walk;
pub mod watch;

use std::{
    ffi::OsStr,
    fmt::Write as _,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

pub use choose::{Wish, choose, container_outside_cgroup2};
pub use files::{first_pid, id_of, path_of_pid, processes, threads};
pub use freezer::{Freezer, Frozen};
pub use hierarchy::{Hierarchies, Hierarchy, Kind, Mode, freezer_mount};
pub use kill::{KilledBy, Newest};
pub use limits::Limits;
pub use max::Max;
pub use opened::TaskError;
pub use tasks::{Counting, Effective, Hits, Tasks};
pub use walk::{Walk, walk};
pub use watch::Watch;

/// Why there is no hierarchy to count in.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The kernel's own list could not be read.
    #[error("read {path}: is /proc mounted?")]
    Read {
        /// The file.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Neither cgroup2 nor the v1 pids hierarchy.
    #[error("no cgroup hierarchy is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup")]
    NoneMounted,
    /// Asked for, and not there.
    #[error("no {0} hierarchy is mounted; leave --hierarchy at auto, or mount it")]
    NotMounted(Kind),
}

/// The directory of a cgroup below a hierarchy's mount; `path` begins with `/`.
#[must_use]
pub fn directory(mount: &Path, path: &[u8]) -> PathBuf {
    let relative = path.iter().position(|byte| *byte != b'/').and_then(|start| path.get(start..));
    relative.map_or_else(|| mount.to_owned(), |relative| mount.join(OsStr::from_bytes(relative)))
}

/// A cgroup's path as text, different for different paths. Bytes that are not UTF-8 become `\xNN` in capitals.
///
/// A backslash stays, as systemd's `\x2d` shows, but where it would read like one of ours (`\x80` to `\xFF`, `\x5C`)
/// it is written `\x5C`.
#[must_use]
pub fn printable(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for (position, part) in chunk.valid().split('\\').enumerate() {
            if position > 0 {
                text.push_str(if reads_as_escape(part) { r"\x5C" } else { r"\" });
            }
            text.push_str(part);
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, r"\x{byte:02X}");
        }
    }
    text
}

/// Whether a backslash followed by `rest` looks like what [`printable`] writes.
fn reads_as_escape(rest: &str) -> bool {
    matches!(
        rest.as_bytes(),
        [b'x', b'5', b'C', ..] | [b'x', b'8' | b'9' | b'A'..=b'F', b'0'..=b'9' | b'A'..=b'F', ..]
    )
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        path::Path,
    };

    use super::{directory, printable};

    #[test]
    fn paths_are_shown_as_they_are_but_for_bytes_that_are_no_text() {
        let rows: [(&[u8], &str); 8] = [
            (b"/docker/abc", "/docker/abc"),
            ("/größe\n\"".as_bytes(), "/größe\n\""),
            (br"/machine.slice/a\x2db\xc3.scope", r"/machine.slice/a\x2db\xc3.scope"),
            (b"/a\xffb", r"/a\xFFb"),
            (br"/a\xFFb", r"/a\x5CxFFb"),
            (br"/a\x5Cb", r"/a\x5Cx5Cb"),
            (b"/a\\\xff\\", r"/a\\xFF\"),
            (b"\xe2\x82", r"\xE2\x82"),
        ];
        for (path, text) in rows {
            assert_eq!(printable(path), text);
        }
    }

    #[test]
    fn different_paths_never_look_the_same() {
        let alphabet: [&[u8]; 11] =
            [b"\\", b"x", b"5", b"C", b"F", b"f", b"8", b"\xff", b"\x80", b"\xc3", b"\xa9"];
        let mut paths = BTreeSet::from([Vec::new()]);
        for _ in 0..5 {
            let longer: Vec<Vec<u8>> =
                paths.iter().flat_map(|path| alphabet.iter().map(|byte| [path, *byte].concat())).collect();
            paths.extend(longer);
        }
        let mut seen = BTreeMap::new();
        for path in paths {
            if let Some(other) = seen.insert(printable(&path), path.clone()) {
                panic!("{path:?} and {other:?}");
            }
        }
        assert!(seen.len() > 100_000);
    }

    #[test]
    fn directories_are_below_the_mount() {
        assert_eq!(directory(Path::new("/m"), b"/"), Path::new("/m"));
        assert_eq!(directory(Path::new("/m"), b""), Path::new("/m"));
        assert_eq!(directory(Path::new("/m"), b"/a/b"), Path::new("/m/a/b"));
        assert_eq!(directory(Path::new("/m"), b"//a"), Path::new("/m/a"));
    }
}
