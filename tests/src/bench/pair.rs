//! Two sandboxes on one bridge, and the packets that go from one to the other.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{
    bridge::Bridge,
    pins::Pins,
    sandbox::{Sandbox, Sink},
    wait,
};

/// Bytes of a small datagram.
const SMALL: &str = "64";

/// A sender and a receiver that takes what comes.
#[derive(Debug)]
pub struct Pair {
    sender: Sandbox,
    receiver: Sandbox,
    _sink: Sink,
    _bridge: Bridge,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packets {
    /// So many small datagrams, each by itself, without a pause.
    Small(u32),
    /// So many bytes over one TCP connection: packets as large as they get, and those that acknowledge them.
    Large(u64),
}

impl Pair {
    /// Two new ones. They say nothing by themselves.
    pub fn new() -> Result<Self> {
        let bridge = Bridge::new()?;
        let [mut sender, mut receiver] =
            [Sandbox::silent("bench-sender", 1)?, Sandbox::silent("bench-receiver", 2)?];
        sender.connect(&bridge)?;
        receiver.connect(&bridge)?;
        let sink = receiver.sink()?;
        Ok(Self { sender, receiver, _sink: sink, _bridge: bridge })
    }

    /// Numbers of the host's ends.
    pub fn interfaces(&self) -> Result<[u32; 2]> {
        Ok([self.sender.ifindex()?, self.receiver.ifindex()?])
    }

    /// Waits until an agent counts at both.
    pub fn wait_until_counted(&self, pins: &Pins) -> Result<()> {
        let interfaces = self.interfaces()?;
        wait::until_true("both are counted", || {
            let found = |ifindex: &u32, letter| pins.find(&format!("{letter}{ifindex}")).is_ok();
            Ok(interfaces.iter().all(|ifindex| found(ifindex, 'r') && found(ifindex, 't')))
        })
    }

    /// Sends, and gives the time that took.
    pub fn send(&self, packets: Packets) -> Result<Duration> {
        let begun = Instant::now();
        let to = self.receiver.ipv4();
        match packets {
            Packets::Small(count) => self.sender.traffic(&["flood", &to, SMALL, &count.to_string()])?,
            Packets::Large(bytes) => self.sender.traffic(&["tcp", &to, &bytes.to_string()])?,
        }
        Ok(begun.elapsed())
    }
}
