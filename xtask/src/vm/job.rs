//! What a guest is to do: files of the host and a shell script, packed as a tar that travels as a disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{closure, files, need};
use crate::shell;

/// A job: the same for every kernel.
#[derive(Clone, Debug)]
pub struct Job {
    /// Files and folders to bring along; the libraries of programs among them come by themselves.
    pub files: Vec<JobFile>,
    /// Shell script that is run in `/job` with `VM_KERNEL`, `VM_CGROUP` (`v1` or `v2`), `VM_FILTER` (may be empty),
    /// `VM_OUT` (a folder whose files come back) and `VM_REPORT` (the report to write there) set.
    pub script: String,
    /// How long the script may run.
    pub limit: Duration,
}

/// A file or folder of the host that a job needs.
#[derive(Clone, Debug)]
pub struct JobFile {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Its path below `/job` in the guest.
    pub guest: PathBuf,
}

/// Packs the job into the file `tar`, to be unpacked in the guest's root.
pub fn pack(job: &Job, tar: &Path) -> Result<()> {
    let stage = tempfile::tempdir().context("make a temporary folder")?;
    let mut libraries = BTreeSet::new();
    for JobFile { host, guest } in &job.files {
        ensure!(
            guest.components().all(|part| matches!(part, Component::Normal(_))),
            "job file {}: its path in the guest must stay below /job",
            guest.display()
        );
        let host = host.canonicalize().with_context(|| format!("look at the job file {}", host.display()))?;
        if host.is_file() {
            libraries.extend(closure::libraries(&host)?);
        }
        files::link(&host, &stage.path().join("job").join(guest))?;
    }
    for library in libraries {
        files::link(&library, &stage.path().join(library.strip_prefix("/").unwrap_or(&library)))?;
    }
    files::write(&stage.path().join("job/run.sh"), &job.script)?;
    let mut archive = need::program("tar")?;
    archive.args(["--create", "--dereference", "--owner=0", "--group=0", "--mode=a+rX", "--file"]).arg(tar);
    shell::output(archive.arg("--directory").arg(stage.path()).arg("."))?;
    Ok(())
}

/// Unpacks what a guest sent back into the empty folder `out`; nothing where it sent nothing.
pub fn unpack(tar: &Path, out: &Path) -> Result<()> {
    files::create_folder(out)?;
    if fs::metadata(tar).is_ok_and(|found| found.len() > 0) {
        let mut archive = need::program("tar")?;
        archive.args(["--extract", "--no-same-owner", "--file"]).arg(tar);
        shell::output(archive.arg("--directory").arg(out)).context("unpack what the guest sent back")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_file_never_leaves_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = JobFile { host: folder.path().to_owned(), guest: PathBuf::from("../etc") };
        let job = Job { files: vec![file], script: String::new(), limit: Duration::ZERO };
        assert!(pack(&job, &folder.path().join("job.tar")).is_err());
    }
}
