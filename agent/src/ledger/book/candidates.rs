//! Accounts that may have a network of their own, for whoever looks where their processes are.

use std::collections::HashMap;

use super::{Book, Kind};
use crate::inventory::wires::Candidate;

impl Book {
    /// All live ones: containers before other cgroups, the older first: of two that share a network the older is its owner.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        self.select(|_| true)
    }

    /// Those of them that are chosen.
    #[must_use]
    pub fn select(&self, choose: impl Fn(u64) -> bool) -> Vec<Candidate> {
        let mut paths: HashMap<u64, Vec<Vec<u8>>> = HashMap::new();
        for (_, member) in self.members().filter(|(_, member)| !member.removed) {
            if let Some(account) = member.account.filter(|account| choose(*account)) {
                paths.entry(account).or_default().push(member.path.clone());
            }
        }
        let mut found: Vec<_> = paths
            .into_iter()
            .filter_map(|(account, mut paths)| {
                let identity = &self.accounts.get(&account)?.identity;
                // The container's own cgroup before those in it.
                paths.sort_unstable();
                let has_network = identity.kind != Kind::Other && identity.id != "/";
                let order = (identity.kind == Kind::Cgroup, identity.created, account);
                has_network.then_some((order, Candidate { account, paths }))
            })
            .collect();
        found.sort_unstable_by_key(|(order, _)| *order);
        found.into_iter().map(|(_, candidate)| candidate).collect()
    }
}
