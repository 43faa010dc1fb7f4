//! Keeps the lines equal to the pinned maps of bytes: writes pairs down, settles, folds, retires. No async.

mod sources;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::{Duration, Instant},
};

use plimsoll_common::{
    command::{Answer, Command, GONE, Settle},
    names,
    port::{Port, port_key},
    traffic::Count,
    word::cgroup_key,
};

use super::traffic::{Counted, Lines, News, SEVERAL, UNKNOWN, by_account, closed, new_port};

use crate::{
    inventory::wires::{Heard, Location, Question, Wire, as_the_container_sees},
    kernel::{Commands, Error, traffic::TrafficMaps},
    network::Link,
};

/// How long the account of a pair is looked for before what it counts is nobody's.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names of interfaces of one account at most; what comes later is shown as [`SEVERAL`].
const MOST_NAMES: usize = 16;
/// Cgroups whose account is remembered at most.
const MAX_CGROUPS: usize = 65_536;

/// Whose a port is that belongs to the whole host, and the names of those.
pub const HOST: u64 = 0;
/// All containers that are gone.
pub const CONTAINERS: &str = "containers";
/// All other cgroups that are gone.
pub const CGROUPS: &str = "cgroups";
/// Pairs that were nobody's.
pub const NOBODY: &str = "unattributed";

/// The lines and the maps behind them.
pub struct Meter {
    /// Pairs and places.
    pub lines: Lines,
    /// Whether interfaces are watched.
    pub watched: bool,
    maps: TrafficMaps,
    /// Accounts whose first program runs: until then their processes may be somewhere else.
    settled: HashSet<u64>,
    /// Accounts of cgroups, also of some that are gone.
    cgroups: HashMap<u32, u64>,
    told_full: bool,
    /// The account to which bytes go that no port has room for.
    other: u64,
}

impl Meter {
    /// Restores the lines from the maps pinned in `directory`. `other` is the key of the workload "other".
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(directory: &Path, other: u64) -> Result<Self, Error> {
        let mut maps = TrafficMaps::open(&directory.join("maps"))?;
        for name in [CONTAINERS, CGROUPS, NOBODY] {
            maps.make_port(port_key(HOST, name.as_bytes()), &new_port(HOST, name))?;
        }
        maps.make_port(port_key(other, b""), &new_port(other, ""))?;
        let lines = Lines::restore(maps.veths()?, &maps.ports()?, &maps.seen()?, Instant::now());
        Ok(Self {
            lines,
            watched: true,
            maps,
            settled: HashSet::new(),
            cgroups: HashMap::new(),
            told_full: false,
            other,
        })
    }

