//! The root disk of every guest: host programs with their libraries, busybox for the rest. Holds no kernel and no test.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{closure, files, need, stamp};
use crate::shell;

const INIT: &str = include_str!("guest/init.sh");

/// Host programs that tests in the guest use.
const PROGRAMS: [&str; 9] =
    ["busybox", "containerd", "containerd-shim-runc-v2", "docker", "dockerd", "ip", "modprobe", "runc", "tc"];

/// Host programs that go along where they are installed: tests skip what needs them.
const OPTIONAL_PROGRAMS: [&str; 3] = ["crun", "prometheus", "promtool"];

const FOLDERS: [&str; 13] = [
    "dev",
    "etc",
    "job",
    "mnt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/lib/modules",
    "usr/lib64",
    "var/lib",
];

/// One folder of programs and one of libraries, under all their names.
const LINKS: [(&str, &str); 6] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/bin"),
    ("usr/sbin", "bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("var/run", "../run"),
];

const FILES: [(&str, &str); 6] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\ndocker:x:998:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost plimsoll-vm\n"),
    ("etc/resolv.conf", "nameserver 127.0.0.1\n"),
    ("etc/machine-id", "3f0c0e5e1f8b4ad2b8a9a7a3e6d5c4b3\n"),
    ("init", INIT),
];

/// A sparse file: what a run writes goes to a snapshot that is thrown away.
const DISK_SIZE: &str = "4G";

/// The root disk, made where it is not there yet or where a program changed.
pub fn disk(artefacts: &Path) -> Result<PathBuf> {
    let result = artefacts.join("root.ext4");
    let mut programs = PROGRAMS.into_iter().map(need::locate).collect::<Result<Vec<_>>>()?;
    programs.extend(OPTIONAL_PROGRAMS.into_iter().filter_map(need::find));
    let key = format!(
        "{}{FOLDERS:?}{LINKS:?}{FILES:?}{DISK_SIZE}",
        stamp::of_files(programs.iter().map(PathBuf::as_path))?
    );
    stamp::cached("root disk of the guests", &result, &key, || make(&programs, &result))?;
    Ok(result)
}

fn make(programs: &[PathBuf], result: &Path) -> Result<()> {
    let stage = tempfile::tempdir().context("make a temporary folder")?;
    let root = stage.path();
    lay_out(root)?;
    add_programs(programs, root)?;
    add_applets(root)?;
    make_filesystem(root, result)
}

fn lay_out(root: &Path) -> Result<()> {
    for folder in FOLDERS {
        files::create_folder(&root.join(folder))?;
    }
    for (name, target) in LINKS {
        files::link(Path::new(target), &root.join(name))?;
    }
    for (name, text) in FILES {
        files::write(&root.join(name), text)?;
    }
    for open in ["", "init"] {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.join(open), mode).context("open the root disk to everybody")?;
    }
    Ok(())
}

fn add_programs(programs: &[PathBuf], root: &Path) -> Result<()> {
    let mut libraries = BTreeSet::new();
    for program in programs {
        libraries.extend(closure::libraries(program)?);
        let name = program.file_name().with_context(|| format!("{} has no name", program.display()))?;
        files::copy(program, &root.join("usr/bin").join(name))?;
    }
    for library in libraries {
        files::copy(&library, &root.join(library.strip_prefix("/").unwrap_or(&library)))?;
    }
    Ok(())
}

/// Links busybox under the names of the tools that it is, where no program of the host has that name.
fn add_applets(root: &Path) -> Result<()> {
    for applet in shell::output(need::program("busybox")?.arg("--list"))?.lines() {
        let link = root.join("usr/bin").join(applet);
        if !link.exists() {
            files::link(Path::new("busybox"), &link)?;
        }
    }
    Ok(())
}

fn make_filesystem(root: &Path, result: &Path) -> Result<()> {
    let disk = File::create(result).with_context(|| format!("create {}", result.display()))?;
    drop(disk);
    let mut mkfs = need::program("mkfs.ext4")?;
    // No journal: the disk does not outlive a run. No lazy tables: the guest's kernel would write them while tests run.
    mkfs.args(["-q", "-F", "-O", "^has_journal", "-N", "131072", "-E", "root_owner=0:0,lazy_itable_init=0"]);
    shell::output(mkfs.arg("-d").arg(root).arg(result).arg(DISK_SIZE))?;
    Ok(())
}
