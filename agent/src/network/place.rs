//! Which network namespace a process is in, from /proc alone: no right over the process is needed.

use std::{fs, io, os::unix::fs::MetadataExt as _};

/// What tells one network namespace from another while both exist: the kernel makes this file once per namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(u64);

impl Namespace {
    /// That of a process.
    ///
    /// # Errors
    /// The process is over, or /proc hides it.
    pub fn of(pid: u32) -> io::Result<Self> {
        fs::metadata(format!("/proc/{pid}/net/dev")).map(|file| Self(file.ino()))
    }

    /// Some namespace, for tests.
    #[cfg(test)]
    pub(crate) const fn numbered(number: u64) -> Self {
        Self(number)
    }

    /// That of this process.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }
}

/// Names of the interfaces in the namespace of a process, without the loopback interface.
///
/// # Errors
/// The process is over, or /proc hides it.
pub fn interfaces(pid: u32) -> io::Result<Vec<String>> {
    Ok(parse(&fs::read_to_string(format!("/proc/{pid}/net/dev"))?))
}

/// Lines `  eth0: 1 2 ...` below two of headings.
fn parse(text: &str) -> Vec<String> {
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).filter(|name| name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use super::{Namespace, parse};

    #[test]
    fn names_stand_before_the_colon() {
        let text = "Inter-|   Receive\n face |bytes\n    lo: 1 2\n  eth0:12 3\nmacvlan0: 0 0\n";
        assert_eq!(parse(text), ["eth0", "macvlan0"]);
        assert!(parse("").is_empty());
    }

    #[test]
    fn a_process_is_where_it_is() {
        assert_eq!(Namespace::own().unwrap(), Namespace::of(std::process::id()).unwrap());
    }
}
