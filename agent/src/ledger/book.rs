//! Which cgroup belongs to which account, and what must be done as cgroups come and go. Data in, actions out: no I/O,
//! no clock.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    record::{Action, Entry, Member},
    snapshot::{Identity, Kind, Workload, WorkloadKind},
};
use crate::inventory::{Answer, Place, Stored, account_key, id, place};

/// Workloads with a name of their own; what comes later counts for "other".
const MAX_WORKLOADS: usize = 2_000;
/// Those of them that are parent paths: whoever may make cgroups may make these up.
const MAX_PATHS: usize = 500;
/// Live accounts of cgroups that are no container, and as many that look like one and have no name; what comes later
/// counts for `/other`.
const MAX_CGROUPS: usize = 1_000;
/// When a container that has no name yet, or just executed its first program, is looked up again.
const ASK_AGAIN: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];
/// Unanswered questions after which a container is shown without a name.
const PATIENCE: usize = 2;

/// All accounts and cgroups.
#[derive(Debug, Default)]
pub struct Book {
    accounts: HashMap<u64, Entry>,
    members: HashMap<u32, Member>,
    workloads: BTreeMap<Workload, u64>,
    /// What pinned maps say of cgroups that were not met yet.
    owners: HashMap<u32, u64>,
}

impl Book {
    /// Takes over what another agent wrote down. All accounts are dead until a cgroup of theirs is met: those whose end
    /// it did not see died just now.
    #[must_use]
    pub fn restore(names: Vec<(u64, Stored)>, owners: Vec<(u32, u64)>, now: SystemTime) -> Self {
        let mut book = Self { owners: owners.into_iter().collect(), ..Self::default() };
        for (key, stored) in names {
            match stored {
                Stored::Workload(workload) => {
                    book.workloads.insert(workload, key);
                }
                Stored::Account(identity, workload, died) => {
                    let path = identity.id.clone().into_bytes();
                    if let Some(workload) = &workload {
                        book.workloads.entry(workload.clone()).or_insert_with(|| workload.key());
                    }
                    let entry = Entry {
                        identity: Arc::from(identity),
                        path,
                        workload,
                        died: died.or(Some(now)),
                        shown: false,
                        live: 0,
                    };
                    book.accounts.insert(key, entry);
                }
            }
        }
        book
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.accounts.iter().map(|(key, entry)| (*key, entry))
    }

    /// One account.
    #[must_use]
    pub fn account(&self, key: u64) -> Option<&Entry> {
        self.accounts.get(&key)
    }

    /// All cgroups that are known.
    pub fn members(&self) -> impl Iterator<Item = (u32, &Member)> {
        self.members.iter().map(|(cgroup, member)| (*cgroup, member))
    }

    /// How many names are written down.
    #[must_use]
    pub fn names(&self) -> u64 {
        (self.accounts.len() + self.workloads.len()) as u64
    }

    /// Of how many cgroups it is written down whose they are.
    #[must_use]
    pub fn owned(&self) -> u64 {
        self.members.values().filter(|member| member.account.is_some()).count() as u64
    }

    /// All workloads with their keys.
    #[must_use]
    pub fn workloads(&self) -> &BTreeMap<Workload, u64> {
        &self.workloads
    }

    /// A cgroup is there: it was made, or met on a walk.
    pub fn appeared(&mut self, cgroup: u32, path: &[u8], now: SystemTime) -> Vec<Action> {
        if self.members.get(&cgroup).is_some_and(|member| !member.removed) {
            return Vec::new();
        }
        let member = Member { path: path.to_vec(), account: None, removed: false, released: false, asked: 0 };
        self.members.insert(cgroup, member);
        let known = self.owners.remove(&cgroup).filter(|account| self.accounts.contains_key(account));
        match place(path) {
            Place::Container(proposals) => {
                let mut actions =
                    known.map_or_else(Vec::new, |account| self.join(cgroup, account, path, now));
                actions.push(Action::Ask { cgroup, path: path.to_vec(), proposals });
                actions
            }
            place => {
                let (account, mut actions) = match known {
                    Some(account) => (account, Vec::new()),
                    None => self.cgroup_account(path, place == Place::Cgroup),
                };
                actions.extend(self.join(cgroup, account, path, now));
                actions.push(Action::Own(cgroup, account));
                actions
            }
        }
    }

    /// A cgroup is that account's from now on.
    fn join(&mut self, cgroup: u32, account: u64, path: &[u8], now: SystemTime) -> Vec<Action> {
        let Some(member) = self.members.get_mut(&cgroup) else { return Vec::new() };
        let joins = member.account.replace(account).is_none();
        let Some(entry) = self.accounts.get_mut(&account) else { return Vec::new() };
        entry.live += usize::from(joins && !member.removed);
        let before = entry.died;
        entry.died = if entry.live > 0 { None } else { before.or(Some(now)) };
        if entry.identity.id == id(path) {
            path.clone_into(&mut entry.path);
        }
        if entry.died == before { Vec::new() } else { vec![entry.name(account)] }
    }

