//! Atomic operations on map values. `AtomicU64` has none of them on the BPF target.

use core::intrinsics::{
    AtomicOrdering::{Relaxed, SeqCst},
    atomic_cxchg, atomic_xadd,
};

/// Adds `delta` to `*place`; nobody asks for the old value.
///
/// # Safety
/// `place` points to an aligned word of a map value.
#[inline(always)]
pub unsafe fn add(place: *mut u64, delta: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        atomic_xadd::<u64, u64, { Relaxed }>(place, delta);
    }
}

/// Adds `delta` to `*place` and gives the value before.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn fetch_add(place: *mut u64, delta: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { SeqCst }>(place, delta) }
}

/// Puts `new` in place of `old`; else gives what was there.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn compare_exchange(place: *mut u64, old: u64, new: u64) -> Result<(), u64> {
    // SAFETY: the caller's promise.
    match unsafe { atomic_cxchg::<u64, { SeqCst }, { SeqCst }>(place, old, new) } {
        (_, true) => Ok(()),
        (found, false) => Err(found),
    }
}

/// Reads `*place` once.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn load(place: *const u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::read_volatile(place) }
}
