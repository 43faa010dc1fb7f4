//! Starting: adopt what is pinned, hand it over to other programs, or build it anew.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aya::programs::ProgramInfo;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use plimsoll_common::{LAYOUT, names};

use super::{
    Commands, Error, Status,
    btf::{Types, VMLINUX},
    inherit::{self, Old},
    load::{Loader, Sources, digest},
    maps::{self, Maps, Meta},
    pins::Pins,
    plan::{Decision, Facts, plan, release},
    programs::{COMMANDS, HOOKS, Hook, ITERATOR, Need},
    selftest, statuses, sys,
    taps::NO_CGROUP2,
    veths::lane_mask,
};

/// What a start depends on.
#[derive(Debug)]
pub struct Options {
    /// The bpf filesystem that the pins are in.
    pub bpffs: PathBuf,
    /// Pins die with this process.
    pub private: bool,
    /// Pins that cannot be adopted are moved aside.
    pub takeover: bool,
    /// The eBPF object.
    pub object: Vec<u8>,
    /// Room in `PROC`; `None`: what the object says.
    pub proc_entries: Option<u32>,
    /// Room in `ROWS`; `None`: what the object says.
    pub rows_entries: Option<u32>,
    /// Bytes of the ring buffer; `None`: what the object says.
    pub ring_bytes: Option<u32>,
    /// The hierarchy whose cgroups are counted; 0 is cgroup2.
    pub hierarchy_id: u32,
    /// The root of cgroup2 where containers are in it: what their sockets are known by.
    pub cgroup2: Option<PathBuf>,
    /// The id of this process's own cgroup in that hierarchy.
    pub own_cgroup: u64,
}

/// How the agent came to its pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// Nothing was pinned: counting begins now.
    Fresh,
    /// The pins of the same build were opened: nothing was loaded.
    Adopted,
    /// The pins of another build were handed over to this one.
    Upgraded,
}

/// Everything that counts, opened.
pub struct Kernel {
    /// The maps.
    pub maps: Maps,
    /// The programs that the agent runs itself.
    pub commands: Commands,
    /// Each hook and what became of it.
    pub programs: Vec<Status>,
    /// How it was come by.
    pub started: Started,
    /// The directory of the pins.
    pub directory: PathBuf,
    _pins: Pins,
}

impl Kernel {
    /// Starts. Call it while this process has one thread: it forks, and may leave its mount namespace.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(options: &Options) -> Result<Self, Error> {
        if options.private {
            own_bpffs(&options.bpffs)?;
        }
        let pins = Pins::lock(&options.bpffs, options.takeover)?;
        let wanted = Meta { digest: digest(&options.object), hierarchy_id: options.hierarchy_id };
        let older = older(&pins, options)?;
        let directory = pins.current();
        if let Some(newest) = older.last().filter(|_| !directory.exists()) {
            let stage = pins.stage()?;
            inherit::link(newest, &stage)?;
            let (mut loader, _) = load(options, &stage)?;
            loader.commands()?;
            inherit::commit(&pins, newest, &stage, wanted)?;
        }
        let started = match state(&directory, wanted) {
            State::Absent => fresh(&pins, options, wanted)?,
            State::Same if older.is_empty() => Started::Adopted,
            State::Same | State::OtherBuild => upgrade(&directory, options, wanted)?,
            State::Foreign(reason) => {
                set_aside(&pins, options, &directory, reason)?;
                fresh(&pins, options, wanted)?
            }
        };
        for old in &older {
            inherit::import(&pins, old, &directory)?;
        }
        Ok(Self {
            maps: Maps::open(&directory.join("maps"))?,
            commands: Commands::open(&directory)?,
            programs: statuses(&directory, options.hierarchy_id),
            started,
            directory,
            _pins: pins,
        })
    }
}

/// The sets of pins of older layouts that counts are taken over from.
fn older(pins: &Pins, options: &Options) -> Result<Vec<Old>, Error> {
    let mut older = Vec::new();
    for (layout, path) in pins.older()? {
        let old = Old { layout, path };
        match old.look(options.hierarchy_id) {
            Ok(()) => older.push(old),
            Err(reason) => set_aside(pins, options, &old.path, reason)?,
        }
    }
    Ok(older)
}

