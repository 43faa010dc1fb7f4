//! Families of limits: each container's lines, what holds them, and what came of them.

use super::{Family, Read, Tell, Value, counter, gauge};
use crate::ledger::{
    limits::{Line, What},
    snapshot::Account,
};

/// Those of limits, in the order of the page.
pub const FAMILIES: &[Family] = &[
    gauge(
        "plimsoll_container_limit_tasks",
        "Tasks (processes and threads) that the container may have.",
        Read::Account(|account, tell| {
            each(
                account,
                |line| line.what == What::Tasks,
                tell,
                |line, tell| {
                    tell(&[("mode", line.mode), ("method", line.method)], Value::Count(line.value));
                },
            );
        }),
    ),
    gauge(
        "plimsoll_container_limit_bytes_per_second",
        "Bytes a second that the container may receive or transmit, all headers counted.",
        Read::Account(|account, tell| {
            each(account, is_rate, tell, |line, tell| {
                let labels = [("direction", direction(line)), ("mode", line.mode), ("method", line.method)];
                tell(&labels, Value::Count(line.value / 8));
            });
        }),
    ),
    gauge(
        "plimsoll_container_limit_held",
        "1 where the limit is held, 0 where it is not; with the reason why not, or not as well as elsewhere.",
        Read::Account(|account, tell| {
            each(
                account,
                |line| line.mode == ENFORCE,
                tell,
                |line, tell| {
                    let reason = line.degraded.as_deref().unwrap_or_default();
                    let labels = [("limit", line.what.as_str()), ("reason", reason)];
                    tell(&labels, Value::Count((!line.method.is_empty()).into()));
                },
            );
        }),
    ),
    counter(
        "plimsoll_container_pids_limit_hits_total",
        "Forks and threads that the kernel refused at the container's task limit.",
        Read::Account(|account, tell| {
            each(
                account,
                |line| line.what == What::Tasks && line.mode == ENFORCE,
                tell,
                |line, tell| {
                    tell(&[], Value::Count(line.counts.hits));
                },
            );
        }),
    ),
    counter(
        "plimsoll_container_limit_passed_bytes_total",
        "Bytes that passed the container's bandwidth limit, headers of each segment counted.",
        Read::Account(|account, tell| queue(account, tell, |line| line.counts.passed.bytes)),
    ),
    counter(
        "plimsoll_container_limit_passed_packets_total",
        "Packets that passed the container's bandwidth limit.",
        Read::Account(|account, tell| queue(account, tell, |line| line.counts.passed.packets)),
    ),
    counter(
        "plimsoll_container_limit_dropped_packets_total",
        "Packets that found no room at the container's bandwidth limit.",
        Read::Account(|account, tell| queue(account, tell, |line| line.counts.dropped.packets)),
    ),
    counter(
        "plimsoll_container_limit_delayed_packets_total",
        "How often a packet had to wait at the container's bandwidth limit.",
        Read::Account(|account, tell| queue(account, tell, |line| line.counts.delayed)),
    ),
    counter(
        "plimsoll_container_limit_at_line_seconds_total",
        "Seconds that the container was at its line; in a dry run, over it.",
        Read::Account(|account, tell| {
            each(
                account,
                |_| true,
                tell,
                |line, tell| {
                    let labels = [("limit", line.what.as_str()), ("mode", line.mode)];
                    tell(&labels, Value::Millis(line.counts.at_line_ms));
                },
            );
        }),
    ),
    counter(
        "plimsoll_limit_violations_total",
        "How often the container went over a line that a dry run does not hold.",
        Read::Account(|account, tell| {
            each(
                account,
                |line| line.mode != ENFORCE,
                tell,
                |line, tell| {
                    let labels = [("limit", line.what.as_str()), ("mode", line.mode)];
                    tell(&labels, Value::Count(line.counts.violations));
                },
            );
        }),
    ),
];

/// What a limit's mode is called that is held.
const ENFORCE: &str = "enforce";

fn each(
    account: &Account,
    wanted: impl Fn(&Line) -> bool,
    tell: Tell<'_>,
    mut each: impl FnMut(&Line, Tell<'_>),
) {
    for line in account.limits.iter().filter(|line| wanted(line)) {
        each(line, tell);
    }
}

fn queue(account: &Account, tell: Tell<'_>, read: fn(&Line) -> u64) {
    each(
        account,
        |line| is_rate(line) && line.mode == ENFORCE,
        tell,
        |line, tell| {
            tell(&[("direction", direction(line))], Value::Count(read(line)));
        },
    );
}

fn is_rate(line: &Line) -> bool {
    line.what != What::Tasks
}

/// As bytes have it.
fn direction(line: &Line) -> &'static str {
    if line.what == What::Ingress { "receive" } else { "transmit" }
}
