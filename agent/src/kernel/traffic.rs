//! The pinned maps of bytes and packets, opened and typed. Never attaches a program.

use std::{collections::HashMap as Map, path::Path};

use aya::maps::{HashMap, IterableMap as _, MapData};
use plimsoll_common::{
    names,
    port::{Port, Veth},
    traffic::{Direction, Lane, Traffic},
};

use super::{
    Error,
    maps::{absent_is_fine, entries, insert_new, open},
    veths::lane_mask,
};

/// Received and transmitted.
pub type Both = [Traffic; 2];

/// What an interface had counted when it was read last, see [`names::SEEN`].
pub type Seen = [u64; names::SEEN_WORDS];

/// What programs counted at an interface.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed {
    /// Received and transmitted.
    pub both: Both,
    /// The cgroup whose socket sent first; 0 where none did.
    pub sender: u64,
}

/// The maps, by what they hold.
pub struct TrafficMaps {
    lanes: HashMap<MapData, u64, Lane>,
    sockets: HashMap<MapData, u32, Both>,
    veths: HashMap<MapData, u32, Veth>,
    ports: HashMap<MapData, u64, Port>,
    seen: HashMap<MapData, u32, Seen>,
    /// Lanes per interface and direction, less one.
    mask: u32,
}

impl TrafficMaps {
    /// Opens those pinned in `directory`.
    ///
    /// # Errors
    /// One is missing or of another shape.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            lanes: open(directory, names::LANES)?,
            sockets: open(directory, names::SOCKETS)?,
            veths: open(directory, names::VETHS)?,
            ports: open(directory, names::PORTS)?,
            seen: open(directory, names::SEEN)?,
            mask: lane_mask()?,
        })
    }

    /// Room in each map: lanes, sockets, pairs, ports.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rooms(&self) -> Result<[u64; 4], Error> {
        let room = |map: &MapData, name| {
            map.info().map(|info| info.max_entries().into()).map_err(Error::map("look at", name))
        };
        Ok([
            room(self.lanes.map(), names::LANES)?,
            room(self.sockets.map(), names::SOCKETS)?,
            room(self.veths.map(), names::VETHS)?,
            room(self.ports.map(), names::PORTS)?,
        ])
    }

    /// Entries in the map of lanes that so many interfaces have.
    #[must_use]
    pub fn lanes(&self, interfaces: usize) -> u64 {
        interfaces as u64 * 2 * (u64::from(self.mask) + 1)
    }

    /// What programs counted at each interface.
    ///
    /// # Errors
    /// The kernel's.
    pub fn interfaces(&self) -> Result<Map<u32, Passed>, Error> {
        let mut interfaces: Map<u32, Passed> = Map::new();
        for (key, lane) in entries(&self.lanes, names::LANES)? {
            let passed = interfaces.entry(u32::try_from(key >> 32).unwrap_or_default()).or_default();
            if passed.sender == 0 {
                passed.sender = lane.cgroup;
            }
            let place =
                if key & 1 == Direction::Receive as u64 { Direction::Receive } else { Direction::Transmit };
            let sum = &mut passed.both[place as usize];
            *sum = sum.plus(&lane.traffic);
        }
        Ok(interfaces)
    }

    /// What the sockets of each cgroup counted.
    ///
    /// # Errors
    /// The kernel's.
    pub fn sockets(&self) -> Result<Map<u32, Both>, Error> {
        Ok(entries(&self.sockets, names::SOCKETS)?.into_iter().collect())
    }

    /// What is known of each veth pair.
    ///
    /// # Errors
    /// The kernel's.
    pub fn veths(&self) -> Result<Map<u32, Veth>, Error> {
        Ok(entries(&self.veths, names::VETHS)?.into_iter().collect())
    }

    /// All ports.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ports(&self) -> Result<Map<u64, Port>, Error> {
        Ok(entries(&self.ports, names::PORTS)?.into_iter().collect())
    }

    /// Writes down what is known of a veth pair.
    ///
    /// # Errors
    /// The kernel's: E2BIG when the map is full.
    pub fn put_veth(&mut self, ifindex: u32, veth: &Veth) -> Result<(), Error> {
        self.veths.insert(ifindex, veth, 0).map_err(Error::map("write", names::VETHS))
    }

    /// What each interface had counted when it was read last, where that was written down.
    ///
    /// # Errors
    /// The kernel's.
    pub fn seen(&self) -> Result<Map<u32, Seen>, Error> {
        Ok(entries(&self.seen, names::SEEN)?.into_iter().collect())
    }

    /// Writes down what an interface has counted.
    ///
    /// # Errors
    /// The kernel's: E2BIG when the map is full.
    pub fn put_seen(&mut self, ifindex: u32, seen: &Seen) -> Result<(), Error> {
        self.seen.insert(ifindex, seen, 0).map_err(Error::map("write", names::SEEN))
    }

    /// Forgets what an interface had counted.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete_seen(&mut self, ifindex: u32) -> Result<(), Error> {
        absent_is_fine(self.seen.remove(&ifindex), names::SEEN)
    }

    /// Makes a port, unless there is one.
    ///
    /// # Errors
    /// The kernel's: E2BIG when the map is full.
    pub fn make_port(&mut self, key: u64, port: &Port) -> Result<(), Error> {
        insert_new(&mut self.ports, key, port, names::PORTS)
    }

    /// Replaces a port in one step.
    ///
    /// # Errors
    /// The kernel's.
    pub fn put_port(&mut self, key: u64, port: &Port) -> Result<(), Error> {
        self.ports.insert(key, port, 0).map_err(Error::map("write", names::PORTS))
    }

    /// Forgets a port.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete_port(&mut self, key: u64) -> Result<(), Error> {
        absent_is_fine(self.ports.remove(&key), names::PORTS)
    }
}
