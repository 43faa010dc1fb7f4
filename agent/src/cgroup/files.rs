//! Reads a cgroup's files and a process's cgroup: parsing apart, pure.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::{Hierarchy, Kind, Max, directory};

/// Processes in the cgroup itself, without its sub-cgroups: the lines of `cgroup.procs`.
///
/// # Errors
/// The cgroup is gone, or it is threaded (`EOPNOTSUPP`): its processes are counted in the domain above.
pub fn processes(hierarchy: &Hierarchy, path: &[u8]) -> io::Result<u64> {
    count_lines(&directory(&hierarchy.mount, path).join("cgroup.procs"))
}

/// Live threads in the cgroup itself, without its sub-cgroups: the lines of `cgroup.threads`, in v1 of `tasks`.
///
/// # Errors
/// The cgroup is gone.
pub fn threads(hierarchy: &Hierarchy, path: &[u8]) -> io::Result<u64> {
    let file = match hierarchy.kind {
        Kind::Cgroup2 => "cgroup.threads",
        Kind::PidsV1 => "tasks",
    };
    count_lines(&directory(&hierarchy.mount, path).join(file))
}

/// The id of the cgroup with this directory: its inode number, as the kernel programs see it.
///
/// # Errors
/// The cgroup is gone.
pub fn id_of(directory: &Path) -> io::Result<u64> {
    fs::symlink_metadata(directory).map(|metadata| metadata.ino())
}

/// Where a process is in a hierarchy; `None` if the kernel does not list that hierarchy.
///
/// A process whose cgroup was removed under it (a zombie) is still told by the path that the cgroup had.
///
/// # Errors
/// The process is gone.
pub fn path_of_pid(pid: u32, hierarchy: &Hierarchy) -> io::Result<Option<Vec<u8>>> {
    let text = fs::read(format!("/proc/{pid}/cgroup"))?;
    let path = parse_process_cgroup(&text, hierarchy.kind).map(|path| {
        // A cgroup may be named like this, too: then it is there.
        let stem = path.strip_suffix(b" (deleted)").filter(|_| !directory(&hierarchy.mount, path).exists());
        stem.unwrap_or(path).to_vec()
    });
    Ok(path)
}

/// A process of the cgroup with this directory, not of one below, that is visible in our pid namespace.
#[must_use]
pub fn first_pid(directory: &Path) -> Option<u32> {
    let lines = BufReader::new(File::open(directory.join("cgroup.procs")).ok()?).lines();
    lines.map_while(Result::ok).find_map(|line| line.parse().ok().filter(|pid| *pid != 0))
}

/// Lines of a file, without holding it in memory: a cgroup may have a million threads.
fn count_lines(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut chunk = [0; 16 << 10];
    let mut lines = 0;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(lines),
            len => lines += newlines(chunk.get(..len).unwrap_or_default()),
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// The number in `pids.max`, 0 for `max`.
pub(super) fn parse_pids_max(text: &[u8]) -> Option<u64> {
    Max::parse(text).map(|max| match max {
        Max::Number(number) => number,
        Max::None => 0,
    })
}

/// The path in the line of a hierarchy: `0::/path`, in v1 `8:pids:/path`. It may end in ` (deleted)`.
fn parse_process_cgroup(text: &[u8], kind: Kind) -> Option<&[u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_wanted = match kind {
            Kind::Cgroup2 => id == b"0" && controllers.is_empty(),
            Kind::PidsV1 => controllers.split(|byte| *byte == b',').any(|controller| controller == b"pids"),
        };
        is_wanted.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{count_lines, first_pid, id_of, parse_pids_max, parse_process_cgroup, path_of_pid};
    use crate::cgroup::{Hierarchies, Kind};

    #[test]
    fn lines_are_counted_over_the_edges_of_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cgroup.procs");
        for count in [0, 1, 2, 100_000] {
            fs::write(&file, "12345\n".repeat(count)).unwrap();
            assert_eq!(count_lines(&file).unwrap(), u64::try_from(count).unwrap());
        }
        assert!(count_lines(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn pids_max_is_a_number_or_max() {
        let rows: [(&[u8], Option<u64>); 6] = [
            (b"max\n", Some(0)),
            (b"4194304\n", Some(4_194_304)),
            (b"", None),
            (b"-1\n", None),
            (b"maximum", None),
            (b"\xff", None),
        ];
        for (text, max) in rows {
            assert_eq!(parse_pids_max(text), max);
        }
    }

    #[test]
    fn a_processs_cgroup_is_found_in_either_hierarchy() {
        let text = b"9:name=systemd:/s\n8:cpu,pids:/docker/a:b\n7:net_cls,pidsx:/no\n1:cpu:/c\n0::/u\xff (deleted)\n";
        assert_eq!(parse_process_cgroup(text, Kind::Cgroup2), Some(&b"/u\xff (deleted)"[..]));
        assert_eq!(parse_process_cgroup(text, Kind::PidsV1), Some(&b"/docker/a:b"[..]));
        for text in [&b""[..], b"\n::\n", b"0:\n", b"10::/x\n"] {
            assert_eq!(parse_process_cgroup(text, Kind::Cgroup2), None);
        }
    }

    #[test]
    fn a_cgroup_lists_the_first_process_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(first_pid(dir.path()), None);
        fs::write(dir.path().join("cgroup.procs"), "0\n0\n17\n18\n").unwrap();
        assert_eq!(first_pid(dir.path()), Some(17));
    }

    #[test]
    fn our_own_cgroup_is_there_and_has_us() {
        let hierarchies = Hierarchies::read().unwrap();
        let mut compared = 0;
        for hierarchy in hierarchies.cgroup2.iter().chain(&hierarchies.pids_v1) {
            let path = path_of_pid(std::process::id(), hierarchy).unwrap().unwrap();
            assert!(id_of(&crate::cgroup::directory(&hierarchy.mount, &path)).unwrap() > 0);
            assert!(super::processes(hierarchy, &path).unwrap() > 0);
            let threads = super::threads(hierarchy, &path).unwrap();
            assert!(threads > 0);
            compared += 1;
        }
        assert!(compared > 0);
    }
}
