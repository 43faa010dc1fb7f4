//! What the harness needs from the machine. Tells what is missing, never installs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// One program that the harness calls or puts into the guest.
#[derive(Debug)]
pub struct Need {
    /// Name of the program.
    pub program: &'static str,
    /// Debian package that brings it.
    pub package: &'static str,
    /// What it is needed for.
    pub why: &'static str,
}

const fn need(program: &'static str, package: &'static str, why: &'static str) -> Need {
    Need { program, package, why }
}

static NEEDS: [Need; 15] = [
    need("qemu-system-x86_64", "qemu-system-x86", "running the test kernels"),
    need("apt-get", "apt", "downloading the test kernels"),
    need("dpkg", "dpkg", "unpacking the test kernels"),
    need("xz", "xz-utils", "unpacking kernel modules"),
    need("depmod", "kmod", "finding the modules that a test kernel needs"),
    need("cpio", "cpio", "packing the initrd of a test kernel"),
    need("mkfs.ext4", "e2fsprogs", "making the guest's root disk"),
    need("tar", "tar", "bringing the tests into the guest"),
    need("ldd", "libc-bin", "finding the libraries of what goes into the guest"),
    need("busybox", "busybox-static", "the guest's shell and tools"),
    need("ip", "iproute2", "the guest's network"),
    need("dockerd", "docker.io", "containers in the guest"),
    need("docker", "docker.io", "containers in the guest"),
    need("containerd", "containerd", "containers in the guest"),
    need("runc", "runc", "containers in the guest"),
];

/// Every program that the harness needs, with the package that brings it.
pub fn needs() -> &'static [Need] {
    &NEEDS
}

/// Where a program is. The distribution's own comes first: a stray newer docker does not talk to its dockerd.
pub fn find(program: &str) -> Option<PathBuf> {
    let own = ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(program));
    own.into_iter().find(|file| file.is_file()).or_else(|| shell::find(program))
}

/// As [`find`]; the error says what to install.
pub fn locate(program: &str) -> Result<PathBuf> {
    find(program).with_context(|| match NEEDS.iter().find(|need| need.program == program) {
        Some(Need { package, why, .. }) => {
            format!("{program} is missing, for {why}: apt-get install {package}")
        }
        None => format!("{program} is missing: install it or add its folder to PATH"),
    })
}

/// A command to fill in, whose output is not translated.
pub fn program(name: &str) -> Result<Command> {
    let mut command = Command::new(locate(name)?);
    command.env("LC_ALL", "C");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told() {
        assert!(locate("sh").is_ok());
        let told = locate("no-such-program").unwrap_err().to_string();
        assert!(told.starts_with("no-such-program is missing"), "{told}");
    }
}
