//! Counting: rows of cgroups, and tallies of what went wrong.

use aya_ebpf::{EbpfContext, bindings::BPF_NOEXIST};
use aya_log_ebpf::warn;
use plimsoll_common::{row::Row, tally::Tally, word::Word};

use crate::{
    atomic,
    maps::{ROWS, TALLIES},
};

/// Adds to one field of a row, gauge or counter.
macro_rules! add {
    ($row:expr, $field:ident, $delta:expr) => {
        // SAFETY: `$row` is a live map value, `$field` one of its words; a gauge's negative delta wraps as two's
        // complement does.
        unsafe { $crate::atomic::add((&raw mut (*$row).$field).cast(), i64::from($delta).cast_unsigned()) }
    };
}
pub(crate) use add;

/// The row of a cgroup, made when there is none yet.
#[inline(always)]
pub fn row(cgroup: u32) -> Option<*mut Row> {
    if let Some(row) = ROWS.get_ptr_mut(cgroup) {
        return Some(row);
    }
    // Another CPU may make it at the same moment: whoever loses finds the winner's.
    let late = u64::from(told(Tally::RowsFull) > 0);
    let _ = ROWS.insert(cgroup, Row { late, ..Row::ZERO }, BPF_NOEXIST.into());
    let row = ROWS.get_ptr_mut(cgroup);
    if row.is_none() {
        tally(Tally::RowsFull);
    }
    row
}

/// Adds to the gauges of the cgroup that `word` names.
#[inline(always)]
pub fn gauge(word: Word, sign: i64) {
    if let Some(row) = row(word.cgroup()) {
        add!(row, processes, sign);
        add!(row, threads, sign * i64::from(word.threads()));
    }
}

/// Counts one; gives how many there were before.
#[inline(always)]
pub fn tally(what: Tally) -> u64 {
    match TALLIES.get_ptr_mut(what as u32) {
        // SAFETY: a word of a map value.
        Some(place) => unsafe { atomic::fetch_add(place, 1) },
        None => 0,
    }
}

/// How many were counted.
#[inline(always)]
fn told(what: Tally) -> u64 {
    // SAFETY: a word of a map value.
    TALLIES.get_ptr(what as u32).map_or(0, |place| unsafe { atomic::load(place) })
}

/// Counts a process that `PROC` has no room for, in its row too, and says so in the log the first time.
#[inline(always)]
pub fn untracked(ctx: &impl EbpfContext, cgroup: u32) {
    if let Some(row) = row(cgroup) {
        add!(row, untracked, 1);
    }
    if tally(Tally::ProcFull) == 0 {
        warn!(
            ctx,
            "PROC is full: processes of cgroup {} are read from its files until there is room", cgroup
        );
    }
}
