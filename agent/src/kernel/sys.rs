//! The bpf commands that aya does not offer: attach by number, open and pin anything, change the program of a link, read
//! a map in batches.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use aya::Pod;

const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_UPDATE: libc::c_long = 29;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;

/// Bytes of entries asked for in one batch; more than any bucket holds.
const BATCH_BYTES: usize = 1 << 19;

fn bpf<T>(command: libc::c_long, attribute: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: `attribute` lives over the call and its size goes with it; the kernel touches no more.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attribute), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// What the commands for pins take.
#[repr(C)]
struct Pinned {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// Opens what is pinned at `path`, whatever it is.
///
/// # Errors
/// The kernel's: ENOENT, EACCES, EPERM.
pub(super) fn object_get(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let fd = bpf(BPF_OBJ_GET, &mut Pinned { pathname: path.as_ptr() as u64, bpf_fd: 0, file_flags: 0 })?;
    owned(fd)
}

/// Pins whatever `object` is.
///
/// # Errors
/// The kernel's: EEXIST, EPERM where the name has a dot.
pub(super) fn object_pin(path: &Path, object: BorrowedFd<'_>) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attribute = Pinned { pathname: path.as_ptr() as u64, bpf_fd: number(object)?, file_flags: 0 };
    bpf(BPF_OBJ_PIN, &mut attribute).map(drop)
}

/// Where a program is attached by [`link_create`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    /// A cgroup: what its sockets and those of the cgroups below receive (kernel >= 5.7).
    CgroupReceive(BorrowedFd<'a>),
    /// The same: what they transmit.
    CgroupTransmit(BorrowedFd<'a>),
    /// An interface of this namespace by its number, before all others: what comes in from it (kernel >= 6.6).
    TcxIngress(u32),
    /// The same: what goes out to it.
    TcxEgress(u32),
    /// What comes in from it, after all others.
    TcxIngressLast(u32),
}

/// Attaches a program; it stays while the link is open or pinned. Needs no capability for a loaded program.
///
/// # Errors
/// The kernel's: EINVAL where it knows no such link, ENODEV where the interface is gone.
pub(super) fn link_create(program: BorrowedFd<'_>, target: Target<'_>) -> io::Result<OwnedFd> {
    /// `BPF_F_BEFORE`, include/uapi/linux/bpf.h; without another link: before all.
    const BEFORE: u32 = 1 << 3;
    /// `BPF_F_AFTER`; without another link: after all.
    const AFTER: u32 = 1 << 4;
    #[repr(C)]
    struct Attribute {
        prog_fd: u32,
        target: u32,
        attach_type: u32,
        flags: u32,
        relative: u32,
        pad: u32,
        expected_revision: u64,
    }
    let (target, attach_type, flags) = match target {
        Target::CgroupReceive(cgroup) => (number(cgroup)?, 0, 0),
        Target::CgroupTransmit(cgroup) => (number(cgroup)?, 1, 0),
        Target::TcxIngress(ifindex) => (ifindex, 46, BEFORE),
        Target::TcxEgress(ifindex) => (ifindex, 47, BEFORE),
        Target::TcxIngressLast(ifindex) => (ifindex, 46, AFTER),
    };
    let prog_fd = number(program)?;
    let fd = bpf(
        BPF_LINK_CREATE,
        &mut Attribute { prog_fd, target, attach_type, flags, relative: 0, pad: 0, expected_revision: 0 },
    )?;
    owned(fd)
}

/// What the kernel tells of a link.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LinkInfo {
    kind: u32,
    id: u32,
    /// The id of the program that it attaches.
    pub program: u32,
    pad: u32,
    /// For a link of an interface: its number, 0 once it is gone.
    pub ifindex: u32,
    attach_type: u32,
}

/// Looks at the link pinned at `path`.
///
/// # Errors
/// The kernel's.
pub(super) fn link_info(path: &Path) -> io::Result<LinkInfo> {
    #[repr(C)]
    struct Attribute {
        bpf_fd: u32,
        info_len: u32,
        info: u64,
    }
    let link = object_get(path)?;
    let mut info = LinkInfo::default();
    let info_len = u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?;
    let at = std::ptr::from_mut(&mut info) as u64;
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut Attribute { bpf_fd: number(link.as_fd())?, info_len, info: at })?;
    Ok(info)
}

