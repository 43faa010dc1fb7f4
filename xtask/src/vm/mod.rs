//! Runs a job on other kernels: Debian's, in QEMU without KVM. Knows nothing of what the job does.
//!
//! Set-up (kernels, initrds, root disk) is made once below [`Request::artefacts`] and kept; a run boots a pristine
//! guest, and brings back the exit code and the files that the job left.

mod boot;
mod closure;
mod files;
mod initrd;
mod job;
mod kernel;
mod lanes;
mod need;
mod outcome;
mod root;
mod stamp;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use boot::Guest;
use kernel::Kernel;

pub use job::{Job, JobFile};
pub use need::needs;
pub use outcome::Outcome;

/// One job on some kernels.
#[derive(Clone, Debug)]
pub struct Request {
    /// Versions such as `6.1`, each booted once.
    pub kernels: Vec<String>,
    /// Given to the job as `VM_FILTER`.
    pub filter: Option<String>,
    /// Guests with cgroup v1 hierarchies only, instead of cgroup2 only.
    pub cgroup_v1: bool,
    /// Folder for kernels, disks and results.
    pub artefacts: PathBuf,
    /// What the guests do.
    pub job: Job,
}

/// What became of the job on one kernel.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// Version of the kernel, as asked for.
    pub kernel: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Folder with the files that the job left in `VM_OUT`.
    pub out: PathBuf,
    /// The report (JSON lines), where the job wrote one.
    pub report: Option<PathBuf>,
    /// From the start of QEMU to its end.
    pub seconds: f64,
    /// The end of what the kernel said while the job ran, when that did not end with 0.
    pub kernel_log: Option<String>,
}

impl RunResult {
    /// Whether the job ended with 0.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Exited(0)
    }
}

/// Runs the job on each kernel, side by side where the machine has room; results in the order of the request.
pub fn run(request: &Request) -> Result<Vec<RunResult>> {
    ensure!(cfg!(target_arch = "x86_64"), "test kernels run on x86-64 hosts only");
    let artefacts = &request.artefacts;
    files::create_folder(artefacts)?;
    let artefacts = artefacts.canonicalize().with_context(|| format!("look at {}", artefacts.display()))?;
    let _lock = lock(&artefacts)?;
    let root = root::disk(&artefacts)?;
    let kernels = request.kernels.iter().map(|version| Kernel::fetch(version, &artefacts));
    let kernels = kernels.collect::<Result<Vec<_>>>()?;
    let tar = artefacts.join("job.tar");
    job::pack(&request.job, request.filter.as_deref(), &tar)?;
    let guests = kernels.iter().map(|kernel| guest(request, kernel, &root, &tar, &artefacts));
    let guests = guests.collect::<Result<Vec<_>>>()?;
    let mut results = Vec::new();
    for together in guests.chunks(lanes::lanes()?) {
        results.extend(side_by_side(together)?);
    }
    Ok(results)
}

/// One user of the artefacts at a time.
fn lock(artefacts: &Path) -> Result<File> {
    let path = artefacts.join("lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("    another run uses {}, waiting", artefacts.display());
        file.lock().with_context(|| format!("lock {}", path.display()))?;
    }
    Ok(file)
}

fn guest<'a>(
    request: &Request,
    kernel: &'a Kernel,
    root: &'a Path,
    job: &'a Path,
    artefacts: &Path,
) -> Result<Guest<'a>> {
    let label = format!("{}{}", kernel.version, if request.cgroup_v1 { " v1" } else { "" });
    let folder = artefacts.join("runs").join(label.replace(' ', "-"));
    files::create_empty_folder(&folder)?;
    let initrd = initrd::initrd(kernel, artefacts)?;
    Ok(Guest {
        label,
        kernel,
        initrd,
        root,
        job,
        limit: request.job.limit,
        cgroup_v1: request.cgroup_v1,
        folder,
    })
}

fn side_by_side(guests: &[Guest<'_>]) -> Result<Vec<RunResult>> {
    thread::scope(|scope| {
        let threads: Vec<_> = guests.iter().map(|guest| scope.spawn(|| run_one(guest))).collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a guest's thread panicked"))?);
        ended.collect()
    })
}

fn run_one(guest: &Guest<'_>) -> Result<RunResult> {
    let start = Instant::now();
    let outcome = guest.run().with_context(|| format!("run the kernel {}", guest.label))?;
    let out = guest.folder.join("out");
    let unpacked = job::unpack(&guest.results(), &out);
    // A guest that died may have died while it sent them.
    if matches!(outcome, Outcome::Exited(_)) {
        unpacked?;
    }
    let report = Some(out.join("report.jsonl")).filter(|file| file.is_file());
    let failed = outcome != Outcome::Exited(0);
    Ok(RunResult {
        kernel: guest.kernel.version.clone(),
        outcome,
        out,
        report,
        seconds: start.elapsed().as_secs_f64(),
        kernel_log: failed.then(|| guest.kernel_log()).filter(|log| !log.is_empty()),
    })
}
