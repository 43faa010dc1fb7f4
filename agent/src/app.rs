//! Puts the parts together and runs them. Decides nothing that a part could decide.

mod limits;

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    cgroup::{self, Hierarchies, Hierarchy, Limits},
    config::Config,
    control::{self, Door},
    enforcer::Doer,
    exporter::http::{HttpConfig, Source, serve},
    inventory::{Namer, wires::Wires},
    kernel::{
        Kernel, Options, Started,
        events::{Events, open_ring},
        logs::Logs,
        pins,
        plan::{release, version},
        records::Records,
    },
    ledger::{Files, Owner, Reader, Settings, journal::JournalReader, snapshot::Snapshot},
    privilege,
    runtimes::{Roots, Source as RootSource, propose},
};

/// The eBPF object that this agent was built with.
static OBJECT: &[u8] = include_bytes!(env!("PLIMSOLL_EBPF_OBJECT"));

/// What a run needs beside its configuration.
#[derive(Debug, Clone)]
pub struct Run {
    /// The configuration, flags included.
    pub config: Config,
    /// The bpf filesystem that the pins are in.
    pub bpffs: PathBuf,
    /// Pins die with the agent.
    pub no_pin: bool,
    /// Pins that cannot be adopted are moved aside.
    pub takeover: bool,
    /// Another eBPF object than the built-in one.
    pub programs: Option<PathBuf>,
    /// Room for processes.
    pub proc_entries: Option<u32>,
    /// Room in `ROWS`, for tests of a full one.
    pub rows_entries: Option<u32>,
    /// Bytes of the ring buffer.
    pub ring_bytes: Option<u32>,
    /// The file that the configuration came from.
    pub file: Option<PathBuf>,
}

/// Runs the agent until SIGTERM or Ctrl-C.
///
/// # Errors
/// One sentence that says what is missing and what to do.
pub fn run(run: &Run) -> Result<()> {
    require_root("run", "load kernel programs")?;
    let listener = listen(run.config.listen, &run.bpffs)?;
    let hierarchies = Hierarchies::read()?;
    let counted = counted(&hierarchies, &run.config)?;
    tracing::info!("counting the cgroups of {} at {}", counted.kind, counted.mount.display());
    let kernel = start(run, &counted)?;
    match kernel.started {
        Started::Fresh => tracing::info!("kernel programs attached, all processes entered"),
        Started::Adopted => tracing::info!("pinned programs and counts adopted: nothing was loaded"),
        Started::Upgraded => {
            tracing::info!("pinned hooks handed over to this build's programs, counts go on");
        }
    }
    let logs = Logs::open(&kernel.directory)
        .inspect_err(|error| tracing::warn!("what kernel programs say in words stays unheard: {error}"));
    // While another root process may still be looked at: a daemon's command line and mount namespace tell its root.
    let roots = Roots::find(run.config.docker_root.as_deref());
    for root in &roots.docker {
        let path = root.path.join("containers");
        match std::fs::read_dir(&path) {
            Ok(_) => tracing::info!("names of containers come from {} ({})", path.display(), root.source),
            Err(error) if root.source == RootSource::Given => {
                tracing::warn!("no names of containers: {}: {error}", path.display());
            }
            Err(_) => {} // its daemon may start later
        }
    }
    for problem in &roots.problems {
        tracing::warn!("{problem}: containers of that dockerd may stay without names");
    }
    // As long as this process may change owners.
    let door = Door::open(&run.config.control, run.config.control_group.as_deref())
        .context("open the control socket; --control names another place")?;
    go_before_others();
    let needed = privilege::needed(version(&release()), run.config.limits.kills());
    privilege::drop_all_but(&needed).context("drop capabilities")?;
    give_memory_back();
    // One thread: a scrape that wakes threads on other, idle CPUs waits for them longer than it works.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let files = Files { hierarchies, counted, limits: Limits::new() };
    let result = runtime.block_on(live(run, (listener, door), kernel, logs.ok(), files, roots));
    runtime.shutdown_background();
    if !run.no_pin {
        tracing::info!("ended; programs stay attached and go on counting: `plimsoll cleanup` removes them");
    }
    result
}

