//! Bridges and interfaces in the host's namespace, to which sandboxes and containers are joined.

use std::{
    fs,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use anyhow::{Context as _, Result};

use crate::host;

/// The host's address on a bridge.
const HOST: &str = "10.214.0.1";

static MADE: AtomicU32 = AtomicU32::new(0);

/// A bridge in the host's namespace, without an address. Its end removes it.
#[derive(Debug)]
pub struct Bridge {
    name: String,
}

impl Bridge {
    /// A bridge of a name of its own.
    pub fn new() -> Result<Self> {
        let name = interface("b");
        ip(&["link", "add", &name, "type", "bridge", "mcast_snooping", "0"])?;
        let bridge = Self { name };
        keep_quiet(&bridge.name)?;
        ip(&["link", "set", &bridge.name, "up"])?;
        Ok(bridge)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the host an address on it.
    pub fn give_address(&self) -> Result<()> {
        ip(&["addr", "add", &format!("{HOST}/24"), "dev", &self.name])
    }

    /// Takes all interfaces on it down: nothing passes them any more, not even what the kernel says by itself.
    pub fn fall_silent(&self) -> Result<()> {
        let ports = fs::read_dir(format!("/sys/class/net/{}/brif", self.name)).context("list its ports")?;
        for port in ports {
            ip(&["link", "set", &port?.file_name().to_string_lossy(), "down"])?;
        }
        Ok(())
    }

    /// The host's address on it, once it has one.
    #[must_use]
    pub fn address(&self) -> &'static str {
        HOST
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _gone_before = ip(&["link", "del", &self.name]);
    }
}

/// A veth pair whose ends are both in the host's namespace: one on a bridge, the other bare. Its end removes it.
#[derive(Debug)]
pub struct Trunk {
    name: String,
}

impl Trunk {
    /// One on that bridge.
    pub fn on(bridge: &Bridge) -> Result<Self> {
        let [name, other] = ["t", "u"].map(interface);
        ip(&["link", "add", &name, "type", "veth", "peer", "name", &other])?;
        let trunk = Self { name };
        ip(&["link", "set", &other, "master", &bridge.name, "up"])?;
        ip(&["link", "set", &trunk.name, "up"])?;
        Ok(trunk)
    }

    /// The name of the bare end.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Trunk {
    fn drop(&mut self) {
        let _gone_before = ip(&["link", "del", &self.name]);
    }
}

/// A name for an interface that no other one has.
pub(crate) fn interface(kind: &str) -> String {
    format!("plt{}{kind}{}", process::id() % 100_000, MADE.fetch_add(1, Relaxed))
}

/// Has the kernel say nothing by itself at an interface.
pub(crate) fn keep_quiet(interface: &str) -> Result<()> {
    let file = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    fs::write(file, "1").with_context(|| format!("keep {interface} quiet"))
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &[&str]) -> Result<()> {
    host::run(Command::new("ip").args(words)).map(drop)
}
