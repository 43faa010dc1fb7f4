//! Telling the agent: "look again".

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel_str_bytes};
use plimsoll_common::{
    event::{Event, Kind, Mkdir},
    tally::Tally,
};

use crate::{count::tally, maps::EVENTS};

#[inline(always)]
fn event(kind: Kind, cgroup: u64, value: u32) -> Event {
    // SAFETY: a helper without arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    Event { sequence: tally(Tally::Sequence), time_ns, cgroup, kind: kind as u32, value }
}

/// Tells that `kind` happened to `cgroup`.
#[inline(always)]
pub fn tell(kind: Kind, cgroup: u64, value: u32) {
    let event = event(kind, cgroup, value);
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        tally(Tally::EventLost);
        return;
    };
    entry.write(event);
    entry.submit(0);
}

/// Tells that `cgroup` was made at `path`.
#[inline(always)]
pub fn tell_mkdir(cgroup: u64, path: *const u8) {
    let event = event(Kind::Mkdir, cgroup, 0);
    let Some(mut entry) = EVENTS.reserve::<Mkdir>(0) else {
        tally(Tally::EventLost);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is the reserved room of a `Mkdir`; the helper writes at most the path's length.
    unsafe {
        (*record).event = event;
        (*record).path[0] = 0;
        let _ = bpf_probe_read_kernel_str_bytes(path, &mut (*record).path);
    }
    entry.submit(0);
}
