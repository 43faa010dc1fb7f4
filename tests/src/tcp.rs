//! What the kernel itself counts of TCP in a network namespace: all of it, connections over loopback too.

use std::fs;

use anyhow::{Context as _, Result};

use crate::sandbox::Sandbox;

/// Counters of `/proc/PID/net/snmp`, named as there (RFC 4022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Connections that left CLOSED for SYN-SENT.
    pub active_opens: u64,
    /// Connections that left LISTEN for SYN-RECEIVED.
    pub passive_opens: u64,
    /// Connections that ended before they were established.
    pub attempt_fails: u64,
    /// Connections that ended at once.
    pub estab_resets: u64,
    /// Segments sent again.
    pub retrans_segs: u64,
    /// Resets sent.
    pub out_rsts: u64,
}

impl Tcp {
    /// Reads those of a sandbox.
    pub fn of(sandbox: &Sandbox) -> Result<Self> {
        let path = format!("/proc/{}/net/snmp", sandbox.pid());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = lines.next().zip(lines.next()).with_context(|| format!("no Tcp in {path}"))?;
        let value = |name: &str| {
            let place = names.split(' ').position(|other| other == name);
            let value = place.and_then(|place| values.split(' ').nth(place)?.parse().ok());
            value.with_context(|| format!("no {name} in {path}"))
        };
        Ok(Self {
            active_opens: value("ActiveOpens")?,
            passive_opens: value("PassiveOpens")?,
            attempt_fails: value("AttemptFails")?,
            estab_resets: value("EstabResets")?,
            retrans_segs: value("RetransSegs")?,
            out_rsts: value("OutRsts")?,
        })
    }
}
