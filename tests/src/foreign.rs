//! Programs that somebody else attached beside the agent's: each counts the bytes that pass it, and lets them pass.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, Result};

use crate::bpf::bpf;

const MAP_CREATE: i32 = 0;
const MAP_LOOKUP_ELEM: i32 = 1;
const PROG_LOAD: i32 = 5;
const OBJ_PIN: i32 = 6;
const OBJ_GET_INFO_BY_FD: i32 = 15;
const PROG_QUERY: i32 = 16;
const LINK_CREATE: i32 = 28;

/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;
/// `BPF_F_BEFORE`; without another link: before all.
const BEFORE: u32 = 1 << 3;

/// What kind of program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of traffic control: tcx or `cls_bpf`.
    Classifier,
    /// One at the sockets of a cgroup.
    Sockets,
}

/// Where programs are attached.
#[derive(Debug)]
pub enum Place {
    /// tcx, what comes in from an interface.
    Ingress(u32),
    /// tcx, what goes out to an interface.
    Egress(u32),
    /// What sockets of a cgroup receive.
    Receive(File),
    /// What sockets of a cgroup transmit.
    Transmit(File),
}

/// Before or behind those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Before all.
    First,
    /// Behind all.
    Last,
}

/// A loaded program and the map that it counts in.
#[derive(Debug)]
pub struct Foreign {
    program: OwnedFd,
    bytes: OwnedFd,
}

impl Foreign {
    /// Loads one.
    pub fn load(kind: Kind) -> Result<Self> {
        let bytes = new_map().context("make a map")?;
        let program = load(kind, &bytes).context("load a foreign program")?;
        Ok(Self { program, bytes })
    }

    /// Attaches it; the end of what this gives detaches it.
    pub fn attach(&self, place: &Place, order: Order) -> Result<OwnedFd> {
        let (target, attach_type) = place.numbers();
        let flags = if order == Order::First { BEFORE } else { 0 };
        let program = self.program.as_raw_fd().cast_unsigned();
        let mut attributes = LinkCreate { program, target, attach_type, flags, rest: [0; 4] };
        owned(bpf(LINK_CREATE, &mut attributes)).context("attach a foreign program")
    }

    /// The program itself.
    #[must_use]
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Pins it.
    pub fn pin(&self, path: &Path) -> Result<()> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        let mut attributes =
            Pin { name: name.as_ptr() as u64, object: self.program.as_raw_fd().cast_unsigned(), flags: 0 };
        bpf(OBJ_PIN, &mut attributes).context("pin a foreign program").map(drop)
    }

    /// The kernel's number of it.
    pub fn id(&self) -> Result<u32> {
        let mut info = [0_u32; 2];
        let size = u32::try_from(size_of_val(&info))?;
        let program = self.program.as_raw_fd().cast_unsigned();
        bpf(OBJ_GET_INFO_BY_FD, &mut Info { object: program, size, at: info.as_mut_ptr() as u64 })
            .context("look at a foreign program")?;
        Ok(info[1])
    }

    /// Bytes that passed it.
    pub fn bytes(&self) -> Result<u64> {
        let (key, mut value) = (0_u32, 0_u64);
        let map = self.bytes.as_raw_fd().cast_unsigned();
        let (key, at) = (&raw const key as u64, &raw mut value as u64);
        bpf(MAP_LOOKUP_ELEM, &mut Element { map, pad: 0, key, value: at, flags: 0 })
            .context("read a foreign map")?;
        Ok(value)
    }
}

/// The numbers of the programs at a place, in the order in which they run.
pub fn attached(place: &Place) -> Result<Vec<u32>> {
    let (target, attach_type) = place.numbers();
    let mut ids = vec![0_u32; 64];
    let count = u32::try_from(ids.len())?;
    let at = ids.as_mut_ptr() as u64;
    let mut query = Query { target, attach_type, flags: [0; 2], ids: at, count, rest: [0; 7] };
    bpf(PROG_QUERY, &mut query).context("ask for the programs")?;
    ids.truncate(query.count as usize);
    Ok(ids)
}

impl Place {
    /// What it is attached to, and the `enum bpf_attach_type`.
    fn numbers(&self) -> (u32, u32) {
        match self {
            Self::Ingress(ifindex) => (*ifindex, 46),
            Self::Egress(ifindex) => (*ifindex, 47),
            Self::Receive(cgroup) => (cgroup.as_raw_fd().cast_unsigned(), 0),
            Self::Transmit(cgroup) => (cgroup.as_raw_fd().cast_unsigned(), 1),
        }
    }
}

fn new_map() -> io::Result<OwnedFd> {
    owned(bpf(MAP_CREATE, &mut MapCreate { kind: ARRAY, key: 4, value: 8, entries: 1, flags: 0 }))
}

fn load(kind: Kind, map: &OwnedFd) -> io::Result<OwnedFd> {
    let (kind, pass) = match kind {
        Kind::Classifier => (3, -1), // TCX_NEXT, the same number as TC_ACT_UNSPEC
        Kind::Sockets => (8, 1),
    };
    let instructions = counting(map.as_raw_fd(), pass);
    let mut attributes = ProgLoad {
        kind,
        count: u32::try_from(instructions.len()).unwrap_or_default(),
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        rest: [0; 11],
    };
    owned(bpf(PROG_LOAD, &mut attributes))
}

/// Adds `skb->len` to the only entry of a map, and returns `verdict`.
fn counting(map: i32, verdict: i32) -> [Instruction; 12] {
    const fn one(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
        Instruction { code, registers, offset, immediate }
    }
    [
        one(0xbf, 0x16, 0, 0),       // r6 = r1
        one(0x62, 0x0a, -4, 0),      // *(u32 *)(r10 - 4) = 0
        one(0x18, 0x11, 0, map),     // r1 = map
        one(0x00, 0x00, 0, 0),       // its second half
        one(0xbf, 0xa2, 0, 0),       // r2 = r10
        one(0x07, 0x02, 0, -4),      // r2 += -4
        one(0x85, 0x00, 0, 1),       // r0 = bpf_map_lookup_elem(r1, r2)
        one(0x15, 0x00, 2, 0),       // if r0 == 0 skip the next two
        one(0x61, 0x61, 0, 0),       // r1 = r6->len
        one(0xdb, 0x10, 0, 0),       // lock *(u64 *)r0 += r1
        one(0xb7, 0x00, 0, verdict), // r0 = verdict
        one(0x95, 0x00, 0, 0),       // exit
    ]
}

fn owned(descriptor: io::Result<i32>) -> io::Result<OwnedFd> {
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor?) })
}

/// `struct bpf_insn`.
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

#[repr(C)]
struct MapCreate {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
}

#[repr(C)]
struct ProgLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    rest: [u64; 11],
}

#[repr(C)]
struct Pin {
    name: u64,
    object: u32,
    flags: u32,
}

#[repr(C)]
struct Info {
    object: u32,
    size: u32,
    at: u64,
}

#[repr(C)]
struct Query {
    target: u32,
    attach_type: u32,
    flags: [u32; 2],
    ids: u64,
    count: u32,
    rest: [u32; 7],
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    rest: [u32; 4],
}

#[repr(C)]
struct Element {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}