    /// The account of a cgroup that is no container: its own, or that of all others.
    fn cgroup_account(&mut self, path: &[u8], own: bool) -> (u64, Vec<Action>) {
        let own_identity = Identity::cgroup(id(path), Kind::Cgroup);
        let key = account_key(&own_identity);
        if own && (self.accounts.contains_key(&key) || self.has_room(Kind::Cgroup)) {
            return self.open(key, own_identity, path, true);
        }
        let others = Identity::cgroup("/other".into(), Kind::Other);
        self.open(account_key(&others), others, b"/other", true)
    }

    /// Whether there may be one more live account of that kind.
    fn has_room(&self, kind: Kind) -> bool {
        let live = |entry: &&Entry| entry.identity.kind == kind && entry.died.is_none();
        self.accounts.values().filter(live).count() < MAX_CGROUPS
    }

    /// Whether another cgroup is that container already: whoever may make cgroups may name one like it.
    fn is_impostor(&self, key: u64, path: &[u8]) -> bool {
        self.accounts.get(&key).is_some_and(|entry| entry.live > 0 && entry.path != path)
    }

    /// The account `key` as that of `identity`, opened if there is none. `settle`: its workload is known for good.
    fn open(&mut self, key: u64, identity: Identity, path: &[u8], settle: bool) -> (u64, Vec<Action>) {
        let found = self.accounts.get(&key);
        let mut workload = found.and_then(|entry| entry.workload.clone());
        if found.is_some_and(|entry| *entry.identity == identity) && (workload.is_some() || !settle) {
            return (key, Vec::new());
        }
        let (died, shown, live) =
            found.map_or((None, false, 0), |entry| (entry.died, entry.shown, entry.live));
        let mut actions = Vec::new();
        if workload.is_none() && settle {
            let (settled, names) = self.settle(identity.workload());
            (workload, actions) = (Some(settled), names);
        }
        let entry = Entry { identity: identity.into(), path: path.to_vec(), workload, died, shown, live };
        actions.push(entry.name(key));
        self.accounts.insert(key, entry);
        (key, actions)
    }

    /// The workload itself, or "other" past the bound.
    fn settle(&mut self, workload: Workload) -> (Workload, Vec<Action>) {
        if self.workloads.contains_key(&workload) {
            return (workload, Vec::new());
        }
        let of_kind = self.workloads.keys().filter(|known| known.kind == workload.kind).count();
        let has_room = self.workloads.len() < MAX_WORKLOADS
            && (workload.kind != WorkloadKind::Path || of_kind < MAX_PATHS);
        let workload = if has_room { workload } else { Workload::other() };
        let key = workload.key();
        self.workloads.insert(workload.clone(), key);
        (workload.clone(), vec![Action::Name(key, Stored::Workload(workload))])
    }

    /// A runtime's file was read.
    pub fn answered(&mut self, answer: Answer, now: SystemTime) -> Vec<Action> {
        let Answer { cgroup, identity, path, problem: _ } = answer;
        let Some(member) = self.members.get_mut(&cgroup) else { return Vec::new() };
        member.asked += 1;
        let (asked, released, held) = (member.asked, member.released, member.account);
        let again = ASK_AGAIN.get(asked - 1).filter(|_| identity.kind == Kind::Unresolved && !released);
        let mut actions: Vec<_> = again.map(|wait| Action::AskLater(cgroup, *wait)).into_iter().collect();
        if again.is_some() && asked <= PATIENCE {
            return actions;
        }
        let key = account_key(&identity);
        let unnamed = identity.kind != Kind::Container && !self.accounts.contains_key(&key);
        let no_room = unnamed && !self.has_room(identity.kind);
        if held.is_none() && (no_room || self.is_impostor(key, &path)) {
            let (account, opened) = self.cgroup_account(&path, !no_room);
            actions.extend(opened);
            return self.settled_in(cgroup, account, &path, actions, now);
        }
        let identity = self.with_start(key, identity);
        // A cgroup never leaves an account, nor a resolved account its name: totals would fall.
        let moves = held.is_some_and(|held| held != key);
        let forgets = identity.kind == Kind::Unresolved && self.accounts.contains_key(&key);
        if !moves && !forgets {
            actions.extend(self.open(key, identity, &path, again.is_none()).1);
        }
        self.settled_in(cgroup, held.unwrap_or(key), &path, actions, now)
    }

    /// A cgroup of which it is known now whose it is; one that is gone meanwhile is folded.
    fn settled_in(
        &mut self,
        cgroup: u32,
        account: u64,
        path: &[u8],
        mut actions: Vec<Action>,
        now: SystemTime,
    ) -> Vec<Action> {
        let Some(member) = self.members.get(&cgroup) else { return actions };
        let released = member.released;
        if member.account.is_none() {
            actions.push(Action::Own(cgroup, account));
        }
        actions.extend(self.join(cgroup, account, path, now));
        if released {
            actions.extend(self.fold(cgroup));
        }
        actions
    }

