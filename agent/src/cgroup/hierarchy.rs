//! Which cgroup hierarchies are mounted, and where: cgroup2, and v1's pids.

use std::{
    ffi::OsString,
    fmt, fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use super::CgroupError;

/// What kind of hierarchy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The unified hierarchy.
    Cgroup2,
    /// The v1 hierarchy that has the pids controller.
    PidsV1,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cgroup2 => "cgroup2",
            Self::PidsV1 => "v1 pids",
        })
    }
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// The kernel's number of it, as in `/proc/cgroups`; 0 is cgroup2.
    pub hierarchy_id: u32,
}

/// How this host uses cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// cgroup2 alone.
    Unified,
    /// cgroup2 beside v1 hierarchies.
    Hybrid,
    /// v1 alone, or nothing.
    Legacy,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unified => "unified",
            Self::Hybrid => "hybrid",
            Self::Legacy => "legacy",
        })
    }
}

/// The hierarchies of this host that tasks can be counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchies {
    /// The unified hierarchy, if mounted.
    pub cgroup2: Option<Hierarchy>,
    /// The v1 hierarchy of the pids controller, if mounted.
    pub pids_v1: Option<Hierarchy>,
    /// How the host uses them.
    pub mode: Mode,
}

impl Hierarchies {
    /// Reads what is mounted in the agent's own mount namespace.
    ///
    /// # Errors
    /// `/proc` is not there.
    pub fn read() -> Result<Self, CgroupError> {
        let [mountinfo, cgroups] =
            ["/proc/self/mountinfo", "/proc/cgroups"].map(|path| match fs::read(path) {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                // A kernel without v1 has no such list.
                Err(error) if path == "/proc/cgroups" && error.kind() == io::ErrorKind::NotFound => {
                    Ok(String::new())
                }
                Err(source) => Err(CgroupError::Read { path, source }),
            });
        Ok(Self::detect(&mountinfo?, &cgroups?))
    }

    /// Finds them in the text of `/proc/self/mountinfo` and `/proc/cgroups`.
    #[must_use]
    pub fn detect(mountinfo: &str, proc_cgroups: &str) -> Self {
        let mounts: Vec<Mount> = mountinfo.lines().filter_map(parse_mount).collect();
        let is_v1 = |mount: &Mount| mount.fstype == "cgroup";
        let cgroup2 = pick(&mounts, |mount| mount.fstype == "cgroup2").map(|mount| Hierarchy {
            mount,
            kind: Kind::Cgroup2,
            hierarchy_id: 0,
        });
        let pids_v1 = pick(&mounts, |mount| is_v1(mount) && mount.has("pids"))
            .zip(hierarchy_of("pids", proc_cgroups))
            .map(|(mount, hierarchy_id)| Hierarchy { mount, kind: Kind::PidsV1, hierarchy_id });
        let mode = match (&cgroup2, mounts.iter().any(is_v1)) {
            (Some(_), false) => Mode::Unified,
            (Some(_), true) => Mode::Hybrid,
            (None, _) => Mode::Legacy,
        };
        Self { cgroup2, pids_v1, mode }
    }

    /// The hierarchy that has the pids controller: it is in one only.
    #[must_use]
    pub fn pids(&self) -> Option<&Hierarchy> {
        self.pids_v1.as_ref().or(self.cgroup2.as_ref())
    }

    /// The mount where `pids.max` lies.
    #[must_use]
    pub fn pids_mount(&self) -> Option<&Path> {
        self.pids().map(|hierarchy| hierarchy.mount.as_path())
    }
}

/// Where v1's freezer is mounted; `None` where it is not: cgroup2 needs none.
///
/// # Errors
/// `/proc` is not there.
pub fn freezer_mount() -> Result<Option<PathBuf>, CgroupError> {
    let mountinfo = mountinfo()?;
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(parse_mount).collect();
    Ok(pick(&mounts, |mount| mount.fstype == "cgroup" && mount.has("freezer")))
}

/// Whether a mount of cgroup2 has the option `pids_localevents`, by which hits are counted as before 6.12.
pub(super) fn has_local_events(point: &Path) -> bool {
    let mountinfo = mountinfo().unwrap_or_default();
    let mut mounts = mountinfo.lines().filter_map(parse_mount);
    mounts.any(|mount| mount.point == point && mount.has("pids_localevents"))
}

fn mountinfo() -> Result<String, CgroupError> {
    let path = "/proc/self/mountinfo";
    let text = fs::read(path).map_err(|source| CgroupError::Read { path, source })?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A line of mountinfo (proc(5)), as far as it matters.
struct Mount<'a> {
    /// What of the filesystem is mounted: `/` unless it is a bind mount of a part.
    root: &'a str,
    point: PathBuf,
    fstype: &'a str,
    options: &'a str,
}

impl Mount<'_> {
    fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|found| found == option)
    }
}

/// `36 23 0:33 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids`
fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (mount.next()?, unescape(mount.next()?));
    let mut filesystem = filesystem.split(' ');
    let (fstype, options) = (filesystem.next()?, filesystem.nth(1)?);
    Some(Mount { root, point, fstype, options })
}

/// The first whole mount, else the first part, that no later mount at the same place hides.
fn pick(mounts: &[Mount], wanted: impl Fn(&Mount) -> bool) -> Option<PathBuf> {
    let visible = |position: usize, mount: &Mount| {
        !mounts.iter().skip(position + 1).any(|later| later.point == mount.point)
    };
    let mut found: Vec<&Mount> = mounts
        .iter()
        .enumerate()
        .filter(|(position, mount)| wanted(mount) && visible(*position, mount))
        .map(|(_, mount)| mount)
        .collect();
    found.sort_by_key(|mount| mount.root != "/");
    found.first().map(|mount| mount.point.clone())
}

/// Undoes the `\040` of spaces, tabs, newlines and backslashes.
fn unescape(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or("").as_bytes().to_vec();
    for part in parts {
        let octal = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let rest = if octal.is_some() { part.get(3..).unwrap_or("") } else { part };
        bytes.push(octal.unwrap_or(b'\\'));
        bytes.extend_from_slice(rest.as_bytes());
    }
    OsString::from_vec(bytes).into()
}

/// The v1 hierarchy that a controller is in; `None` while it is in cgroup2.
fn hierarchy_of(controller: &str, proc_cgroups: &str) -> Option<u32> {
    proc_cgroups.lines().find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let id = (columns.next()? == controller).then(|| columns.next()?.parse().ok())??;
        (id != 0).then_some(id)
    })
}

#[cfg(test)]
mod tests;
