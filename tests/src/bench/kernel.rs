//! Kernel programs and maps made by hand, without a compiler: what a program is compared with.

use std::{
    fs, io,
    marker::PhantomData,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};

use super::{instruction::Instruction, types::Types};
use crate::bpf::bpf;

// Commands of the system call (kernel: `enum bpf_cmd`).
const MAP_CREATE: i32 = 0;
const MAP_UPDATE_ELEM: i32 = 2;
const PROG_LOAD: i32 = 5;
const RAW_TRACEPOINT_OPEN: i32 = 17;
const LINK_CREATE: i32 = 28;

/// `BPF_MAP_TYPE_HASH`.
const HASH: u32 = 1;
/// `BPF_PROG_TYPE_TRACING` with `BPF_TRACE_RAW_TP`: what libraries call `tp_btf`, as all of ours are.
const TRACING: u32 = 26;
const RAW_TP: u32 = 23;

/// Where packets are seen: an interface by its number, or a cgroup by its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What comes in from an interface.
    TcxIngress,
    /// What goes out to an interface.
    TcxEgress,
    /// What the sockets of a cgroup and those below receive.
    SocketsReceive,
    /// What they transmit.
    SocketsTransmit,
}

impl Place {
    /// `BPF_PROG_TYPE_*` and `BPF_*` of `enum bpf_attach_type`.
    fn kinds(self) -> (u32, u32) {
        match self {
            Self::TcxIngress => (3, 46),
            Self::TcxEgress => (3, 47),
            Self::SocketsReceive => (8, 0),
            Self::SocketsTransmit => (8, 1),
        }
    }

    /// What a program there returns to let a packet pass to the next one.
    #[must_use]
    pub fn pass(self) -> i32 {
        match self {
            Self::TcxIngress | Self::TcxEgress => -1,
            Self::SocketsReceive | Self::SocketsTransmit => 1,
        }
    }
}

/// How often a program ran, and for how long in all; only while `kernel.bpf_stats_enabled` is 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Runs.
    pub runs: f64,
    /// Nanoseconds.
    pub ns: f64,
}

impl Cost {
    /// Nanoseconds a run since `earlier`; `None` if it did not run.
    #[must_use]
    pub fn per_run_since(self, earlier: Self) -> Option<f64> {
        let runs = self.runs - earlier.runs;
        (runs > 0.0).then(|| (self.ns - earlier.ns) / runs)
    }
}

/// A program that is attached. Its end detaches it.
#[derive(Debug)]
pub struct Program {
    program: OwnedFd,
    _links: Vec<OwnedFd>,
}

impl Program {
    /// Loads a program and attaches it to a tracepoint.
    pub fn attach(types: &Types, tracepoint: &str, instructions: &[Instruction]) -> Result<Self> {
        let mut load = Load {
            kind: TRACING,
            count: instructions.len().try_into()?,
            instructions: instructions.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            attach_type: RAW_TP,
            attach_to: types.tracepoint(tracepoint)?,
            ..Load::default()
        };
        let program = object(PROG_LOAD, &mut load).context("load a program to compare with")?;
        let mut open = Open { name: 0, program: fd(&program), pad: 0 };
        let link = object(RAW_TRACEPOINT_OPEN, &mut open);
        let link = link.with_context(|| format!("attach a program to {tracepoint}"))?;
        Ok(Self { program, _links: vec![link] })
    }

    /// Loads a program that sees packets and attaches it to these interfaces or cgroups, behind others.
    pub fn see(place: Place, targets: &[u32], instructions: &[Instruction]) -> Result<Self> {
        let (kind, attach_type) = place.kinds();
        let mut load = Load {
            kind,
            count: instructions.len().try_into()?,
            instructions: instructions.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            attach_type,
            ..Load::default()
        };
        let program = object(PROG_LOAD, &mut load).context("load a program to compare with")?;
        let link = |target: &u32| {
            let mut create = Link { program: fd(&program), target: *target, attach_type, flags: 0 };
            object(LINK_CREATE, &mut create).with_context(|| format!("attach a program as {place:?}"))
        };
        let links = targets.iter().map(link).collect::<Result<_>>()?;
        Ok(Self { program, _links: links })
    }

    /// What it cost so far.
    pub fn cost(&self) -> Result<Cost> {
        let path = format!("/proc/self/fdinfo/{}", self.program.as_raw_fd());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
            line.and_then(|value| value.parse().ok()).with_context(|| format!("no {name} in {path}"))
        };
        Ok(Cost { runs: value("run_cnt")?, ns: value("run_time_ns")? })
    }
}

/// A hash map whose keys are integers.
#[derive(Debug)]
pub struct Map<K> {
    map: OwnedFd,
    _keys: PhantomData<K>,
}

impl<K: Copy> Map<K> {
    /// Makes one whose values have that many words of 64 bits.
    pub fn create(words: usize, entries: u32) -> Result<Self> {
        let [key_size, value_size] = [size_of::<K>(), 8 * words].map(u32::try_from);
        let mut create = Create { kind: HASH, key_size: key_size?, value_size: value_size?, entries };
        let map = object(MAP_CREATE, &mut create).context("make a map to compare with")?;
        Ok(Self { map, _keys: PhantomData })
    }

    /// Sets a key's value, which must have as many words as the map's have.
    pub fn set<const N: usize>(&self, key: K, value: [u64; N]) -> Result<()> {
        let (key, value) = (&raw const key as u64, value.as_ptr() as u64);
        let mut update = Update { map: fd(&self.map), pad: 0, key, value, flags: 0 };
        bpf(MAP_UPDATE_ELEM, &mut update).map(|_| ()).context("fill a map to compare with")
    }

    /// Its descriptor, as instructions name it.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.map.as_raw_fd()
    }
}

// Beginnings of `union bpf_attr`: what is not given counts as 0.

#[repr(C)]
struct Create {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
}

#[repr(C)]
struct Update {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    /// Logs, flags, a name.
    not_used: [u32; 11],
    attach_type: u32,
    /// Types of its own.
    not_used_either: [u32; 9],
    attach_to: u32,
}

#[repr(C)]
struct Open {
    name: u64,
    program: u32,
    pad: u32,
}

#[repr(C)]
struct Link {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

fn fd(object: &OwnedFd) -> u32 {
    object.as_raw_fd().cast_unsigned()
}

fn object<T>(command: i32, attributes: &mut T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
