//! What the kernel itself counts of TCP in a network namespace: all of it, connections over loopback too.

use std::fs;

use anyhow::{Context as _, Result};

use crate::sandbox::Sandbox;

/// Counters of `/proc/PID/net/snmp`, named as there (RFC 4022), and one more.
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
    /// Segments that were to be sent again and failed on the way out: `TCPRetransFail` of `/proc/PID/net/netstat`.
    pub retrans_fail: u64,
}

impl Tcp {
    /// Reads those of a sandbox.
    pub fn of(sandbox: &Sandbox) -> Result<Self> {
        let value = |file, group, name| counter(sandbox.pid(), file, group, name);
        Ok(Self {
            active_opens: value("snmp", "Tcp", "ActiveOpens")?,
            passive_opens: value("snmp", "Tcp", "PassiveOpens")?,
            attempt_fails: value("snmp", "Tcp", "AttemptFails")?,
            estab_resets: value("snmp", "Tcp", "EstabResets")?,
            retrans_segs: value("snmp", "Tcp", "RetransSegs")?,
            out_rsts: value("snmp", "Tcp", "OutRsts")?,
            retrans_fail: value("netstat", "TcpExt", "TCPRetransFail")?,
        })
    }
}

/// One counter: two lines begin with its group, one of names and one of values.
fn counter(pid: u32, file: &str, group: &str, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/net/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let mut lines = text.lines().filter(|line| line.split(':').next() == Some(group));
    let (names, values) = lines.next().zip(lines.next()).with_context(|| format!("no {group} in {path}"))?;
    let place = names.split(' ').position(|other| other == name);
    let value = place.and_then(|place| values.split(' ').nth(place)?.parse().ok());
    value.with_context(|| format!("no {name} in {path}"))
}
