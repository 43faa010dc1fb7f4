//! Remembers which set-up steps are done: a file beside the result holds what it was made from.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;

/// Makes `result`, called `name`, unless it is there and was made from the same `key`.
pub fn cached(name: &str, result: &Path, key: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = stamp_of(result);
    if result.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == key) {
        return Ok(());
    }
    if stamp.exists() {
        fs::remove_file(&stamp).with_context(|| format!("remove {}", stamp.display()))?;
    }
    shell::step(name, make).with_context(|| format!("make {}", result.display()))?;
    fs::write(&stamp, key).with_context(|| format!("write {}", stamp.display()))
}

/// A line that changes when one of the files does: path, size and time of change of each.
pub fn of_files<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<String> {
    let mut key = String::new();
    for file in files {
        let found = fs::metadata(file).with_context(|| format!("look at {}", file.display()))?;
        writeln!(key, "{} {} {}", file.display(), found.size(), found.mtime())?;
    }
    Ok(key)
}

fn stamp_of(result: &Path) -> PathBuf {
    let mut name = result.as_os_str().to_owned();
    name.push(".stamp");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_step_is_done_again_only_when_its_key_changes_or_its_result_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let result = folder.path().join("image");
        let made = Cell::new(0);
        let step = |key| {
            cached("image", &result, key, || {
                made.set(made.get() + 1);
                Ok(fs::write(&result, key)?)
            })
        };
        for (key, times) in [("a", 1), ("a", 1), ("b", 2), ("a", 3)] {
            step(key).unwrap();
            assert_eq!(made.get(), times, "{key}");
        }
        fs::remove_file(&result).unwrap();
        step("a").unwrap();
        assert_eq!(made.get(), 4);
    }

    #[test]
    fn a_step_that_ended_half_way_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let result = folder.path().join("image");
        cached("image", &result, "a", || Ok(fs::write(&result, "old")?)).unwrap();
        let half = || {
            fs::write(&result, "half")?;
            anyhow::bail!("disk full")
        };
        cached("image", &result, "b", half).unwrap_err();
        cached("image", &result, "a", || Ok(fs::write(&result, "new")?)).unwrap();
        assert_eq!(fs::read_to_string(&result).unwrap(), "new");
    }
}
