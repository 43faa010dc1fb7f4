//! The initrd of one kernel: busybox, the modules the guest needs, and the script that mounts the root disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::kernel::Kernel;
use super::{closure, files, need, stamp};
use crate::shell;

const INIT: &str = include_str!("guest/initrd.sh");

/// Modules of the guest: its disks and console, and what containers need. The rest of a kernel's modules stays out.
const MODULES: [&str; 18] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "ext4",
    "overlay",
    "loop",
    "veth",
    "bridge",
    "dummy",
    "macvlan",
    "ipvlan",
    "ifb",
    "sch_tbf",
    "sch_htb",
    "sch_ingress",
    "cls_bpf",
    "act_mirred",
    "sch_fq_codel",
];

/// The initrd for a kernel, made where it is not there yet.
pub fn initrd(kernel: &Kernel, artefacts: &Path) -> Result<PathBuf> {
    let result = artefacts.join(format!("initrd-{}.cpio", kernel.version));
    let busybox = need::locate("busybox")?;
    let key = format!("{}{}\n{MODULES:?}\n{INIT}", stamp::of_files([busybox.as_path()])?, kernel.release);
    stamp::cached(&format!("initrd for {}", kernel.release), &result, &key, || {
        make(kernel, &busybox, &result)
    })?;
    Ok(result)
}

fn make(kernel: &Kernel, busybox: &Path, result: &Path) -> Result<()> {
    ensure!(
        closure::libraries(busybox)?.is_empty(),
        "{} needs libraries: install the package busybox-static",
        busybox.display()
    );
    let stage = tempfile::tempdir().context("make a temporary folder")?;
    let root = stage.path();
    for folder in ["proc", "sys", "dev", "newroot"] {
        files::create_folder(&root.join(folder))?;
    }
    files::copy(busybox, &root.join("bin/busybox"))?;
    let init = root.join("init");
    files::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))
        .context("make the initrd's init executable")?;
    add_modules(kernel, root)?;
    pack(root, result)
}

fn add_modules(kernel: &Kernel, root: &Path) -> Result<()> {
    let source = kernel.folder.join("lib/modules").join(&kernel.release);
    let target = root.join("lib/modules").join(&kernel.release);
    for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        files::copy(&source.join(name), &target.join(name))?;
    }
    let mut modules = BTreeSet::new();
    for module in MODULES {
        let mut modprobe = need::program("modprobe")?;
        modprobe.arg("--dirname").arg(&kernel.folder).arg("--set-version").arg(&kernel.release);
        let told = shell::output(modprobe.arg("--show-depends").arg(module))?;
        modules.extend(module_files(&told));
    }
    for file in modules {
        let below = file.strip_prefix(&source).with_context(|| format!("module {}", file.display()))?;
        add_module(&file, &target.join(below))?;
    }
    shell::output(need::program("depmod")?.arg("--basedir").arg(root).arg(&kernel.release))?;
    Ok(())
}

/// Files in what `modprobe --show-depends` prints: `insmod FILE [options]`, or `builtin NAME` for what needs none.
fn module_files(told: &str) -> impl Iterator<Item = PathBuf> {
    let lines = told.lines().filter_map(|line| line.strip_prefix("insmod "));
    lines.filter_map(|rest| rest.split_whitespace().next()).map(PathBuf::from)
}

/// Copies one module, unpacked: busybox loads plain ones only.
fn add_module(file: &Path, target: &Path) -> Result<()> {
    if file.extension().is_none_or(|end| end != "xz") {
        return files::copy(file, target);
    }
    let plain = target.with_extension("");
    files::create_parent(&plain)?;
    let unpacked = File::create(&plain).with_context(|| format!("create {}", plain.display()))?;
    let status = need::program("xz")?.arg("--decompress").arg("--stdout").arg(file).stdout(unpacked).status();
    if !status.context("run xz")?.success() {
        bail!("unpack the module {}", file.display());
    }
    Ok(())
}

/// Packs a folder as the kernel wants it, not compressed: unpacking costs more than reading in an emulated machine.
fn pack(root: &Path, result: &Path) -> Result<()> {
    let archive = File::create(result).with_context(|| format!("create {}", result.display()))?;
    let mut shell = need::program("sh")?;
    shell.arg("-c").arg("find . | cpio --create --format=newc --owner=0:0 --quiet");
    let ended = shell.current_dir(root).stdout(archive).status().context("run cpio")?;
    ensure!(ended.success(), "cpio: {ended}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_module_needs_no_file() {
        let told = "builtin virtio_pci\ninsmod /k/lib/modules/6.12/kernel/fs/jbd2/jbd2.ko.xz \n";
        let files: Vec<_> = module_files(told).collect();
        assert_eq!(files, [Path::new("/k/lib/modules/6.12/kernel/fs/jbd2/jbd2.ko.xz")]);
    }
}