/// Moves pins that cannot be adopted out of the way, if that is wished.
fn set_aside(pins: &Pins, options: &Options, set: &Path, reason: String) -> Result<(), Error> {
    if !options.takeover {
        return Err(Error::Foreign { path: set.to_owned(), reason });
    }
    let aside = pins.set_aside(set)?;
    tracing::warn!(
        "pins that could not be adopted are now in {}: their programs run on, for nobody, until `plimsoll cleanup`",
        aside.display()
    );
    Ok(())
}

/// Mounts a bpf filesystem over `bpffs` that only this process sees: it dies with it, and all pins in it.
fn own_bpffs(bpffs: &Path) -> Result<(), Error> {
    let no_data = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).map_err(Error::pin("leave the mount namespace for", bpffs))?;
    // Later mounts of the host still arrive here; none of ours leaves.
    mount(no_data, "/", no_data, MsFlags::MS_REC | MsFlags::MS_SLAVE, no_data)
        .map_err(Error::pin("make a private mount of", "/"))?;
    mount(Some("bpf"), bpffs, Some("bpf"), MsFlags::empty(), no_data)
        .map_err(Error::pin("mount a bpf filesystem on", bpffs))
}

/// What is pinned, seen by an agent of a certain build.
enum State {
    Absent,
    Same,
    OtherBuild,
    Foreign(String),
}

fn state(directory: &Path, wanted: Meta) -> State {
    if !directory.exists() {
        return State::Absent;
    }
    match look(directory) {
        Err(reason) => State::Foreign(reason),
        Ok(found) if found.hierarchy_id != wanted.hierarchy_id => {
            State::Foreign(other_hierarchy(found.hierarchy_id, wanted.hierarchy_id))
        }
        Ok(found) if found.digest == wanted.digest => State::Same,
        Ok(_) => State::OtherBuild,
    }
}

/// Why pins that count another hierarchy cannot be adopted.
pub(super) fn other_hierarchy(found: u32, wanted: u32) -> String {
    format!(
        "they count the cgroups of hierarchy {found}, and hierarchy {wanted} is to be counted (see --hierarchy)"
    )
}

/// Reads what a set of pins is, if it is whole.
fn look(directory: &Path) -> Result<Meta, String> {
    maps::check_shapes(&directory.join("maps"))?;
    let attached =
        |hook: &&Hook| hook.need == Need::Required || directory.join("links").join(hook.entry).exists();
    for hook in HOOKS.iter().filter(attached) {
        let program = program_at(&directory.join("programs").join(hook.entry), hook.entry)?;
        let link = directory.join("links").join(hook.entry);
        is_a("bpf-link", &link)?;
        let info = sys::link_info(&link).map_err(|error| format!("{}: {error}", link.display()))?;
        if info.program != program {
            return Err(format!("{} attaches another program than {}", link.display(), hook.entry));
        }
        maps::check_name(&directory.join("maps"), hook.slot)?;
    }
    is_a("bpf-link", &directory.join("links").join(ITERATOR))?;
    for name in COMMANDS {
        program_at(&directory.join("programs").join(name), name)?;
    }
    let meta = maps::read_meta(&directory.join("maps"), LAYOUT).map_err(|error| error.to_string())?;
    meta.ok_or_else(|| "they were never finished, or are of another layout".into())
}

