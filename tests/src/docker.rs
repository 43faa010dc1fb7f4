//! A Docker daemon of a test's own: own socket, own folders, own cgroup, one image.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    bridge::Bridge,
    busybox,
    cgroup::{self, PREFIX},
    host,
    process::{Daemon, kill_using},
    wait,
};

/// The image that every daemon here has: busybox.
pub const IMAGE: &str = "plimsoll-test-busybox";

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running daemon. Its end removes its containers, their cgroups, mounts and files, and every process of it.
#[derive(Debug)]
pub struct Docker {
    daemon: Option<Daemon>,
    parent: String,
    folder: TempDir,
    bridge: String,
}

impl Docker {
    /// Starts one and imports the image.
    pub fn start() -> Result<Self> {
        Self::start_with("none".to_owned())
    }

    /// One whose network `bridge` is this bridge, with addresses of 10.214.0.0/24.
    pub fn start_on(bridge: &Bridge) -> Result<Self> {
        bridge.give_address()?;
        Self::start_with(bridge.name().to_owned())
    }

    fn start_with(bridge: String) -> Result<Self> {
        let folder = TempDir::with_prefix("plimsoll-test-docker").context("make a folder")?;
        let parent = format!("{PREFIX}docker-{}-{}", process::id(), STARTED.fetch_add(1, Relaxed));
        let mut docker = Self { daemon: None, parent, folder, bridge };
        fs::write(docker.path("daemon.json"), "{}").context("configure dockerd")?;
        docker.resume()?;
        docker.import_image()?;
        Ok(docker)
    }

    /// Where it keeps its containers: what the agent calls `--docker-root`.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// The cgroup of its containers, from the root of a hierarchy.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// Where all its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command of its client to the end; gives what that printed.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        host::run(self.client().args(args)).map(|text| text.trim_end().to_owned())
    }

    /// Starts a command of its client and does not wait for it.
    pub fn start_client(&self, args: &[&str]) -> Result<Child> {
        let mut client = self.client();
        client.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        client.spawn().with_context(|| format!("start {client:?}"))
    }

    /// Starts a container in the background that runs a shell command, without a network unless an option gives one; gives
    /// its id.
    pub fn start_container(&self, options: &[&str], shell: &str) -> Result<String> {
        let network: &[&str] = if options.contains(&"--network") { &[] } else { &["--network", "none"] };
        let command = [IMAGE, "sh", "-c", shell];
        self.run(&[&["run", "-d"][..], network, options, &command[..]].concat())
    }

    /// Stops the daemon. Its containers run on.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut daemon) = self.daemon.take() else { bail!("dockerd does not run") };
        let status = daemon.end(Signal::SIGTERM)?;
        ensure!(status.success(), "dockerd ended with {status}");
        Ok(())
    }

    /// Starts the daemon again; it finds its containers.
    pub fn resume(&mut self) -> Result<()> {
        let mut command = Command::new("dockerd");
        command.arg("--host").arg(self.socket());
        for (option, name) in
            [("--data-root", "root"), ("--exec-root", "exec"), ("--config-file", "daemon.json")]
        {
            command.arg(option).arg(self.path(name));
        }
        command
            .arg("--pidfile")
            .arg(self.path("dockerd.pid"))
            .args(["--cgroup-parent", &format!("/{}", self.parent)]);
        command.args(["--bridge", &self.bridge, "--ip-masq=false", "--userland-proxy=false"]);
        command.args(["--live-restore", "--iptables=false", "--log-level=warn"]);
        let mut daemon = Daemon::start(&mut command, self.path("dockerd.log"))?;
        wait::until_true("dockerd answers", || {
            if let Some(status) = daemon.ended()? {
                bail!("dockerd ended with {status}: {}", daemon.log());
            }
            Ok(self.client().arg("version").output().is_ok_and(|output| output.status.success()))
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    fn import_image(&self) -> Result<()> {
        let (root, tar) = (self.path("image"), self.path("image.tar"));
        busybox::make_root(&root)?;
        host::run(Command::new("tar").arg("-c").arg("-f").arg(&tar).arg("-C").arg(&root).arg("."))?;
        self.run(&["import", &tar.display().to_string(), IMAGE]).map(|_| ())
    }

    fn client(&self) -> Command {
        let mut client = Command::new("docker");
        client.arg("--host").arg(self.socket()).env_remove("DOCKER_CONTEXT");
        client
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Removes containers while the daemon can still do it in order.
    fn remove_containers(&self) -> Result<()> {
        let ids = self.run(&["ps", "--all", "--quiet", "--no-trunc"])?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.run(&[&["rm", "--force"], &ids[..]].concat()).map(|_| ())
    }

    fn remove_the_rest(&mut self) -> Result<()> {
        if self.daemon.is_some() {
            self.stop()?;
        }
        kill_using(self.folder.path())?;
        cgroup::everywhere(&self.parent)?.iter().try_for_each(|path: &PathBuf| cgroup::remove(path))?;
        host::unmount_below(self.folder.path())
    }
}

/// The daemon that all tests of one file use in turns: starting one takes seconds.
static SHARED: Mutex<Option<Docker>> = Mutex::new(None);

/// One test's turn with the shared daemon. Its end removes the test's containers; the end of the test's process, good
/// or bad, removes the daemon.
#[derive(Debug)]
pub struct Shared(MutexGuard<'static, Option<Docker>>);

impl Shared {
    /// Waits for its turn.
    pub fn take() -> Result<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            *shared = Some(start_in_a_thread_that_stays()?);
            // SAFETY: the function is there as long as the process; it only drops what nobody uses any more.
            unsafe { libc::atexit(end_shared) };
        }
        Ok(Self(shared))
    }
}

impl Deref for Shared {
    type Target = Docker;

    fn deref(&self) -> &Docker {
        // A turn is only given with a daemon.
        self.0.as_ref().unwrap_or_else(|| unreachable!("no daemon is shared"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Err(error) = self.remove_containers() {
            eprintln!("left behind: {error:#}");
        }
    }
}

/// A daemon dies with the thread that started it, and each test has a thread of its own.
fn start_in_a_thread_that_stays() -> Result<Docker> {
    let (give, take) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits for it any more: the process is about to end.
        let _gone = give.send(Docker::start());
        loop {
            thread::park();
        }
    });
    take.recv().context("start dockerd")?
}

extern "C" fn end_shared() {
    drop(SHARED.lock().unwrap_or_else(PoisonError::into_inner).take());
}

impl Drop for Docker {
    fn drop(&mut self) {
        let removed = if self.daemon.is_some() { self.remove_containers() } else { Ok(()) };
        for result in [removed, self.remove_the_rest()] {
            if let Err(error) = result {
                eprintln!("left behind: {error:#}");
            }
        }
    }
}
