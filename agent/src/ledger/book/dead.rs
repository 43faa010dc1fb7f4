//! Accounts without a cgroup: how long they stay, and what they count for in the end.

use std::time::{Duration, SystemTime};

use super::{Action, Book, Entry, Kind, Member, Workload};

impl Book {
    /// Writes down that an account died; what no name was found for by now counts for its path.
    pub(super) fn settle_dead(&mut self, account: u64) -> Vec<Action> {
        let Some(entry) = self.accounts.get(&account) else { return Vec::new() };
        let (settled, mut actions) = match &entry.workload {
            Some(workload) => (workload.clone(), Vec::new()),
            None => self.settle(entry.identity.workload()),
        };
        let Some(entry) = self.accounts.get_mut(&account) else { return Vec::new() };
        entry.workload = Some(settled);
        actions.push(entry.name(account));
        actions
    }

    /// A page of what was known at `taken` was handed out.
    pub fn shown(&mut self, taken: SystemTime) {
        for entry in self.accounts.values_mut() {
            entry.shown |= entry.died.is_some_and(|died| died <= taken);
        }
    }

    /// Dead accounts that may go: after `keep`, thrice as long where no page was handed out,
    /// and the oldest of more than `most`.
    #[must_use]
    pub fn due(&self, keep: Duration, most: usize, now: SystemTime) -> Vec<u64> {
        let mut dead: Vec<_> = self
            .accounts()
            .filter(|(_, entry)| entry.identity.kind != Kind::Other)
            .filter_map(|(key, entry)| Some((entry.died?, key, entry)))
            .collect();
        dead.sort_unstable_by_key(|(died, key, _)| (*died, *key));
        let over = dead.len().saturating_sub(most);
        let due = |(place, (died, _, entry)): &(usize, (SystemTime, u64, &Entry))| {
            let age = now.duration_since(*died).unwrap_or_default();
            *place < over || age >= keep.saturating_mul(3) || (entry.shown && age >= keep)
        };
        dead.into_iter().enumerate().filter(due).map(|(_, (_, key, _))| key).collect()
    }

    /// The key of the workload that an account counts for.
    #[must_use]
    pub fn workload_key(&self, account: u64) -> u64 {
        let settled = self.accounts.get(&account).and_then(|entry| entry.workload.as_ref());
        settled.map_or_else(|| Workload::other().key(), Workload::key)
    }

    /// Folds what is left of a dead account: cgroups that were removed and not released yet. The kernel keeps some for
    /// as long as a page of memory is charged to them, and nothing runs in them any more.
    pub fn close(&mut self, account: u64) -> Vec<Action> {
        let unsettled = self.accounts.get(&account).is_some_and(|entry| entry.workload.is_none());
        let mut actions = if unsettled { self.settle_dead(account) } else { Vec::new() };
        let of_account = |(_, member): &(u32, &Member)| member.account == Some(account);
        let left: Vec<u32> = self.members().filter(of_account).map(|(cgroup, _)| cgroup).collect();
        actions.extend(left.into_iter().flat_map(|cgroup| self.fold(cgroup)));
        actions
    }

    /// An account was folded into its workload.
    pub fn retired(&mut self, account: u64) {
        self.accounts.remove(&account);
    }
}
