//! Which bytes are whose: veth pairs, the ports they count for, and where accounts' processes are. Data in, sums out: no
//! I/O, no clock.

mod pair;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

use pair::{Pair, drops};

use plimsoll_common::{
    port::{Flow, Flows, NAME, Port, Veth, plus, port_key},
    traffic::{Count, Traffic},
};

use super::snapshot::{Interface, Network, NetworkSource};
use crate::{
    inventory::wires::{Location, Reading, Wire},
    kernel::traffic::{Both, Passed, Seen},
    network::{Counters, Namespace},
};

/// Name of the interface under which the host's network is shown, as cAdvisor does.
pub const HOST: &str = "host";
/// Name of an interface whose container was gone before it could be looked at.
pub const UNKNOWN: &str = "unknown";
/// Name under which several interfaces are shown that only sockets tell of.
pub const SEVERAL: &str = "several";

/// What was read from the maps at one moment.
#[derive(Debug, Default)]
pub struct Counted {
    /// By programs at interfaces.
    pub interfaces: HashMap<u32, Passed>,
    /// By programs at sockets.
    pub sockets: HashMap<u32, Both>,
    /// What is not counted elsewhere any more.
    pub ports: HashMap<u64, Port>,
}

/// All pairs and places.
#[derive(Debug, Default)]
pub struct Lines {
    pairs: BTreeMap<u32, Pair>,
    places: HashMap<u64, Location>,
    /// When accounts lost a pair: another may be about to come.
    lost: HashMap<u64, Instant>,
}

/// What readings of interfaces tell beside the numbers.
#[derive(Debug, Default)]
pub struct News {
    /// Pairs whose name in their container is another now, with the account and that name.
    pub renamed: Vec<(u32, u64, String)>,
    /// Pairs behind whose programs packets stay, as they are to be written down.
    pub held: Vec<(u32, Veth)>,
    /// What is to be written down of the interface's own counters.
    pub seen: Vec<(u32, Seen)>,
}

/// Whose a pair is that nobody was found for.
const NOBODYS: u64 = 0;

/// How long an account that lost its pair waits before it is shown by what its sockets count.
const RECONNECT: Duration = Duration::from_secs(30);

impl Lines {
    /// Those that another agent wrote down.
    #[must_use]
    pub fn restore(
        veths: HashMap<u32, Veth>,
        ports: &HashMap<u64, Port>,
        seen: &HashMap<u32, Seen>,
        now: Instant,
    ) -> Self {
        let pair = |(ifindex, veth): (u32, Veth)| {
            let owner = ports.get(&veth.port).map(|port| (port.account, interface_of(port)));
            (ifindex, Pair::restore(&veth, owner, seen.get(&ifindex), now))
        };
        Self { pairs: veths.into_iter().map(pair).collect(), places: HashMap::new(), lost: HashMap::new() }
    }

    /// The host's end of a pair is counted: what is to be written down of it, if it was not known.
    pub fn appeared(&mut self, wire: &Wire, now: Instant) -> Option<Veth> {
        if self.pairs.contains_key(&wire.ifindex) {
            return None;
        }
        let mut veth = Veth {
            port: 0,
            counted: wire.counted.is_ok().into(),
            offset: wire.offset,
            base: [Flow::ZERO; 2],
        };
        if wire.counted.is_ok() {
            for (base, offset) in veth.base.iter_mut().zip(wire.offset) {
                base.uncounted = offset;
            }
        }
        self.pairs.insert(wire.ifindex, Pair::new(&veth, None, now));
        Some(veth)
    }

    /// What is written down of a pair.
    #[must_use]
    pub fn veth(&self, ifindex: u32) -> Option<Veth> {
        self.pairs.get(&ifindex).map(|pair| pair.veth)
    }

    /// A pair belongs to that account from now on; `passed` was its former port's.
    pub fn given(
        &mut self,
        ifindex: u32,
        account: u64,
        interface: &str,
        passed: Option<&Flows>,
    ) -> Option<Veth> {
        let pair = self.pairs.get_mut(&ifindex)?;
        pair.owner = Some((account, interface.to_owned()));
        pair.veth.port = port_key(account, interface.as_bytes());
        if let Some(passed) = passed {
            for (base, passed) in pair.veth.base.iter_mut().zip(passed) {
                *base = base.plus(&passed.complement());
            }
        }
        Some(pair.veth)
    }

    /// A pair is gone.
    pub fn gone(&mut self, ifindex: u32, now: Instant) {
        if let Some((account, _)) = self.pairs.remove(&ifindex).and_then(|pair| pair.owner) {
            self.lost.retain(|_, when| now.duration_since(*when) < RECONNECT);
            self.lost.insert(account, now);
        }
    }

