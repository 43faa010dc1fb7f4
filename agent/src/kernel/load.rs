//! Loads and attaches: one loop over the table, for a first start and for an upgrade alike. Links and programs are
//! pinned; nothing is held afterwards.

use std::{
    fs,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::ProgramArray,
    programs::{BtfTracePoint, Iter, ProgramError, SchedClassifier, links::FdLink},
};

use super::{
    Error,
    maps::{self, open, room},
    plan::Decision,
    programs::{COMMANDS, HOOKS, ITERATOR, Need, PROBE},
    sys,
};

/// What the object is loaded with.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// The eBPF object.
    pub object: &'a [u8],
    /// Globals by name.
    pub globals: &'a [(&'static str, u32)],
    /// Room in maps that differs from the object's; a map that is pinned already keeps its own.
    pub sizes: &'a [(&'static str, u32)],
}

/// A loaded object whose maps are pinned in a set of pins.
pub struct Loader {
    ebpf: Ebpf,
    btf: Btf,
    pins: PathBuf,
}

impl Loader {
    /// Loads the maps: those pinned in `pins` are used, others made and pinned there.
    ///
    /// # Errors
    /// The object or the kernel refuses.
    pub fn new(sources: &Sources<'_>, pins: &Path) -> Result<Self, Error> {
        let directory = pins.join("maps");
        let mut loader = EbpfLoader::new();
        for (name, value) in sources.globals {
            loader.override_global(name, value, true);
        }
        for name in maps::all_names().chain(HOOKS.iter().map(|hook| hook.slot)) {
            let path = directory.join(name);
            let wanted = sources.sizes.iter().find(|(sized, _)| *sized == name).map(|(_, size)| *size);
            let pinned = if path.exists() { Some(room(&directory, name)?) } else { None };
            if let Some(size) = pinned.or(wanted) {
                loader.map_max_entries(name, size);
            }
            loader.map_pin_path(name, path);
        }
        let ebpf = loader.load(sources.object)?;
        let btf = Btf::from_sys_fs()
            .map_err(|source| Error::Btf { path: super::btf::VMLINUX.into(), reason: source.to_string() })?;
        Ok(Self { ebpf, btf, pins: pins.to_owned() })
    }

    /// Puts the programs of `plan` behind their hooks. A hook that is attached already gets another program in its
    /// slot; one that is not is attached. An optional program that the kernel refuses is left out with the reason.
    ///
    /// # Errors
    /// A required program does not load or attach.
    pub fn attach(&mut self, mut plan: Vec<Decision>) -> Result<Vec<Decision>, Error> {
        for decision in plan.iter_mut().filter(|decision| decision.left_out.is_none()) {
            match self.attach_one(decision) {
                Err(error) if decision.hook.need != Need::Required => {
                    decision.left_out = Some(error.to_string());
                }
                result => result?,
            }
        }
        Ok(plan)
    }

    fn attach_one(&mut self, decision: &Decision) -> Result<(), Error> {
        let hook = decision.hook;
        self.load_tracepoint(hook.program, hook.tracepoint)?;
        let program: &BtfTracePoint = self.program(hook.program)?;
        let program = program.fd().map_err(Error::program("open", hook.program))?;
        let mut slot: ProgramArray<_> = open(&self.pins.join("maps"), hook.slot)?;
        slot.set(0, program, 0).map_err(Error::map("fill", hook.slot))?;
        let link = self.pins.join("links").join(hook.entry);
        if link.exists() {
            return Ok(());
        }
        self.load_tracepoint(hook.entry, hook.tracepoint)?;
        let pins = self.pins.clone();
        let entry: &mut BtfTracePoint = self.program_mut(hook.entry)?;
        pin_anew(&pins, hook.entry, |path| entry.pin(path))?;
        let attached = entry.attach().map_err(Error::program("attach", hook.entry))?;
        let attached = entry.take_link(attached).map_err(Error::program("attach", hook.entry))?;
        FdLink::from(attached).pin(link).map_err(Error::program("pin link of", hook.entry)).map(drop)
    }

