//! Plimsoll's kernel programs: they count tasks, bytes and TCP connections per cgroup, and tell of cgroups that come and go.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "the BPF target has no Atomic*::fetch_add")]
#![expect(
    clippy::inline_always,
    reason = "a call between programs costs, and some kernels refuse one beside a tail call"
)]
#![expect(clippy::needless_pass_by_value, reason = "aya's macros hand the context over by value")]

mod atomic;
mod audit;
mod cgroup;
mod command;
mod count;
mod entry;
mod event;
mod fields;
mod maps;
mod net;
mod oom;
mod probe;
mod shape;
mod task;
mod tcp;

/// The kernel refuses longer SPDX forms.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Makes an object with other bytes and the same behaviour: what an upgrade meets.
#[cfg(feature = "other-build")]
#[unsafe(link_section = ".rodata.build")]
#[unsafe(no_mangle)]
static BUILD: aya_ebpf::Global<u32> = aya_ebpf::Global::new(2);

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