/// The id of the program pinned at `path`, if it has this name.
fn program_at(path: &Path, name: &str) -> Result<u32, String> {
    is_a("bpf-prog", path)?;
    let info = ProgramInfo::from_pin(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let found = info.name_as_str().unwrap_or_default();
    if sys::is_name_of(name, found) {
        Ok(info.id())
    } else {
        Err(format!("{} is the program {found:?}", path.display()))
    }
}

/// Opens a pin and asks /proc what kind it is.
fn is_a(kind: &str, path: &Path) -> Result<(), String> {
    use std::os::fd::AsRawFd as _;
    let fd = super::sys::object_get(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let link =
        fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|error| error.to_string())?;
    if link.to_string_lossy().replace('_', "-").contains(kind) {
        Ok(())
    } else {
        Err(format!("{} is no {kind}", path.display()))
    }
}

/// Builds everything in the stage, seeds, and commits it in one step.
fn fresh(pins: &Pins, options: &Options, meta: Meta) -> Result<Started, Error> {
    let stage = pins.stage()?;
    let (mut loader, plan) = load(options, &stage)?;
    selftest::exit_codes(&mut loader, &stage)?;
    loader.iterator()?;
    attach(&mut loader, plan, options)?;
    let seen = Commands::open(&stage)?.iterate()?;
    selftest::own_record(&seen, options.own_cgroup)?;
    maps::write_meta(&stage.join("maps"), meta)?;
    pins.commit(&stage)?;
    Ok(Started::Fresh)
}

/// Puts this build's programs behind the pinned hooks: every event runs exactly one of old and new. Killed anywhere in
/// between, it is simply done again.
fn upgrade(directory: &Path, options: &Options, meta: Meta) -> Result<Started, Error> {
    let (mut loader, plan) = load(options, directory)?;
    selftest::exit_codes(&mut loader, directory)?;
    loader.iterator()?;
    attach(&mut loader, plan, options)?;
    selftest::own_record(&Commands::open(directory)?.iterate()?, options.own_cgroup)?;
    maps::write_meta(&directory.join("maps"), meta)?;
    Ok(Started::Upgraded)
}

/// Attaches everything but the iterator, and tells what is left out.
fn attach(loader: &mut Loader, plan: Vec<Decision>, options: &Options) -> Result<(), Error> {
    for decision in loader.attach(plan)? {
        if let Some(reason) = decision.left_out {
            tracing::warn!("{} left out: {reason}", decision.hook.program);
        }
    }
    loader.commands()?;
    loader.taps(options.cgroup2.as_deref())
}

fn load(options: &Options, directory: &Path) -> Result<(Loader, Vec<Decision>), Error> {
    let types = types()?;
    let plan = plan(&facts(Ok(&types), options.cgroup2.is_some()))?;
    let mut globals = types.globals;
    globals.push((names::HIERARCHY_ID, options.hierarchy_id));
    globals.push((names::LANE_MASK, lane_mask()?));
    let (proc, rows) = (options.proc_entries, options.rows_entries);
    let sizes: Vec<_> = [(names::PROC, proc), (names::ROWS, rows), (names::EVENTS, options.ring_bytes)]
        .into_iter()
        .filter_map(|(name, size)| Some((name, size?)))
        .collect();
    let sources = Sources { object: &options.object, globals: &globals, sizes: &sizes };
    Ok((Loader::new(&sources, directory)?, plan))
}

fn types() -> Result<Types, Error> {
    Types::read(Path::new(VMLINUX))
}

/// What the plan depends on, from this host; `cgroup2`: whether containers are in cgroups of that.
fn facts(types: Result<&Types, &Error>, cgroup2: bool) -> Facts {
    let (btf, tracepoints, sockets) = match types {
        Ok(types) => (Ok(()), types.tracepoints.clone(), types.sockets.clone()),
        Err(error) => (Err(error.to_string()), BTreeMap::new(), Ok(())),
    };
    let sockets = sockets.map_err(|missing| format!("this kernel's types have {missing}"));
    let sockets = if cgroup2 { sockets } else { Err(NO_CGROUP2.to_owned()) };
    Facts { release: release(), btf, tracepoints, sockets }
}

/// What this host's kernel allows, without loading anything; `cgroup2`: whether containers are in cgroups of that.
///
/// # Errors
/// It cannot run what nothing works without.
pub fn host_plan(cgroup2: bool) -> Result<Vec<Decision>, Error> {
    plan(&facts(types().as_ref(), cgroup2))
}
