//! Orders of the agent. Each is one run of a program, so that a killed agent leaves it done or not done, never half.

use aya_ebpf::{bindings::BPF_NOEXIST, macros::classifier, maps::HashMap, programs::TcContext};
use aya_log_ebpf::warn;
use plimsoll_common::{
    command::{Answer, Command, HEADER, SIZE, Target},
    row::Row,
    tally::Tally,
    word::{Word, cgroup_key},
};

use crate::{
    atomic,
    count::{gauge, row, tally},
    maps::{FOLDED, IMPORTED, PROC, ROWS},
};

#[inline(always)]
fn read(ctx: &TcContext) -> Option<Command> {
    let field = |at: usize| ctx.load::<u64>(HEADER + 8 * at).ok();
    Some(Command { key: field(0)?, from: field(1)?, to: field(2)? })
}

#[inline(always)]
fn answer(ctx: &TcContext, act: impl FnOnce(Command) -> Answer) -> i32 {
    match read(ctx) {
        Some(command) => act(command) as i32,
        None => Answer::Malformed as i32,
    }
}

/// Adds the row of a dead cgroup to its account and deletes it.
#[classifier]
fn fold(ctx: TcContext) -> i32 {
    answer(&ctx, |command| {
        let cgroup = cgroup_key(command.key);
        let Some(row) = ROWS.get_ptr_mut(cgroup) else { return Answer::Absent };
        // SAFETY: `row` is a live map value.
        if unsafe { (*row).processes != 0 || (*row).threads != 0 } {
            tally(Tally::FoldRemainder);
        }
        let answer = merge(row, command.from, || ROWS.remove(cgroup).is_ok());
        if matches!(answer, Answer::Full) {
            warn!(&ctx, "FOLDED is full: cgroup {} counts for no workload of its own", cgroup);
        }
        answer
    })
}

/// Adds the sum of a dead account to its workload and deletes it.
#[classifier]
fn retire(ctx: TcContext) -> i32 {
    answer(&ctx, |command| {
        let Some(sum) = FOLDED.get_ptr_mut(command.key) else { return Answer::Absent };
        merge(sum, command.from, || FOLDED.remove(command.key).is_ok())
    })
}

/// Adds the counters of `row` to the sum `into`, then deletes the row.
#[inline(always)]
fn merge(row: *mut Row, into: u64, delete: impl FnOnce() -> bool) -> Answer {
    let Some(sum) = sum_of(&FOLDED, into) else { return Answer::Full };
    add_words(sum, row, Row::FIRST_COUNTER);
    if delete() { Answer::Done } else { Answer::Absent }
}

/// Adds the words of `row` to those of `sum`, from `first` on.
#[inline(always)]
fn add_words(sum: *mut Row, row: *const Row, first: usize) {
    let (row, sum): (*const u64, *mut u64) = (row.cast(), sum.cast());
    for word in first..Row::WORDS {
        // SAFETY: both are live rows of `WORDS` words.
        unsafe { atomic::add(sum.add(word), atomic::load(row.add(word))) };
    }
}

/// Adds a row of an older layout, gauges too, and notes that it was done: a second order does nothing.
#[classifier]
fn import(ctx: TcContext) -> i32 {
    answer(&ctx, |Command { key, from: layout, to: target }| {
        let token = [layout << 32 | target, key];
        if IMPORTED.get_ptr(token).is_some() {
            return Answer::Done;
        }
        let Ok(old) = ctx.load::<Row>(SIZE) else { return Answer::Malformed };
        let into = if target == Target::Rows as u64 { row(cgroup_key(key)) } else { sum_of(&FOLDED, key) };
        let Some(into) = into else { return Answer::Full };
        if IMPORTED.insert(token, 1, BPF_NOEXIST.into()).is_err() {
            return Answer::Full;
        }
        add_words(into, &raw const old, 0);
        Answer::Done
    })
}

#[inline(always)]
fn sum_of(sums: &HashMap<u64, Row>, key: u64) -> Option<*mut Row> {
    if let Some(sum) = sums.get_ptr_mut(key) {
        return Some(sum);
    }
    let _ = sums.insert(key, Row::ZERO, BPF_NOEXIST.into());
    sums.get_ptr_mut(key)
}

/// Puts one process right: enters it (`from` 0), deletes it (`to` 0), or changes its word.
#[classifier]
fn repair(ctx: TcContext) -> i32 {
    answer(&ctx, |Command { key, from, to }| {
        let tgid = cgroup_key(key);
        if from == 0 {
            if PROC.insert(tgid, to, BPF_NOEXIST.into()).is_err() {
                return Answer::Full;
            }
            gauge(Word(to), 1);
            return Answer::Done;
        }
        let Some(place) = PROC.get_ptr_mut(tgid) else { return Answer::Absent };
        // SAFETY: `place` is a live map value.
        if unsafe { atomic::compare_exchange(place, from, to) }.is_err() {
            return Answer::Changed;
        }
        gauge(Word(from), -1);
        if to == 0 {
            let _ = PROC.remove(tgid);
        } else {
            gauge(Word(to), 1);
        }
        Answer::Done
    })
}