    /// What interfaces counted.
    pub fn read(&mut self, readings: Vec<Reading>) -> News {
        let mut news = News::default();
        for reading in readings {
            let ifindex = reading.ifindex;
            let Some(pair) = self.pairs.get_mut(&ifindex) else { continue };
            if let (Some((account, name)), Some((now, _))) = (&pair.owner, &reading.inside)
                && name != now
            {
                news.renamed.push((ifindex, *account, now.clone()));
            }
            if (reading.is_queued || drops(&reading.outside)) && pair.hold() {
                news.held.push((ifindex, pair.veth));
            }
            news.seen.extend(pair.saw(reading).map(|seen| (ifindex, seen)));
        }
        news
    }

    /// Whether there are pairs that only their interfaces count.
    #[must_use]
    pub fn any_by_interface(&self) -> bool {
        self.pairs.values().any(|pair| !pair.is_counted())
    }

    /// Pairs whose account has no cgroup any more, each told once.
    pub fn forsaken(&mut self, is_live: impl Fn(u64) -> bool) -> Vec<u32> {
        let mut forsaken = Vec::new();
        for (ifindex, pair) in &mut self.pairs {
            let Some((account, _)) = &pair.owner else { continue };
            let is_forsaken = *account != NOBODYS && !is_live(*account);
            if is_forsaken && !pair.is_forsaken {
                forsaken.push(*ifindex);
            }
            pair.is_forsaken = is_forsaken;
        }
        forsaken
    }

    /// Where the processes of an account are.
    pub fn found(&mut self, account: u64, place: Location) {
        self.places.insert(account, place);
    }

    /// Where the processes of an account were seen.
    #[must_use]
    pub fn place(&self, account: u64) -> Option<&Location> {
        self.places.get(&account)
    }

    /// An account went, or its processes were started anew.
    pub fn forget_place(&mut self, account: u64) {
        self.places.remove(&account);
    }

    /// Pairs that are there.
    pub fn ifindexes(&self) -> impl Iterator<Item = u32> {
        self.pairs.keys().copied()
    }

    /// Pairs that nobody was found for in so long a time.
    #[must_use]
    pub fn orphans(&self, now: Instant, patience: Duration) -> Vec<u32> {
        let is_orphan = |pair: &Pair| pair.owner.is_none() && now.duration_since(pair.since) >= patience;
        self.pairs.iter().filter(|(_, pair)| is_orphan(pair)).map(|(ifindex, _)| *ifindex).collect()
    }

    /// Whether pairs are read from their interfaces, too.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Pairs that are somebody's, with the account and the name that they have there.
    pub fn owned(&self) -> impl Iterator<Item = (u32, u64, &str)> {
        self.pairs.iter().filter_map(|(ifindex, pair)| {
            let (account, name) = pair.owner.as_ref()?;
            Some((*ifindex, *account, name.as_str()))
        })
    }

    /// What passed a pair and is in no port yet.
    #[must_use]
    pub fn passed(&self, ifindex: u32, interfaces: &HashMap<u32, Passed>) -> Option<Flows> {
        let pair = self.pairs.get(&ifindex)?;
        Some(pair.passed(interfaces.get(&ifindex).map(|passed| &passed.both)))
    }

    /// What passed a pair that is gone, and is in no port yet; `last` is what its interface had counted in the end.
    #[must_use]
    pub fn passed_in_all(
        &mut self,
        ifindex: u32,
        interfaces: &HashMap<u32, Passed>,
        last: Option<[Counters; 2]>,
    ) -> Option<Flows> {
        let counted = interfaces.get(&ifindex).map(|passed| passed.both).unwrap_or_default();
        Some(self.pairs.get_mut(&ifindex)?.passed_in_all(&counted, last))
    }

    /// Accounts that have a pair.
    fn owners(&self) -> HashSet<u64> {
        self.pairs.values().filter_map(|pair| pair.owner.as_ref()).map(|(account, _)| *account).collect()
    }

    /// Namespaces with the accounts whose processes are there.
    fn namespaces(&self) -> HashMap<Namespace, Vec<u64>> {
        let mut namespaces: HashMap<_, Vec<u64>> = HashMap::new();
        for (account, place) in &self.places {
            if let Location::Inside(namespace, _) = place {
                namespaces.entry(*namespace).or_default().push(*account);
            }
        }
        namespaces
    }

    /// The accounts that are shown by what their sockets count, and as which interface: those that no pair tells of.
    #[must_use]
    pub fn by_sockets(&self, now: Instant) -> HashMap<u64, &str> {
        let owners = self.owners();
        let told: HashSet<Namespace> = self
            .namespaces()
            .into_iter()
            .filter(|(_, accounts)| accounts.iter().any(|account| owners.contains(account)))
            .map(|(namespace, _)| namespace)
            .collect();
        let waits =
            |account: &u64| self.lost.get(account).is_some_and(|when| now.duration_since(*when) < RECONNECT);
        let alone = self.places.iter().filter(|(account, _)| !owners.contains(account) && !waits(account));
        let shown = alone.filter_map(|(account, place)| {
            let name = match place {
                Location::Host => HOST,
                Location::Inside(namespace, _) if told.contains(namespace) => return None,
                Location::Inside(_, interfaces) => match interfaces.as_slice() {
                    [] => return None,
                    [one] => one,
                    _ => SEVERAL,
                },
            };
            Some((*account, name))
        });
        shown.collect()
    }

