//! Watches a receiver's interface while something is sent to it.

use std::{
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{Figures, Sandbox, counters};

/// Between two looks.
const PACE: Duration = Duration::from_millis(20);
/// Bytes of the headers of a TCP segment: Ethernet, IPv4, TCP with its timestamps.
const HEADERS: f64 = 14.0 + 20.0 + 32.0;
const SECOND: Duration = Duration::from_secs(1);

/// What arrived.
pub(super) struct Watched {
    pub bytes: f64,
    pub packets: f64,
    pub payload: f64,
    /// From the first packet to the last.
    pub seconds: f64,
    /// The greatest number of bytes in any second.
    pub most_in_a_second: f64,
    /// Milliseconds.
    pub ping: Option<Figures>,
}

/// Watches what `to` receives; `pings`: and asks it, too, from `from`.
pub(super) fn while_watched(
    to: &Sandbox,
    from: &Sandbox,
    pings: bool,
    send: impl FnOnce() -> Result<()> + Send,
) -> Result<Watched> {
    let is_over = AtomicBool::new(false);
    let asks = if pings { Some(ping(from, &to.ipv4())?) } else { None };
    let looks = thread::scope(|scope| {
        let watch = scope.spawn(|| watch(to, &is_over));
        let outcome = send();
        is_over.store(true, Ordering::Relaxed);
        let looks = watch.join().map_err(|_| anyhow::anyhow!("the watch panicked"))?;
        outcome.and(looks)
    })?;
    let ping = asks.map(|asks| -> Result<Figures> {
        let told = asks.wait_with_output().context("wait for ping")?.stdout;
        let told = String::from_utf8_lossy(&told).into_owned();
        let times = told.split("time=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok());
        Figures::of(times.collect::<Vec<f64>>())
    });
    summed(&looks, ping.transpose()?)
}

fn ping(from: &Sandbox, address: &str) -> Result<std::process::Child> {
    let mut command = from.command("busybox")?;
    command.args(["ping", "-c", "35", "-i", "0.1", "-w", "4", address]).stdout(Stdio::piped());
    command.spawn().context("start ping")
}

/// When, bytes, packets.
type Look = (Instant, u64, u64);

fn watch(to: &Sandbox, is_over: &AtomicBool) -> Result<Vec<Look>> {
    let look = || -> Result<Look> {
        let [bytes, packets, ..] = counters::inside(to.pid(), "eth0")?;
        Ok((Instant::now(), bytes, packets))
    };
    let mut looks = vec![look()?];
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(PACE);
        looks.push(look()?);
    }
    Ok(looks)
}

fn number(count: u64) -> f64 {
    // Far below 2^52.
    f64::from(u32::try_from(count >> 20).unwrap_or(u32::MAX)) * 1_048_576.0
        + f64::from(u32::try_from(count & 0xf_ffff).unwrap_or_default())
}

fn summed(looks: &[Look], ping: Option<Figures>) -> Result<Watched> {
    let (first, last) = looks.first().zip(looks.last()).context("no look")?;
    let (bytes, packets) = (number(last.1 - first.1), number(last.2 - first.2));
    let begun = looks.iter().take_while(|look| look.2 == first.2).last().unwrap_or(first);
    let ended = looks.iter().find(|look| look.2 == last.2).unwrap_or(last);
    // Each second begins at a look; its end lies between two, where as much passed as the time between them has part in it.
    let mut most = 0.0_f64;
    for (place, from) in looks.iter().enumerate() {
        let end = from.0 + SECOND;
        let Some(after) = looks[place..].iter().position(|look| look.0 >= end) else { break };
        let [before, after] = [&looks[place + after - 1], &looks[place + after]];
        let part = (end - before.0).as_secs_f64() / (after.0 - before.0).as_secs_f64();
        most = most.max(number(before.1 - from.1) + number(after.1 - before.1) * part);
    }
    Ok(Watched {
        bytes,
        packets,
        payload: bytes - packets * HEADERS,
        seconds: (ended.0 - begun.0).as_secs_f64().max(1e-3),
        most_in_a_second: most,
        ping,
    })
}