    /// Takes in what the watcher of interfaces tells; gives what is to be asked of it now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn heard(&mut self, heard: Heard, commands: &Commands) -> Result<Vec<Question>, Error> {
        let mut questions = Vec::new();
        match heard {
            Heard::Wire(wire) => {
                if let Err(reason) = &wire.counted {
                    tracing::debug!("interface {} is read from its own counters: {reason}", wire.ifindex);
                }
                if let Some(veth) = self.lines.appeared(&wire, Instant::now()) {
                    let result = self.maps.put_veth(wire.ifindex, &veth);
                    self.or_full(result)?;
                }
            }
            Heard::Gone(ifindex, last) => {
                self.gone(ifindex, last.as_ref(), commands)?;
                questions.push(Question::Forget(ifindex));
            }
            Heard::Found(account, place) => {
                if place != Location::Host || self.settled.contains(&account) {
                    self.lines.found(account, place);
                }
            }
            Heard::Owner(ifindex, account, interface) => self.give(ifindex, account, &interface, commands)?,
            Heard::Counters(readings) => {
                let News { renamed, held, seen } = self.lines.read(readings);
                for (ifindex, veth) in held {
                    self.maps.put_veth(ifindex, &veth)?;
                }
                for (ifindex, seen) in seen {
                    let result = self.maps.put_seen(ifindex, &seen);
                    self.or_full(result)?;
                }
                for (ifindex, account, interface) in renamed {
                    self.give(ifindex, account, &interface, commands)?;
                }
            }
            Heard::Listed(there) => {
                let gone: Vec<u32> =
                    self.lines.ifindexes().filter(|ifindex| !there.contains(ifindex)).collect();
                for ifindex in gone {
                    self.gone(ifindex, None, commands)?;
                    questions.push(Question::Forget(ifindex));
                }
            }
            Heard::Failed(reason) => {
                self.watched = false;
                tracing::error!(
                    "network interfaces are not watched, new ones are not counted until the agent starts again: {reason}"
                );
            }
        }
        Ok(questions)
    }

    /// Gives pairs that nobody was found for to nobody: what they count from now on is shown as such.
    ///
    /// # Errors
    /// The kernel's.
    pub fn give_up(&mut self, commands: &Commands) -> Result<(), Error> {
        for ifindex in self.lines.orphans(Instant::now(), PATIENCE) {
            self.give(ifindex, HOST, NOBODY, commands)?;
        }
        Ok(())
    }

    /// The first program of an account runs: its processes are where they will stay.
    pub fn settled(&mut self, account: u64) {
        self.settled.insert(account);
    }

    /// A cgroup is that account's; it is remembered until the account is retired.
    pub fn owned(&mut self, cgroup: u32, account: u64) {
        if self.cgroups.len() < MAX_CGROUPS {
            self.cgroups.insert(cgroup, account);
        }
    }

    /// A cgroup is gone that no pair can lead to any more.
    pub fn disowned(&mut self, cgroup: u32) {
        self.cgroups.remove(&cgroup);
    }

    /// The account of a cgroup, also of one that is gone.
    #[must_use]
    pub fn account_of(&self, cgroup: u32) -> Option<u64> {
        self.cgroups.get(&cgroup).copied()
    }

    /// A pair is that account's from now on; what passed before stays where it was counted, if that was somewhere.
    fn give(
        &mut self,
        ifindex: u32,
        account: u64,
        interface: &str,
        commands: &Commands,
    ) -> Result<(), Error> {
        let Some(veth) = self.lines.veth(ifindex) else { return Ok(()) };
        let ports = self.maps.ports()?;
        let own = ports.values().filter(|port| port.account == account && port.interface[0] != 0);
        // Who may name interfaces may give each a hundred names.
        let is_known = ports.contains_key(&port_key(account, interface.as_bytes()));
        let interface = if is_known || own.count() < MOST_NAMES { interface } else { SEVERAL };
        let port = port_key(account, interface.as_bytes());
        if veth.port == port {
            return Ok(());
        }
        let made = self.maps.make_port(port, &new_port(account, interface));
        if !self.or_full(made)? {
            return Ok(());
        }
        let passed = self.lines.passed(ifindex, &self.maps.interfaces()?).unwrap_or_default();
        let told = if veth.port == 0 {
            self.close_sockets(account, interface, Some(&passed))?
        } else {
            self.close_sockets(account, interface, None)?;
            let settle = |from| {
                let command = Command { key: ifindex.into(), from, to: port };
                commands.settle(&Settle { command, flows: passed })
            };
            if settle(veth.port)? != Answer::Done {
                settle(port_key(HOST, NOBODY.as_bytes()))?;
            }
            Some(passed)
        };
        if let Some(veth) = self.lines.given(ifindex, account, interface, told.as_ref()) {
            self.maps.put_veth(ifindex, &veth)?;
        }
        Ok(())
    }

    fn gone(&mut self, ifindex: u32, last: Option<&Link>, commands: &Commands) -> Result<(), Error> {
        let counted = self.maps.interfaces()?;
        let sender = counted.get(&ifindex).and_then(|passed| self.account_of(cgroup_key(passed.sender)));
        let veth = match self.lines.veth(ifindex) {
            Some(veth) => veth,
            // Counted, and an agent was killed before it wrote that down.
            None if sender.is_some() => {
                let wire = Wire { ifindex, counted: Ok(()), offset: [Count::default(); 2] };
                let Some(veth) = self.lines.appeared(&wire, Instant::now()) else { return Ok(()) };
                let result = self.maps.put_veth(ifindex, &veth);
                self.or_full(result)?;
                veth
            }
            None => return Ok(()),
        };
        let last = last.map(as_the_container_sees);
        let flows = self.lines.passed_in_all(ifindex, &counted, last).unwrap_or_default();
        let nobody = port_key(HOST, NOBODY.as_bytes());
        let from = match (veth.port, sender) {
            (0, None) => nobody,
            // Its namespace was gone before it was asked for; whose socket sent first, is still known.
            (0, Some(account)) => {
                let port = port_key(account, UNKNOWN.as_bytes());
                let made = self.maps.make_port(port, &new_port(account, UNKNOWN));
                self.or_full(made)?;
                port
            }
            (port, _) => port,
        };
        let settle = |from| {
            commands.settle(&Settle { command: Command { key: ifindex.into(), from, to: GONE }, flows })
        };
        if settle(from)? == Answer::Full {
            settle(nobody)?;
        }
        self.maps.delete_seen(ifindex)?;
        self.lines.gone(ifindex, Instant::now());
        Ok(())
    }

    /// Adds what the sockets of a dead cgroup counted to its account; to nobody's where it has none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn fold(&mut self, cgroup: u32, account: Option<u64>, commands: &Commands) -> Result<(), Error> {
        let nobody = port_key(HOST, NOBODY.as_bytes());
        let Some(account) = account else { return commands.fold_sockets(cgroup, nobody).map(drop) };
        let port = port_key(account, b"");
        if commands.fold_sockets(cgroup, port)? == Answer::Full {
            let made = self.maps.make_port(port, &new_port(account, ""));
            self.or_full(made)?;
            if commands.fold_sockets(cgroup, port)? == Answer::Full {
                commands.fold_sockets(cgroup, nobody)?;
            }
        }
        Ok(())
    }

    /// Adds all that dead accounts have to their workloads and to the host's shares.
    ///
    /// # Errors
    /// The kernel's.
    pub fn retire(&mut self, accounts: &HashMap<u64, (u64, &str)>, commands: &Commands) -> Result<(), Error> {
        if accounts.is_empty() {
            return Ok(());
        }
        // Pairs that outlive their account: what passed is its own, what comes is somebody else's.
        let pairs = self.lines.owned().filter(|(_, account, _)| accounts.contains_key(account));
        for ifindex in pairs.map(|(ifindex, ..)| ifindex).collect::<Vec<_>>() {
            self.give(ifindex, HOST, NOBODY, commands)?;
        }
        let counted = Counted { ports: self.maps.ports()?, ..Counted::default() };
        let own = by_account(&counted, |_| None);
        let has_name = |port: &&Port| port.interface[0] != 0;
        let named: HashSet<u64> = counted.ports.values().filter(has_name).map(|port| port.account).collect();
        // One whose place nobody ever knew was shown by nothing: what its sockets counted is its workload's all the same.
        let is_told = |port: &&Port| has_name(port) || !named.contains(&port.account);
        for (key, port) in counted.ports.iter().filter(|(_, port)| is_told(port)) {
            let Some((workload, share)) = accounts.get(&port.account) else { continue };
            if port.by_sockets == 1 {
                let own = own.get(&port.account).copied().unwrap_or_default();
                self.maps.put_port(*key, &closed(port, &own))?;
            }
            let (into, share) = (port_key(*workload, b""), port_key(HOST, share.as_bytes()));
            let made = self.maps.make_port(into, &new_port(*workload, ""));
            self.or_full(made)?;
            if commands.retire_port(*key, into, share)? == Answer::Full {
                commands.retire_port(*key, port_key(self.other, b""), share)?;
            }
        }
        self.cgroups.retain(|_, owner| !accounts.contains_key(owner));
        self.settled.retain(|account| !accounts.contains_key(account));
        for account in accounts.keys() {
            self.lines.forget_place(*account);
            self.maps.delete_port(port_key(*account, b""))?;
        }
        Ok(())
    }

    /// What the maps hold now.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn counted(&self) -> Result<Counted, Error> {
        Ok(Counted {
            interfaces: self.maps.interfaces()?,
            sockets: self.maps.sockets()?,
            ports: self.maps.ports()?,
        })
    }

    /// Maps by name: entries, room.
    ///
    /// # Errors
    /// The kernel's.
    pub fn fill(&self, counted: &Counted) -> Result<[(&'static str, u64, u64); 4], Error> {
        let [lanes, sockets, veths, ports] = self.maps.rooms()?;
        Ok([
            (names::LANES, self.maps.lanes(counted.interfaces.len()), lanes),
            (names::SOCKETS, counted.sockets.len() as u64, sockets),
            (names::VETHS, self.lines.ifindexes().count() as u64, veths),
            (names::PORTS, counted.ports.len() as u64, ports),
        ])
    }

    /// Whether there was room; where there was none, that is told once.
    fn or_full(&mut self, result: Result<(), Error>) -> Result<bool, Error> {
        match result {
            Err(Error::Map { what, map, source }) => {
                if !std::mem::replace(&mut self.told_full, true) {
                    tracing::warn!("{what} map {map}: {source}: bytes of new interfaces count for nobody");
                }
                Ok(false)
            }
            result => result.map(|()| true),
        }
    }
}