    /// A runtime forgets when a container was started once it ended; its account does not.
    fn with_start(&self, key: u64, identity: Identity) -> Identity {
        let known = self.accounts.get(&key).and_then(|entry| entry.identity.started);
        Identity { started: identity.started.or(known), ..identity }
    }

    /// A cgroup executed its first program: its runtime is about to write when it started.
    pub fn started(&self, cgroup: u32) -> Vec<Action> {
        let container = self
            .members
            .get(&cgroup)
            .is_some_and(|member| matches!(place(&member.path), Place::Container(_)));
        if container { vec![Action::AskLater(cgroup, ASK_AGAIN[0])] } else { Vec::new() }
    }

    /// Asks about a cgroup again, if it is still there.
    #[must_use]
    pub fn ask(&self, cgroup: u32) -> Option<Action> {
        let member =
            self.members.get(&cgroup).filter(|member| !member.removed || member.account.is_none())?;
        let Place::Container(proposals) = place(&member.path) else { return None };
        Some(Action::Ask { cgroup, path: member.path.clone(), proposals })
    }

    /// A cgroup's directory is gone: its account has no gauges any more, unless another cgroup is its too.
    pub fn removed(&mut self, cgroup: u32, now: SystemTime) -> Vec<Action> {
        let member = self.members.get_mut(&cgroup).filter(|member| !member.removed);
        let Some(member) = member else { return Vec::new() };
        member.removed = true;
        let Some(account) = member.account else { return Vec::new() };
        let Some(entry) = self.accounts.get_mut(&account) else { return Vec::new() };
        entry.live = entry.live.saturating_sub(1);
        if entry.live > 0 {
            return Vec::new();
        }
        entry.died = Some(now);
        entry.shown = false;
        self.settle_dead(account)
    }

    /// A cgroup is gone for good: its row is folded, once its name is known.
    pub fn released(&mut self, cgroup: u32, now: SystemTime) -> Vec<Action> {
        let mut actions = self.removed(cgroup, now);
        let Some(member) = self.members.get_mut(&cgroup) else { return Vec::new() };
        if member.account.is_none() {
            member.released = true;
            // The last chance: the file outlives the cgroup by some ms.
            return self.ask(cgroup).into_iter().collect();
        }
        actions.extend(self.fold(cgroup));
        actions
    }

    fn fold(&mut self, cgroup: u32) -> Vec<Action> {
        let account = self.members.remove(&cgroup).and_then(|member| member.account);
        account.map(|account| Action::Fold(cgroup, account)).into_iter().collect()
    }

    /// All cgroups that have a directory, as far as is known.
    #[must_use]
    pub fn known(&self) -> HashSet<u32> {
        self.members().filter(|(_, member)| !member.removed).map(|(cgroup, _)| cgroup).collect()
    }

    /// Holds the book against the truth: `rows` were listed, and what was `known` was noted, before the hierarchy was
    /// `walk`ed, whole. What appeared since is in neither and stays.
    pub fn reconcile(
        &mut self,
        rows: &[u32],
        known: &HashSet<u32>,
        walk: &[(u32, Vec<u8>)],
        now: SystemTime,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        for (cgroup, path) in walk {
            let is_new = !self.members.contains_key(cgroup);
            actions.extend(self.appeared(*cgroup, path, now));
            // It is not just being made: without a name now it is shown without one.
            if let Some(member) = self.members.get_mut(cgroup).filter(|_| is_new) {
                member.asked = PATIENCE;
            }
        }
        let there: HashSet<u32> = walk.iter().map(|(cgroup, _)| *cgroup).collect();
        let strangers: Vec<u32> = rows
            .iter()
            .filter(|cgroup| !there.contains(cgroup) && !self.members.contains_key(cgroup))
            .copied()
            .collect();
        let mut gone: Vec<u32> = known.difference(&there).copied().collect();
        // Removed, and nothing was heard of its release: late counts make a new row, which is folded next time.
        gone.extend(self.members().filter(|(_, member)| member.removed).map(|(cgroup, _)| cgroup));
        for cgroup in gone {
            actions.extend(self.released(cgroup, now));
        }
        for cgroup in strangers {
            let owner = self.owners.remove(&cgroup).filter(|account| self.accounts.contains_key(account));
            actions.push(Action::Fold(cgroup, owner.unwrap_or_else(|| Workload::other().key())));
        }
        // What was written down of cgroups that are gone and left no row.
        actions.extend(self.owners.drain().map(|(cgroup, _)| Action::Disown(cgroup)));
        actions
    }
}

impl Book {
    /// Makes sure that "other" has a name.
    pub fn open_other(&mut self) -> Vec<Action> {
        debug_assert_eq!(Workload::other().kind, WorkloadKind::Other);
        let other = Workload::other();
        self.workloads.insert(other.clone(), other.key());
        vec![Action::Name(other.key(), Stored::Workload(other))]
    }
}

mod candidates;
mod dead;
mod questions;
#[cfg(test)]
mod tests;
