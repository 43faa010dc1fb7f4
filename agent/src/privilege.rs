//! Drops the capabilities that nothing needs once the kernel programs are loaded.

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};

/// First kernel whose `bpf()` works on open maps and pins without `CAP_BPF` while unprivileged bpf is disabled.
const FREE_BPF: (u32, u32) = (5, 19);

/// What is kept: the files of containers that other users own are still to be read, interfaces looked at and their queues set;
/// and if processes of containers are to be killed at a limit, whosever they are, the right to do so.
#[must_use]
pub fn needed(kernel: Option<(u32, u32)>, kills: bool) -> CapsHashSet {
    let mut needed = CapsHashSet::from([Capability::CAP_DAC_READ_SEARCH, Capability::CAP_NET_ADMIN]);
    if kills {
        needed.insert(Capability::CAP_KILL);
    }
    if kernel.is_none_or(|kernel| kernel < FREE_BPF) {
        needed.extend([Capability::CAP_BPF, Capability::CAP_PERFMON]);
    }
    needed
}

/// Whether processes of others can be killed.
#[must_use]
pub fn can_kill() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_KILL).unwrap_or_default()
}

/// Keeps only what is needed, for this thread and all that it starts. Call it while this process has one thread.
///
/// # Errors
/// The kernel's.
pub fn drop_all_but(needed: &CapsHashSet) -> Result<(), CapsError> {
    let held = caps::read(None, CapSet::Effective)?;
    let kept: CapsHashSet = held.intersection(needed).copied().collect();
    if held.contains(&Capability::CAP_SETPCAP) {
        for capability in caps::read(None, CapSet::Bounding)?.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}
