//! Which shared libraries programs need, as the host's loader finds them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::need;

/// The libraries of a program or library, the loader included; none for what is linked statically or is no ELF file.
pub fn libraries(file: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = need::program("ldd")?.arg(file).output().context("run ldd")?;
    // ldd ends with 1 for what needs no library, and says so on either stream.
    if !output.status.success() {
        return Ok(BTreeSet::new());
    }
    let listed = parse(&String::from_utf8_lossy(&output.stdout))
        .with_context(|| format!("libraries of {}", file.display()))?;
    listed.iter().map(|library| real_folder(library)).collect()
}

/// Paths in what ldd prints: `name => path (address)` or `path (address)`.
fn parse(listing: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for line in listing.lines() {
        if line.contains("not found") {
            bail!("the loader does not find {}", line.trim());
        }
        paths.extend(line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from));
    }
    Ok(paths)
}

/// The same file by its folder's real name: `/lib64` is a link, and a link must not become a folder in the guest.
fn real_folder(library: &Path) -> Result<PathBuf> {
    let (Some(folder), Some(name)) = (library.parent(), library.file_name()) else {
        bail!("{} is no library", library.display());
    };
    let folder = folder.canonicalize().with_context(|| format!("look at {}", folder.display()))?;
    Ok(folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_the_loaders_listing() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let paths = parse(listing).unwrap();
        assert_eq!(
            paths,
            [Path::new("/lib/x86_64-linux-gnu/libc.so.6"), Path::new("/lib64/ld-linux-x86-64.so.2")]
        );
        assert!(parse("\tstatically linked\n").unwrap().is_empty());
        assert!(parse("\tlibx.so => not found\n").is_err());
    }
}
