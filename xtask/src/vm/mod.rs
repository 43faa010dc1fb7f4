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
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use boot::Guest;
use kernel::Kernel;

pub use job::{Job, JobFile};
pub use need::needs;
pub use outcome::Outcome;

use crate::shell;

/// One guest that is asked for.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Version of its kernel such as `6.1`.
    pub kernel: String,
    /// Guests with cgroup v1 hierarchies only, instead of cgroup2 only.
    pub cgroup_v1: bool,
    /// Words that the job gets as `VM_FILTER`.
    pub filter: Vec<String>,
}

impl Boot {
    /// What tells it from the others: `6.12 v1`.
    pub fn label(&self) -> String {
        format!("{}{}", self.kernel, if self.cgroup_v1 { " v1" } else { "" })
    }
}

/// One job in some guests.
#[derive(Clone, Debug)]
pub struct Request {
    /// The guests, in the order in which they are booted.
    pub boots: Vec<Boot>,
    /// Folder for kernels, disks and results.
    pub artefacts: PathBuf,
    /// What the guests do.
    pub job: Job,
}

/// What became of the job in one guest.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The guest that was asked for.
    pub boot: Boot,
    /// How it ended.
    pub outcome: Outcome,
    /// Folder with the files that the job left in `VM_OUT`.
    pub out: PathBuf,
    /// The report (JSON lines), where the job wrote one.
    pub report: Option<PathBuf>,
    /// The end of what the kernel said while the job ran, when that did not end with 0.
    pub kernel_log: Option<String>,
}

impl RunResult {
    /// Whether the job ended with 0.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Exited(0)
    }
}

/// Guests that wait to be booted, and the lock of what they are made of.
#[derive(Debug)]
pub struct Guests {
    guests: Vec<Guest>,
    _lock: File,
}

/// Makes all that the guests need.
pub fn prepare(request: &Request) -> Result<Guests> {
    ensure!(cfg!(target_arch = "x86_64"), "test kernels run on x86-64 hosts only");
    let artefacts = &request.artefacts;
    files::create_folder(artefacts)?;
    let artefacts = artefacts.canonicalize().with_context(|| format!("look at {}", artefacts.display()))?;
    let lock = lock(&artefacts)?;
    let root = root::disk(&artefacts)?;
    let tar = artefacts.join("job.tar");
    job::pack(&request.job, &tar)?;
    let guest = |boot: &Boot| -> Result<Guest> {
        let is_plain = |word: &String| {
            word.chars().all(|letter| letter.is_ascii_alphanumeric() || "_:".contains(letter))
        };
        ensure!(
            boot.filter.iter().all(is_plain),
            "filter {:?}: names of tests have letters, digits, _ and :",
            boot.filter
        );
        let kernel = Kernel::fetch(&boot.kernel, &artefacts)?;
        let folder = artefacts.join("runs").join(boot.label().replace(' ', "-"));
        files::create_empty_folder(&folder)?;
        let initrd = initrd::initrd(&kernel, &artefacts)?;
        let limit = request.job.limit;
        let (boot, root, job) = (boot.clone(), root.clone(), tar.clone());
        Ok(Guest { boot, kernel, initrd, root, job, limit, folder })
    };
    let guests = request.boots.iter().map(guest).collect::<Result<_>>()?;
    Ok(Guests { guests, _lock: lock })
}

impl Guests {
    /// Runs the job in each guest, side by side where the machine has room, and does the caller's work meanwhile, which
    /// takes the room of one guest. Results are in the order of the request.
    pub fn run<T>(&self, meanwhile: impl FnOnce() -> T) -> (T, Result<Vec<RunResult>>) {
        let queue = Mutex::new(self.guests.iter().enumerate());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let lane = || iter::from_fn(next).map(|(place, guest)| (place, run_one(guest))).collect::<Vec<_>>();
        thread::scope(|scope| {
            let lanes: Vec<_> = (1..lanes::lanes()).map(|_| scope.spawn(lane)).collect();
            let done = meanwhile();
            let mut results = lane();
            for lane in lanes {
                match lane.join() {
                    Ok(more) => results.extend(more),
                    Err(_) => return (done, Err(anyhow!("a guest's thread panicked"))),
                }
            }
            results.sort_by_key(|(place, _)| *place);
            (done, results.into_iter().map(|(_, result)| result).collect())
        })
    }
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

fn run_one(guest: &Guest) -> Result<RunResult> {
    let label = guest.boot.label();
    let outcome = shell::step(&format!("virtual machine {label}"), || guest.run())
        .with_context(|| format!("run the virtual machine {label}"))?;
    let out = guest.folder.join("out");
    let unpacked = job::unpack(&guest.results(), &out);
    // A guest that died may have died while it sent them.
    if matches!(outcome, Outcome::Exited(_)) {
        unpacked?;
    }
    let report = Some(out.join("report.jsonl")).filter(|file| file.is_file());
    let failed = outcome != Outcome::Exited(0);
    Ok(RunResult {
        boot: guest.boot.clone(),
        outcome,
        out,
        report,
        kernel_log: failed.then(|| guest.kernel_log()).filter(|log| !log.is_empty()),
    })
}
