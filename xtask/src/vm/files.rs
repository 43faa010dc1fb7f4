//! Puts files where they are wanted, with the folders above them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

/// Copies a file, following links.
pub fn copy(file: &Path, target: &Path) -> Result<()> {
    create_parent(target)?;
    fs::copy(file, target).with_context(|| format!("copy {} to {}", file.display(), target.display()))?;
    Ok(())
}

/// Links to a file.
pub fn link(file: &Path, target: &Path) -> Result<()> {
    create_parent(target)?;
    symlink(file, target).with_context(|| format!("link {} to {}", target.display(), file.display()))
}

/// Writes a file.
pub fn write(target: &Path, text: &str) -> Result<()> {
    create_parent(target)?;
    fs::write(target, text).with_context(|| format!("write {}", target.display()))
}

/// Makes the folder that a file is to be in.
pub fn create_parent(file: &Path) -> Result<()> {
    let folder = file.parent().with_context(|| format!("{} has no folder", file.display()))?;
    create_folder(folder)
}

/// Makes a folder and those above it.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}

/// Makes a folder, empty even where there was one.
pub fn create_empty_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    create_folder(folder)
}
