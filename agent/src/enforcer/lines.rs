//! Whose limit is what, and where it would be held: from policies, hands and who is there. No kernel but for the ids of cgroups.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Limit, Mode, OnPidsLimit, Origin, Policies, Protected, Subject, Wanted, decide::Desired, hands::Hands,
    record::Place, resolve,
};
use crate::{
    inventory::Identity,
    ledger::{
        limits::What,
        roster::{self, Network},
    },
};

/// One limit of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its account.
    pub account: u64,
    /// Who it is.
    pub identity: Arc<Identity>,
    /// What is limited.
    pub what: What,
    /// Tasks, or bits per second.
    pub value: u64,
    /// What becomes of it.
    pub mode: Mode,
    /// Who wants it.
    pub origin: Origin,
    /// Where it is held, or would be.
    pub places: Vec<Place>,
    /// Why nowhere.
    pub nowhere: Option<&'static str>,
    /// Of tasks: the cgroup's path.
    pub path: Vec<u8>,
    /// Of tasks: it may be above what the runtime set.
    pub above_runtime: bool,
    /// Of tasks: what happens where it is hit.
    pub on_hit: OnPidsLimit,
}

/// Cgroups that nothing is ever limited in.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    /// The agent's own.
    pub agent: Vec<u8>,
    /// Process 1's.
    pub init: Vec<u8>,
    /// Those of container runtimes of the host.
    pub runtimes: Vec<Vec<u8>>,
}

impl Protection {
    fn of(&self, path: &[u8]) -> Option<Protected> {
        let holds = |other: &[u8]| {
            other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        if holds(&self.agent) {
            Some(Protected::Agent)
        } else if holds(&self.init) {
            Some(Protected::Init)
        } else if self.runtimes.iter().any(|other| holds(other)) {
            Some(Protected::Runtime)
        } else {
            None
        }
    }
}

/// What is said of one container.
#[must_use]
pub fn wanted(
    policies: &Policies,
    hands: &Hands,
    protection: &Protection,
    subject: &roster::Subject,
) -> Wanted {
    let labels = subject.identity.every_label.iter();
    let labels: Vec<(String, String)> = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
    let asked = Subject::new(&subject.identity, &labels, protection.of(&subject.path));
    resolve(policies, &asked, hands.get(subject.account))
}

/// The lines of one container. `cgroup`: its id in the hierarchy of the pids controller.
#[must_use]
pub fn lines(subject: &roster::Subject, wanted: &Wanted, cgroup: impl FnOnce() -> Option<u64>) -> Vec<Line> {
    let Wanted { pids, egress, ingress, on_pids_limit, above_runtime, .. } = wanted;
    let line = |what, value, mode, origin: &Origin, places: Vec<Place>, nowhere| Line {
        account: subject.account,
        identity: subject.identity.clone(),
        what,
        value,
        mode,
        origin: origin.clone(),
        nowhere: if places.is_empty() { nowhere } else { None },
        places,
        path: subject.path.clone(),
        above_runtime: *above_runtime,
        on_hit: *on_pids_limit,
    };
    let mut lines = Vec::new();
    if let Some(Limit { value, mode, origin }) = pids.as_ref().filter(|limit| limit.mode != Mode::Off) {
        // Until its first program runs, its runtime sets `pids.max` itself.
        let cgroup = if subject.runs { cgroup() } else { None };
        let places = cgroup.map(Place::Tasks).into_iter().collect();
        let nowhere = Some(if subject.runs {
            "it has no cgroup with the pids controller"
        } else {
            "its first program does not run yet"
        });
        lines.push(line(What::Tasks, value.get().into(), *mode, origin, places, nowhere));
    }
    let rates = [(What::Ingress, ingress), (What::Egress, egress)];
    for (what, limit) in rates {
        let Some(Limit { value, mode, origin }) = limit.as_ref().filter(|limit| limit.mode != Mode::Off)
        else {
            continue;
        };
        let (places, nowhere) = places_of(&subject.network, what);
        lines.push(line(what, value.bits(), *mode, origin, places, nowhere));
    }
    lines
}

/// Where a rate is held.
fn places_of(network: &Network, what: What) -> (Vec<Place>, Option<&'static str>) {
    let place = if what == What::Ingress { Place::Ingress } else { Place::Egress };
    match network {
        Network::Pairs(pairs) => (pairs.iter().map(|(ifindex, _)| place(*ifindex)).collect(), None),
        Network::Host => {
            (Vec::new(), Some("it is in the host's network, where nothing holds a container back yet"))
        }
        Network::Elsewhere => {
            (Vec::new(), Some("its interfaces have no end in the host's network, or are another's"))
        }
        Network::None => (Vec::new(), Some("it has no interface, or nobody found it yet")),
    }
}

/// What is to be held, of all lines that are meant.
#[must_use]
pub fn desired(lines: &[Line]) -> BTreeMap<Place, Desired> {
    let meant = lines.iter().filter(|line| line.mode == Mode::Enforce);
    let desired = meant.flat_map(|line| {
        line.places.iter().map(|place| {
            let desired = Desired {
                account: line.account,
                wanted: line.value,
                path: line.path.clone(),
                above_runtime: line.above_runtime,
            };
            (*place, desired)
        })
    });
    desired.collect()
}

#[cfg(test)]
mod tests {
    use super::{Network, Place, Protected, Protection, What, places_of};

    #[test]
    fn what_the_agent_or_process_1_is_in_is_protected() {
        let protection = Protection {
            agent: b"/docker/4f/agent".to_vec(),
            init: b"/init.scope".to_vec(),
            runtimes: vec![b"/system.slice/docker.service".to_vec()],
        };
        assert_eq!(protection.of(b"/docker/4f"), Some(Protected::Agent));
        assert_eq!(protection.of(b"/docker/4f/agent"), Some(Protected::Agent));
        assert_eq!(protection.of(b"/init.scope"), Some(Protected::Init));
        assert_eq!(protection.of(b"/system.slice/docker.service"), Some(Protected::Runtime));
        assert_eq!(protection.of(b"/system.slice/docker"), None);
        assert_eq!(protection.of(b"/docker/4"), None);
        assert_eq!(protection.of(b"/docker/4f/other"), None);
    }

    #[test]
    fn each_pair_is_a_place_and_other_networks_say_why_not() {
        let pairs = Network::Pairs(vec![(3, "eth0".into()), (5, "eth1".into())]);
        let places = vec![Place::Egress(3), Place::Egress(5)];
        assert_eq!(places_of(&pairs, What::Egress), (places, None));
        for network in [Network::None, Network::Host, Network::Elsewhere] {
            let (places, nowhere) = places_of(&network, What::Ingress);
            assert!(places.is_empty() && nowhere.is_some());
        }
    }
}
