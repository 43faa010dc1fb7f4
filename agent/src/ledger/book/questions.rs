//! What others want to know of the book. Changes nothing.

use super::{Book, Kind, Member, Place, place};

impl Book {
    /// Containers' own cgroups: what to ask about once in a while, as names change without an event.
    #[must_use]
    pub fn containers(&self) -> Vec<u32> {
        let own = |member: &Member| {
            let entry = member.account.and_then(|account| self.accounts.get(&account));
            !member.removed
                && entry.is_some_and(|entry| entry.identity.kind != Kind::Cgroup && entry.path == member.path)
        };
        self.members().filter(|(_, member)| own(member)).map(|(cgroup, _)| cgroup).collect()
    }

    /// The account of a cgroup, once that is known.
    #[must_use]
    pub fn account_of(&self, cgroup: u32) -> Option<u64> {
        self.members.get(&cgroup)?.account
    }

    /// Whether an account has a cgroup.
    #[must_use]
    pub fn is_live(&self, account: u64) -> bool {
        self.accounts.get(&account).is_some_and(|entry| entry.live > 0)
    }

    /// Whether an account is a container's.
    #[must_use]
    pub fn is_container(&self, account: u64) -> bool {
        self.accounts.get(&account).is_some_and(|entry| entry.identity.kind.is_container())
    }

    /// Live cgroups that look like a container's and have no name.
    #[must_use]
    pub fn unresolved(&self) -> u64 {
        let nameless = |member: &&Member| {
            let entry = member.account.and_then(|account| self.accounts.get(&account));
            let container = matches!(place(&member.path), Place::Container(_));
            !member.removed && container && entry.is_none_or(|entry| entry.identity.kind == Kind::Unresolved)
        };
        self.members.values().filter(nameless).count() as u64
    }
}
