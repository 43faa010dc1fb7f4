//! Debian's cloud kernels: found by apt, downloaded and unpacked, never installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{files, need, stamp};
use crate::root::is_root;
use crate::shell;

/// One unpacked kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Version as it was asked for: `6.1`.
    pub version: String,
    /// Name of the build: `6.1.0-56-cloud-amd64`.
    pub release: String,
    /// Folder with `boot/` and `lib/modules/`.
    pub folder: PathBuf,
}

impl Kernel {
    /// The kernel of that version below `artefacts`, downloaded where it is not there yet.
    pub fn fetch(version: &str, artefacts: &Path) -> Result<Self> {
        ensure!(
            !version.is_empty() && version.chars().all(|letter| letter.is_ascii_digit() || letter == '.'),
            "kernel version {version:?}: write it as 6.1 or 6.12"
        );
        let folder = artefacts.join("kernels").join(version);
        stamp::cached(&format!("kernel {version}"), &folder, version, || unpack(version, &folder))?;
        let release = only_name_in(&folder.join("lib/modules"))?;
        Ok(Self { version: version.to_owned(), release, folder })
    }

    /// The compressed kernel image.
    pub fn image(&self) -> PathBuf {
        self.folder.join("boot").join(format!("vmlinuz-{}", self.release))
    }
}

fn unpack(version: &str, folder: &Path) -> Result<()> {
    let download = tempfile::tempdir().context("make a temporary folder")?;
    let package = match download_package(version, download.path()) {
        // Lists of packages may be absent or name a build that the archive has replaced.
        Err(_) if is_root() => {
            shell::output(need::program("apt-get")?.args(["--quiet=2", "update"]))?;
            download_package(version, download.path())?
        }
        other => other?,
    };
    files::create_empty_folder(folder)?;
    shell::output(need::program("dpkg")?.arg("--extract").arg(package).arg(folder))?;
    let release = only_name_in(&folder.join("lib/modules"))?;
    shell::output(need::program("depmod")?.arg("--basedir").arg(folder).arg(release))?;
    Ok(())
}

/// Downloads the newest kernel package of a version into an empty folder.
fn download_package(version: &str, folder: &Path) -> Result<PathBuf> {
    let package = newest_package(version)?;
    shell::output(need::program("apt-get")?.arg("download").arg(package).current_dir(folder))?;
    Ok(folder.join(only_name_in(folder)?))
}

/// The newest kernel package of a version: what one of Debian's meta packages depends on.
fn newest_package(version: &str) -> Result<String> {
    let wanted = format!("linux-image-{version}.");
    for meta in [format!("linux-image-{version}-cloud-amd64"), "linux-image-cloud-amd64".to_owned()] {
        let depends = shell::output(need::program("apt-cache")?.arg("depends").arg(&meta));
        if let Some(package) = depends.ok().as_deref().and_then(|told| dependency(told, &wanted)) {
            return Ok(package);
        }
    }
    bail!(
        "apt has no package {wanted}*-cloud-amd64: run `apt-get update` with Debian 12 and its security archive in \
         /etc/apt/sources.list.d"
    )
}

/// The package that starts with `wanted` in what `apt-cache depends` prints.
fn dependency(told: &str, wanted: &str) -> Option<String> {
    let packages = told.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    packages.into_iter().find(|package| package.starts_with(wanted)).map(str::to_owned)
}

fn only_name_in(folder: &Path) -> Result<String> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let names: Vec<_> =
        entries.collect::<Result<_, _>>().with_context(|| format!("read {}", folder.display()))?;
    let [only] = names.as_slice() else {
        bail!("{} holds {} entries, not one: remove it and start again", folder.display(), names.len());
    };
    Ok(only.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meta_package_names_the_newest_kernel_of_its_version_only() {
        let told = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
        let newest = dependency(told, "linux-image-6.1.");
        assert_eq!(newest.as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(dependency(told, "linux-image-6.12."), None);
    }
}
