//! Which containers are there, where, and by which interfaces: what limits are decided from. Data only.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{book::Book, lookout::Lookout, snapshot::Identity, traffic::Lines};
use crate::inventory::wires::Location;

/// One container that has a cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its account.
    pub account: u64,
    /// Who it is.
    pub identity: Arc<Identity>,
    /// Its own cgroup: the lower half of the id.
    pub cgroup: u32,
    /// That cgroup's path from the root of the hierarchy that is counted.
    pub path: Vec<u8>,
    /// It executed its first program: what its runtime sets of its cgroup is set.
    pub runs: bool,
    /// Where its network is.
    pub network: Network,
}

/// Where a container's network is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Nobody looked yet, or it has no interface.
    None,
    /// It is the host's.
    Host,
    /// It has these pairs: the number of the host's end, and the name of the other.
    Pairs(Vec<(u32, String)>),
    /// It is in another namespace, by other means than a pair of its own.
    Elsewhere,
}

/// All containers, in the order of their ids.
#[must_use]
pub fn roster(book: &Book, lines: &Lines, lookout: &Lookout) -> Vec<Subject> {
    let mut pairs: HashMap<u64, Vec<(u32, String)>> = HashMap::new();
    for (ifindex, account, name) in lines.owned() {
        pairs.entry(account).or_default().push((ifindex, name.to_owned()));
    }
    let there = book.members().filter(|(_, member)| !member.removed);
    // Its first program may run in a cgroup below its own.
    let running: HashSet<u64> = there
        .filter(|(cgroup, _)| lookout.has_executed(*cgroup))
        .filter_map(|(_, member)| member.account)
        .collect();
    let own = book.members().filter(|(_, member)| !member.removed).filter_map(|(cgroup, member)| {
        let account = member.account?;
        let entry = book.account(account)?;
        let is_own = entry.identity.kind.is_container() && entry.path == member.path;
        is_own.then(|| Subject {
            account,
            identity: entry.identity.clone(),
            cgroup,
            path: member.path.clone(),
            runs: running.contains(&account),
            network: match (pairs.remove(&account), lines.place(account)) {
                (Some(pairs), _) => Network::Pairs(pairs),
                (None, Some(Location::Host)) => Network::Host,
                (None, Some(Location::Inside(_, interfaces))) if !interfaces.is_empty() => Network::Elsewhere,
                (None, _) => Network::None,
            },
        })
    });
    let mut all: Vec<_> = own.collect();
    all.sort_unstable_by(|one, other| one.identity.id.cmp(&other.identity.id));
    all
}