/// What came of putting back what limits changed.
#[derive(Debug, Default)]
pub struct Undone {
    /// What was done, in sentences.
    pub told: Vec<String>,
    /// What could not be put back: it is still written down in the pins.
    pub failed: Vec<String>,
}

/// Puts everything back that limits changed, from what is pinned alone, by whatever version. An agent that runs keeps its limits.
///
/// # Errors
/// An agent runs, or the kernel's.
pub fn undo_limits(bpffs: &Path) -> Result<Undone> {
    if let Some(agent) = pins::user(bpffs) {
        bail!("an agent runs, {agent}: stop it first");
    }
    let hierarchies = Hierarchies::read()?;
    let freezer = cgroup::freezer_mount()?;
    let freezer =
        freezer.or_else(|| hierarchies.cgroup2.as_ref().map(|it| it.mount.clone())).unwrap_or_default();
    let mut undone = Undone::default();
    for set in pins::sets(bpffs) {
        if !set.join("maps").join(plimsoll_common::names::UNDO).exists() {
            continue; // made before there were limits
        }
        match Doer::open(&set, hierarchies.pids().cloned(), freezer.clone()) {
            Ok(doer) => undo_all(doer, &mut undone),
            Err(_) if Records::undo(&set).and_then(|undo| undo.all()).is_ok_and(|all| all.is_empty()) => {}
            Err(error) => undone.failed.push(format!("{}: {error:#}", set.display())),
        }
    }
    Ok(undone)
}

fn undo_all(mut doer: Doer, undone: &mut Undone) {
    for record in doer.done.values().cloned().collect::<Vec<_>>() {
        match doer.undo(&record) {
            Ok(()) => undone.told.push(format!("undone: {record}")),
            Err(why) if doer.done.contains_key(&record.place()) => {
                undone.failed.push(format!("{record}: {why}"));
            }
            Err(why) => undone.told.push(format!("{record}: {why}")),
        }
    }
    match doer.sweep() {
        Ok(0) => {}
        Ok(swept) => undone.told.push(format!("removed: {swept} interfaces that limits left behind")),
        Err(error) => undone.failed.push(format!("interfaces that limits left behind: {error}")),
    }
}

/// Nice value of the agent: where all CPUs are busy, it must still see what comes and goes. It needs little of them.
const NICE: libc::c_int = -10;

/// Takes that nice value, unless it was started with a lower one; threads made later have it, too.
fn go_before_others() {
    // SAFETY: both calls take integers only, and concern this process alone.
    let result = unsafe {
        if libc::getpriority(libc::PRIO_PROCESS, 0) <= NICE {
            return;
        }
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE)
    };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        tracing::info!("the agent runs at the nice value that it was started with: {error}");
    }
}

/// Refuses with what to do where this is not root.
///
/// # Errors
/// This is not root.
pub fn require_root(command: &str, to: &str) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("`plimsoll {command}` needs root to {to}: run it with sudo");
    }
    Ok(())
}

fn listen(address: SocketAddr, bpffs: &Path) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| match pins::user(bpffs) {
        Some(agent) => format!("cannot listen on {address}; an agent runs on this host already, {agent}: stop it first if it listens there, or choose another place with --listen"),
        None => format!("cannot listen on {address}; choose another place with --listen"),
    })?;
    listener.set_nonblocking(true).context("prepare the listening socket")?;
    Ok(listener)
}

/// The hierarchy whose cgroups are counted.
///
/// # Errors
/// None is mounted, or not the one wished for.
pub fn counted(hierarchies: &Hierarchies, config: &Config) -> Result<Hierarchy> {
    let outside = cgroup::container_outside_cgroup2(hierarchies, |path| propose(path).is_some());
    if let Some(path) = &outside {
        tracing::info!("the tasks of {} are in no container of cgroup2", cgroup::printable(path));
    }
    Ok(cgroup::choose(hierarchies, outside.is_some(), config.wish())?.clone())
}

