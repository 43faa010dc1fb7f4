//! The kernel's own view of eBPF: how many programs, maps and links there are, and entries of pinned maps.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, Result};

const MAP_LOOKUP_ELEM: i32 = 1;
const MAP_UPDATE_ELEM: i32 = 2;
const OBJ_GET: i32 = 7;
const PROG_GET_NEXT_ID: i32 = 11;
const MAP_GET_NEXT_ID: i32 = 12;
const LINK_GET_NEXT_ID: i32 = 31;

/// How many programs, maps and links the kernel holds, of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// Loaded programs.
    pub programs: usize,
    /// Maps.
    pub maps: usize,
    /// Links.
    pub links: usize,
}

impl Objects {
    /// As it is now. Objects that somebody just let go may still be there for a moment.
    pub fn now() -> Result<Self> {
        let [programs, maps, links] = [PROG_GET_NEXT_ID, MAP_GET_NEXT_ID, LINK_GET_NEXT_ID].map(count);
        Ok(Self { programs: programs?, maps: maps?, links: links? })
    }

    /// Whether there are no more of any kind than there were.
    #[must_use]
    pub fn none_above(&self, before: &Self) -> bool {
        let Self { programs, maps, links } = self;
        *programs <= before.programs && *maps <= before.maps && *links <= before.links
    }
}

fn count(command: i32) -> Result<usize> {
    let (mut found, mut last) = (0, 0);
    loop {
        let mut attributes = Attributes::new();
        attributes.ids = [last, 0];
        match bpf(command, &mut attributes) {
            // SAFETY: the kernel wrote the next id beside the one that we gave; both are integers.
            Ok(_) => last = unsafe { attributes.ids[1] },
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(found),
            Err(error) => return Err(error).context("list eBPF objects"),
        }
        found += 1;
    }
}

/// A pinned map whose keys are u32.
#[derive(Debug)]
pub struct PinnedMap(OwnedFd);

impl PinnedMap {
    /// Opens a pin.
    pub fn open(path: &Path) -> Result<Self> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        let mut attributes = Attributes::new();
        attributes.pin = name.as_ptr() as u64;
        let fd = bpf(OBJ_GET, &mut attributes).with_context(|| format!("open pin {}", path.display()))?;
        // SAFETY: the kernel just gave us this descriptor.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Bytes that the kernel takes for it, as it tells itself (`memlock` of its fdinfo).
    pub fn memory(&self) -> Result<u64> {
        let info = self.info()?;
        let bytes = info.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok());
        bytes.with_context(|| format!("no memlock in {info}"))
    }

    /// Fills it with keys that nobody uses, if its memory comes with its entries; else nothing happens.
    pub fn fill(&self) -> Result<()> {
        const NO_PREALLOC: u32 = 1;
        let info = self.info()?;
        let field = |name: &str| {
            let mut lines = info.lines();
            let text = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
            let number = text.and_then(|text| match text.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            });
            number.with_context(|| format!("no {name} in {info}"))
        };
        if field("map_flags")? & NO_PREALLOC == 0 {
            return Ok(());
        }
        let [mut key, mut value] =
            [field("key_size")?, field("value_size")?].map(|size| vec![0_u8; size as usize]);
        for number in 0..field("max_entries")? {
            key[..4].copy_from_slice(&number.to_ne_bytes());
            match self.element(MAP_UPDATE_ELEM, key.as_ptr() as u64, value.as_mut_ptr() as u64) {
                Err(error) if error.raw_os_error() == Some(libc::E2BIG) => break,
                result => result.context("fill a map")?,
            }
        }
        Ok(())
    }

    fn info(&self) -> Result<String> {
        fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.as_raw_fd())).context("read fdinfo")
    }

    /// The value of a key, as 64-bit words: `N` must be what the map has.
    pub fn get<const N: usize>(&self, key: u32) -> Result<[u64; N]> {
        let mut value = [0; N];
        let (at, into) = (&raw const key as u64, value.as_mut_ptr() as u64);
        self.element(MAP_LOOKUP_ELEM, at, into).with_context(|| format!("read entry {key}"))?;
        Ok(value)
    }

    /// Sets a key's value.
    pub fn set<const N: usize>(&self, key: u32, mut value: [u64; N]) -> Result<()> {
        let (at, from) = (&raw const key as u64, value.as_mut_ptr() as u64);
        self.element(MAP_UPDATE_ELEM, at, from).with_context(|| format!("write entry {key}"))
    }

    /// One of the commands for elements, with the addresses of key and value.
    fn element(&self, command: i32, key: u64, value: u64) -> io::Result<()> {
        let fd = self.0.as_raw_fd().cast_unsigned();
        bpf(command, &mut Attributes { element: Element { fd, pad: 0, key, value, flags: 0 } }).map(|_| ())
    }
}

/// Arguments of the system call (kernel: `union bpf_attr`).
#[repr(C)]
union Attributes {
    element: Element,
    ids: [u32; 2],
    pin: u64,
}

impl Attributes {
    /// All zeros: the kernel refuses anything else in what a command does not use.
    fn new() -> Self {
        Self { element: Element { fd: 0, pad: 0, key: 0, value: 0, flags: 0 } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Element {
    fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The system call. `T` is what the command takes, from the beginning of `union bpf_attr` on; what it points to must be
/// there.
pub(crate) fn bpf<T>(command: i32, attributes: &mut T) -> io::Result<i32> {
    let size = size_of::<T>();
    // SAFETY: the attributes are of that size, and what they point to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size) };
    i32::try_from(result).ok().filter(|number| *number >= 0).ok_or_else(io::Error::last_os_error)
}