    fn load_tracepoint(&mut self, name: &'static str, tracepoint: &str) -> Result<(), Error> {
        let Self { ebpf, btf, .. } = self;
        let program: &mut BtfTracePoint = program_mut(ebpf, name)?;
        program.load(tracepoint, btf).map_err(Error::program("load", name))
    }

    /// Attaches the task iterator, or puts this object's behind the pinned link.
    ///
    /// # Errors
    /// The kernel's.
    pub fn iterator(&mut self) -> Result<(), Error> {
        let link = self.pins.join("links").join(ITERATOR);
        let Self { ebpf, btf, .. } = self;
        let program: &mut Iter = program_mut(ebpf, ITERATOR)?;
        program.load("task", btf).map_err(Error::program("load", ITERATOR))?;
        if link.exists() {
            let pinned = sys::object_get(&link).map_err(Error::pin("open", &link))?;
            let fd = program.fd().map_err(Error::program("open", ITERATOR))?;
            return sys::link_update(pinned.as_fd(), fd.as_fd()).map_err(Error::pin("update", link));
        }
        let attached = program.attach().map_err(Error::program("attach", ITERATOR))?;
        let attached = program.take_link(attached).map_err(Error::program("attach", ITERATOR))?;
        let attached = FdLink::try_from(attached).map_err(Error::program("attach", ITERATOR))?;
        attached.pin(link).map_err(Error::program("pin link of", ITERATOR)).map(drop)
    }

    /// Loads and pins the programs that the agent runs itself; those pinned before are replaced.
    ///
    /// # Errors
    /// The kernel's.
    pub fn commands(&mut self) -> Result<(), Error> {
        for name in COMMANDS {
            let pins = self.pins.clone();
            let program: &mut SchedClassifier = self.program_mut(name)?;
            program.load().map_err(Error::program("load", name))?;
            pin_anew(&pins, name, |path| program.pin(path))?;
        }
        Ok(())
    }

    /// Attaches the self-test's ear while `test` runs.
    ///
    /// # Errors
    /// The kernel's, or the test's.
    pub fn with_probe<T>(&mut self, test: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.load_tracepoint(PROBE, "sched_process_exit")?;
        let program: &mut BtfTracePoint = self.program_mut(PROBE)?;
        let link = program.attach().map_err(Error::program("attach", PROBE))?;
        let result = test();
        let program: &mut BtfTracePoint = self.program_mut(PROBE)?;
        program.detach(link).map_err(Error::program("detach", PROBE))?;
        result
    }

    fn program<'a, P>(&'a self, name: &'static str) -> Result<&'a P, Error>
    where
        &'a P: TryFrom<&'a aya::programs::Program, Error = ProgramError>,
    {
        self.ebpf.program(name).ok_or_else(|| missing(name))?.try_into().map_err(Error::program("find", name))
    }

    /// The set of pins that it loads for.
    pub(super) fn pins(&self) -> &Path {
        &self.pins
    }

    pub(super) fn program_mut<'a, P>(&'a mut self, name: &'static str) -> Result<&'a mut P, Error>
    where
        &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
    {
        program_mut(&mut self.ebpf, name)
    }
}

/// Pins a program in the place of the one that was there.
pub(super) fn pin_anew<E: std::error::Error + Send + Sync + 'static>(
    pins: &Path,
    name: &'static str,
    pin: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), Error> {
    let directory = pins.join("programs");
    let (new, place) = (directory.join(format!("{name}_new")), directory.join(name));
    let _ = fs::remove_file(&new); // a killed upgrade's
    pin(&new).map_err(Error::program("pin", name))?;
    fs::rename(&new, &place).map_err(Error::pin("rename pin to", place))
}

fn program_mut<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, Error>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    ebpf.program_mut(name).ok_or_else(|| missing(name))?.try_into().map_err(Error::program("find", name))
}

fn missing(name: &str) -> Error {
    Error::Refused(format!("the eBPF object has no program {name}: it is of another version than this agent"))
}

/// Digest of what works behind the hooks. Offsets are the running kernel's, and pins do not outlive it: the object
/// alone decides.
#[must_use]
pub fn digest(object: &[u8]) -> u64 {
    plimsoll_common::key::key(&[object])
}