fn number(fd: BorrowedFd<'_>) -> io::Result<u32> {
    u32::try_from(fd.as_raw_fd()).map_err(io::Error::other)
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the kernel calls something `found` that was made as `name`: it keeps 15 bytes.
#[must_use]
pub(super) fn is_name_of(name: &str, found: &str) -> bool {
    !found.is_empty() && name.get(..15).unwrap_or(name) == found
}

/// Puts another program behind a link, in one step (kernel >= 5.7; not for tracing links).
///
/// # Errors
/// The kernel's: EINVAL where this kind of link cannot.
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Attribute {
        link_fd: u32,
        new_prog_fd: u32,
        flags: u32,
        old_prog_fd: u32,
    }
    let mut attribute =
        Attribute { link_fd: number(link)?, new_prog_fd: number(program)?, flags: 0, old_prog_fd: 0 };
    bpf(BPF_LINK_UPDATE, &mut attribute).map(drop)
}

/// Waits until no CPU is in the middle of a program that was replaced before.
///
/// # Errors
/// The kernel's: EINVAL on one with `nohz_full`, which has no such barrier.
pub(super) fn wait_for_programs() -> io::Result<()> {
    // SAFETY: the call takes integers only.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Every entry of a hash map (kernel >= 5.6). Unlike a walk from key to key, an entry that stays is met exactly once
/// however much is deleted around it.
///
/// # Errors
/// The kernel's.
pub(super) fn lookup_all<K: Pod, V: Pod>(map: BorrowedFd<'_>) -> io::Result<Vec<(K, V)>> {
    let mut entries = Vec::new();
    lookup_batches(map, size_of::<K>(), size_of::<V>(), |key, value| {
        // SAFETY: both are as long as their types, and every bit pattern of a `Pod` is valid.
        entries.push(unsafe {
            (key.as_ptr().cast::<K>().read_unaligned(), value.as_ptr().cast::<V>().read_unaligned())
        });
    })?;
    Ok(entries)
}

/// Calls `each` with every entry of a hash map, whose keys and values have these sizes.
///
/// # Errors
/// The kernel's.
pub(super) fn lookup_batches(
    map: BorrowedFd<'_>,
    key_size: usize,
    value_size: usize,
    mut each: impl FnMut(&[u8], &[u8]),
) -> io::Result<()> {
    #[repr(C)]
    struct Attribute {
        in_batch: u64,
        out_batch: u64,
        keys: u64,
        values: u64,
        count: u32,
        map_fd: u32,
        elem_flags: u64,
        flags: u64,
    }
    let map_fd = number(map)?;
    let room = (BATCH_BYTES / (key_size + value_size)).max(1);
    let [mut keys, mut values] = [key_size, value_size].map(|size| Vec::<u8>::with_capacity(size * room));
    let (mut place, mut first) = (0_u32, true);
    loop {
        let at = std::ptr::from_mut(&mut place) as u64;
        let mut attribute = Attribute {
            in_batch: if first { 0 } else { at },
            out_batch: at,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: u32::try_from(room).map_err(io::Error::other)?,
            map_fd,
            elem_flags: 0,
            flags: 0,
        };
        let result = bpf(BPF_MAP_LOOKUP_BATCH, &mut attribute);
        let over = match &result {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Err(_) => return result.map(drop),
            Ok(_) => false,
        };
        let count = (attribute.count as usize).min(room);
        // SAFETY: both have room for `room` entries, and the kernel filled the first `count`.
        unsafe {
            keys.set_len(count * key_size);
            values.set_len(count * value_size);
        }
        for (key, value) in keys.chunks_exact(key_size).zip(values.chunks_exact(value_size)) {
            each(key, value);
        }
        if over {
            return Ok(());
        }
        first = false;
    }
}
