//! What the environment says about this run.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};

/// `full` divided by `PLIMSOLL_SCALE`, at least 1.
#[must_use]
pub fn scaled(full: u64) -> u64 {
    let scale = env::var("PLIMSOLL_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    (full / scale).max(1)
}

/// When this run began, in seconds since 1970 (`PLIMSOLL_SINCE`); 0 where nobody says.
pub fn since() -> Result<u64> {
    let text = env::var("PLIMSOLL_SINCE").unwrap_or_else(|_| "0".into());
    text.parse().with_context(|| format!("PLIMSOLL_SINCE is {text:?}, not a number of seconds"))
}

/// The agent under test.
pub fn agent() -> Result<PathBuf> {
    program("PLIMSOLL_BIN", "plimsoll")
}

/// An agent with the layout after this one.
pub fn next_agent() -> Result<PathBuf> {
    env::var_os("PLIMSOLL_NEXT_BIN")
        .map(PathBuf::from)
        .context("PLIMSOLL_NEXT_BIN names no agent of the next layout")
}

/// The load program.
pub fn load() -> Result<PathBuf> {
    program("PLIMSOLL_LOAD", "plimsoll-load")
}

/// Kernel programs of another build, if the environment names some.
#[must_use]
pub fn other_object() -> Option<PathBuf> {
    env::var_os("PLIMSOLL_OTHER_OBJECT").map(PathBuf::from)
}

/// The running kernel's release, `6.1.0-49-cloud-amd64`.
#[must_use]
pub fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// Whether the running kernel is that version or a later one.
#[must_use]
pub fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = kernel();
    let mut parts = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(major), Some(minor))
}

/// Whether this kernel has tcx links: 6.6 is the first.
#[must_use]
pub fn has_tcx() -> bool {
    kernel_is_at_least(6, 6)
}

/// The program that `variable` names, else the one that cargo built beside this test.
fn program(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let this = env::current_exe().context("find this test's own file")?;
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    beside.with_context(|| format!("no {name} beside {}: build it or set {variable}", this.display()))
}

#[cfg(test)]
mod tests {
    use super::{kernel, scaled};

    #[test]
    fn sizes_never_become_nothing() {
        assert!(scaled(1) == 1 && scaled(100_000) >= 1);
    }

    #[test]
    fn the_kernel_has_a_release() {
        assert!(kernel().starts_with(char::is_numeric));
    }
}
