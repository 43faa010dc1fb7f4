//! Orders of the agent. Each is one run of a program, so that a killed agent leaves it done or not done, never half.

use aya_ebpf::{bindings::BPF_NOEXIST, macros::classifier, maps::HashMap, programs::TcContext};
use aya_log_ebpf::warn;
use plimsoll_common::{
    command::{Answer, Command, GONE, HEADER, SIZE, Target},
    port::Flow,
    row::Row,
    tally::Tally,
    traffic::Traffic,
    word::{Word, cgroup_key},
};

use crate::{
    atomic,
    count::{gauge, row, tally},
    maps::{FOLDED, IMPORTED, PORTS, PROC, ROWS, SOCKETS, VETHS},
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
    add_words(sum.cast(), row.cast(), Row::FIRST_COUNTER, Row::WORDS);
    if delete() { Answer::Done } else { Answer::Absent }
}

/// Adds the words of `from` to those of `sum`, from the place `first` to before `end`.
#[inline(always)]
fn add_words(sum: *mut u64, from: *const u64, first: usize, end: usize) {
    for word in first..end {
        // SAFETY: both are live and have `end` words.
        unsafe { atomic::add(sum.add(word), atomic::load(from.add(word))) };
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
        add_words(into.cast(), (&raw const old).cast(), 0, Row::WORDS);
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

/// Adds what passed a veth pair to its port, and takes it away there: by deleting the pair, or by giving it to another
/// port from now on.
#[classifier]
fn settle(ctx: TcContext) -> i32 {
    answer(&ctx, |Command { key, from, to }| {
        let ifindex = cgroup_key(key);
        let Some(veth) = VETHS.get_ptr_mut(ifindex) else { return Answer::Absent };
        let Some(port) = PORTS.get_ptr_mut(from) else { return Answer::Full };
        for word in 0..2 * Flow::WORDS {
            let Ok(passed) = ctx.load::<u64>(SIZE + 8 * word) else { return Answer::Malformed };
            // SAFETY: both are live map values with so many words there.
            unsafe {
                atomic::add((&raw mut (*port).flows).cast::<u64>().add(word), passed);
                atomic::add((&raw mut (*veth).base).cast::<u64>().add(word), passed.wrapping_neg());
            }
        }
        if to == GONE {
            let _ = VETHS.remove(ifindex);
        } else {
            // SAFETY: a live map value.
            unsafe { (*veth).port = to };
        }
        Answer::Done
    })
}

/// Adds what the sockets of a dead cgroup counted to a port, and deletes the row.
#[classifier]
fn fold_sockets(ctx: TcContext) -> i32 {
    answer(&ctx, |Command { key, from, .. }| {
        let cgroup = cgroup_key(key);
        let Some(row) = SOCKETS.get_ptr_mut(cgroup) else { return Answer::Absent };
        let Some(port) = PORTS.get_ptr_mut(from) else { return Answer::Full };
        for direction in 0..2 {
            // SAFETY: both are live map values, with two directions.
            let (sum, traffic) = unsafe {
                let sum = (&raw mut (*port).flows).cast::<Flow>().add(direction).cast::<u64>();
                (sum, row.cast::<Traffic>().add(direction).cast::<u64>())
            };
            add_words(sum, traffic, 0, Traffic::WORDS);
        }
        if SOCKETS.remove(cgroup).is_ok() { Answer::Done } else { Answer::Absent }
    })
}

/// Adds the sum of a dead account's port to its workload's and to the host's, and deletes it.
#[classifier]
fn retire_port(ctx: TcContext) -> i32 {
    answer(&ctx, |Command { key, from, to }| {
        let Some(port) = PORTS.get_ptr_mut(key) else { return Answer::Absent };
        let (Some(workload), Some(host)) = (PORTS.get_ptr_mut(from), PORTS.get_ptr_mut(to)) else {
            return Answer::Full;
        };
        for sum in [workload, host] {
            // SAFETY: both are live map values.
            let (sum, flows) = unsafe { ((&raw mut (*sum).flows).cast(), (&raw const (*port).flows).cast()) };
            add_words(sum, flows, 0, 2 * Flow::WORDS);
        }
        if PORTS.remove(key).is_ok() { Answer::Done } else { Answer::Absent }
    })
}