fn start(run: &Run, counted: &Hierarchy) -> Result<Kernel> {
    let object = match &run.programs {
        Some(path) => {
            std::fs::read(path).with_context(|| format!("read kernel programs {}", path.display()))?
        }
        None => OBJECT.to_vec(),
    };
    let own = cgroup::path_of_pid(std::process::id(), counted).context("find the agent's own cgroup")?;
    let own = own.context("find the agent's own cgroup: /proc/self/cgroup does not list this hierarchy")?;
    let options = Options {
        bpffs: run.bpffs.clone(),
        private: run.no_pin,
        takeover: run.takeover,
        object,
        proc_entries: run.proc_entries,
        rows_entries: run.rows_entries,
        ring_bytes: run.ring_bytes,
        hierarchy_id: counted.hierarchy_id,
        cgroup2: (counted.hierarchy_id == 0).then(|| counted.mount.clone()),
        own_cgroup: cgroup::id_of(&cgroup::directory(&counted.mount, &own))
            .context("find the agent's own cgroup")?,
    };
    Ok(Kernel::start(&options)?)
}

/// Reading the kernel's types takes tens of MB for a moment; the allocator would keep them for ever.
fn give_memory_back() {
    // SAFETY: malloc_trim touches free memory of the allocator only.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

async fn live(
    run: &Run,
    (listener, door): (TcpListener, Door),
    kernel: Kernel,
    logs: Option<Logs>,
    files: Files,
    roots: Roots,
) -> Result<()> {
    let config = &run.config;
    let ended = ended()?;
    let listener = tokio::net::TcpListener::from_std(listener).context("watch the listening socket")?;
    let events = Events::new(open_ring(&kernel.directory)?).context("watch the ring buffer")?;
    let namer = Namer::new(roots, config.labels.clone(), files.counted.mount.clone());
    let wires = Wires::watch(&kernel.directory, files.counted.mount.clone())
        .unwrap_or_else(|error| Wires::blind(format!("{error:#}")));
    let settings = Settings { retention: config.retention() };
    let (pins, hierarchies, counted) =
        (kernel.directory.clone(), files.hierarchies.clone(), files.counted.clone());
    let (mut owner, reader) = Owner::new(kernel, events, files, namer, wires, settings)?;
    let desk = limits::start(&pins, config, &hierarchies, &counted, owner.rosters(), !run.no_pin)?;
    owner.show(desk.limits());
    tokio::spawn(desk.follow_roster());
    tokio::spawn(desk.follow_file(run.file.clone(), config.limits.command_line)?);
    let shown = Shown { ledger: reader.clone(), journal: desk.journal() };
    let http = HttpConfig { allowed_hosts: config.allowed_hosts.clone(), ..HttpConfig::default() };
    if let Some(logs) = logs {
        tokio::spawn(logs.carry());
    }
    tokio::spawn(tell_ready(reader, config.listen));
    // Dropping `stop` ends both servers.
    let (stop, stopped) = watch::channel(());
    let (mut metrics, mut asked) = (stopped.clone(), stopped);
    let served = async {
        let wait = async {
            ended.await;
            drop(stop);
        };
        let metrics = serve(listener, http, shown, async { drop(metrics.changed().await) });
        let control = control::serve(door, desk, control::DEADLINE, async { drop(asked.changed().await) });
        let (metrics, control, ()) = tokio::join!(metrics, control, wait);
        metrics.context("serve metrics").and(control.context("serve the control socket"))
    };
    tokio::select! {
        result = tokio::spawn(owner.run()) => {
            result.context("own the state")??;
            bail!("the ring buffer ended")
        }
        result = served => result,
    }
}

async fn tell_ready(mut reader: Reader, address: SocketAddr) {
    if reader.until_ready().await {
        tracing::info!("ready: metrics on http://{address}/metrics");
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
            tracing::debug!("nobody hears that the agent is ready: {error}");
        }
    }
}

/// Ready once somebody wants the agent to end. Signals are caught from this call on, not from the first poll.
fn ended() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("catch SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: ending"),
            _ = interrupt.recv() => tracing::info!("interrupted: ending"),
        }
    })
}

/// All that is shown.
#[derive(Debug, Clone)]
struct Shown {
    ledger: Reader,
    journal: JournalReader,
}

impl Source for Shown {
    fn snapshot(&self) -> impl Future<Output = Option<Arc<Snapshot>>> + Send {
        self.ledger.snapshot()
    }

    fn ready(&self) -> bool {
        self.ledger.ready()
    }

    fn journal(&self) -> JournalReader {
        self.journal.clone()
    }

    fn scraped(&self, taken: SystemTime) {
        self.ledger.shown(taken);
    }
}