    /// What passed each interface of each account, by account.
    #[must_use]
    pub fn networks(&self, counted: &Counted, own: &HashMap<u64, Both>) -> HashMap<u64, Network> {
        let mut networks: HashMap<u64, Network> = HashMap::new();
        for port in counted.ports.values().filter(|port| port.interface[0] != 0 && port.account != 0) {
            let network = networks.entry(port.account).or_default();
            let interface = network.interface(&interface_of(port));
            interface.flows = plus(&interface.flows, &port.flows);
            interface.wire &= is_seen(&port.flows);
            if port.by_sockets == 1 {
                let own = own.get(&port.account).copied().unwrap_or_default();
                interface.flows = plus(&interface.flows, &own.map(Flow::from));
                (interface.drops, interface.by_sockets) = (false, true);
                network.source = NetworkSource::Sockets;
            }
        }
        for (ifindex, pair) in &self.pairs {
            let Some((account, name)) = &pair.owner else { continue };
            let network = networks.entry(*account).or_default();
            network.source =
                if pair.is_counted() { NetworkSource::Programs } else { NetworkSource::Interface };
            let interface = network.interface(name);
            interface.wire = pair.is_counted();
            interface.flows = plus(
                &interface.flows,
                &pair.passed(counted.interfaces.get(ifindex).map(|passed| &passed.both)),
            );
            interface.drops &= pair.reading.as_ref().is_some_and(|reading| reading.inside.is_some());
        }
        for account in self.namespaces().into_values().filter(|sharing| sharing.len() > 1).flatten() {
            let own = own.get(&account).copied().unwrap_or_default();
            networks.entry(account).or_default().own = Some(own);
        }
        for network in networks.values_mut() {
            network.interfaces.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        }
        networks
    }
}

/// What the sockets of each account counted, in living and dead cgroups.
#[must_use]
pub fn by_account(counted: &Counted, account_of: impl Fn(u32) -> Option<u64>) -> HashMap<u64, Both> {
    let dead = counted.ports.values().filter(|port| port.interface[0] == 0);
    let dead = dead.map(|port| (port.account, port.flows.map(|flow| flow.traffic)));
    let living = counted.sockets.iter().filter_map(|(cgroup, both)| Some((account_of(*cgroup)?, *both)));
    let mut sums: HashMap<u64, Both> = HashMap::new();
    for (account, [received, transmitted]) in dead.chain(living) {
        let sum = sums.entry(account).or_default();
        *sum = [sum[0].plus(&received), sum[1].plus(&transmitted)];
    }
    sums
}

/// A port that sockets count for no more: what they had counted until now stays in it.
#[must_use]
pub fn closed(port: &Port, own: &Both) -> Port {
    Port { by_sockets: 0, flows: plus(&port.flows, &own.map(Flow::from)), ..*port }
}

/// Whether programs saw something of what passed, if anything did.
fn is_seen(flows: &Flows) -> bool {
    flows.iter().any(|flow| flow.traffic != Traffic::ZERO)
        || flows.iter().all(|flow| flow.uncounted == Count::default())
}

/// What passed in both directions.
#[must_use]
pub fn totals(flows: &Flows) -> [Count; 2] {
    [flows[0].total(), flows[1].total()]
}

/// The sum of two, direction by direction.
#[must_use]
pub fn sum([received, transmitted]: [Count; 2], more: [Count; 2]) -> [Count; 2] {
    [received.plus(more[0]), transmitted.plus(more[1])]
}

/// A port of this name, empty.
#[must_use]
pub fn new_port(account: u64, interface: &str) -> Port {
    let mut name = [0; NAME];
    name.iter_mut().zip(interface.bytes().take(NAME - 1)).for_each(|(place, byte)| *place = byte);
    Port { account, by_sockets: 0, interface: name, flows: [Flow::ZERO; 2] }
}

/// The name of a port's interface in its container.
#[must_use]
pub fn interface_of(port: &Port) -> String {
    let end = port.interface.iter().position(|byte| *byte == 0).unwrap_or(NAME);
    String::from_utf8_lossy(&port.interface[..end]).into_owned()
}

impl Network {
    fn interface(&mut self, name: &str) -> &mut Interface {
        let place = self.interfaces.iter().position(|interface| interface.name == name);
        let place = place.unwrap_or_else(|| {
            self.interfaces.push(Interface {
                name: name.to_owned(),
                flows: [Flow::ZERO; 2],
                drops: true,
                by_sockets: false,
                wire: true,
            });
            self.interfaces.len() - 1
        });
        &mut self.interfaces[place]
    }
}

#[cfg(test)]
mod tests;
