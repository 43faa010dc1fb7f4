//! Wakes the engine as soon as a task limit is hit, where the kernel tells (cgroup2; v1 before 6.18): only for limits at which
//! more is done than to refuse. Elsewhere hits are read once a second, as all others are.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, mpsc::Sender},
    thread,
};

use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};

use super::Order;
use crate::cgroup::{Hierarchy, Tasks, Watch};

/// Once, until it is asked for again.
const ONCE: EpollFlags = EpollFlags::EPOLLPRI.union(EpollFlags::EPOLLONESHOT);
/// Cgroups that are told of at once.
const AT_ONCE: usize = 64;

/// The cgroups that are watched, by their ids.
pub(super) struct Alarm {
    epoll: Arc<Epoll>,
    watches: HashMap<u64, Watch>,
}

impl Alarm {
    /// One that gives [`Order::Hit`] from a thread of its own.
    pub(super) fn start(orders: Sender<Order>) -> io::Result<Self> {
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let listens = Arc::clone(&epoll);
        thread::Builder::new().name("limit hits".into()).spawn(move || listen(&listens, &orders))?;
        Ok(Self { epoll, watches: HashMap::new() })
    }

    /// Watches these and no others: the path of each cgroup in the hierarchy of the pids controller.
    pub(super) fn keep(&mut self, pids: &Hierarchy, wanted: &BTreeMap<u64, &[u8]>) {
        // A file that is closed is watched no more.
        self.watches.retain(|cgroup, _| wanted.contains_key(cgroup));
        for (cgroup, path) in wanted {
            if self.watches.contains_key(cgroup) {
                continue;
            }
            // Where it cannot be watched it is read once a second.
            let Ok(watch) = Tasks::open(pids, path, *cgroup).and_then(|tasks| tasks.watch()) else {
                continue;
            };
            if self.epoll.add(&watch, EpollEvent::new(ONCE, *cgroup)).is_ok() {
                self.watches.insert(*cgroup, watch);
            }
        }
    }

    /// What it told of is about to be read: it shall tell of what comes from now on.
    pub(super) fn again(&mut self, cgroup: u64) {
        let is_armed = self.watches.get(&cgroup).is_some_and(|watch| {
            watch.heed().is_ok() && self.epoll.modify(watch, &mut EpollEvent::new(ONCE, cgroup)).is_ok()
        });
        if !is_armed {
            self.watches.remove(&cgroup);
        }
    }
}

/// Until nobody takes orders any more.
fn listen(epoll: &Epoll, orders: &Sender<Order>) {
    let mut told = [EpollEvent::empty(); AT_ONCE];
    loop {
        let count = match epoll.wait(&mut told, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(errno) => {
                tracing::warn!("limits: hits are read once a second only: {errno}");
                return;
            }
            Ok(count) => count,
        };
        for event in told.iter().take(count) {
            if orders.send(Order::Hit(event.data())).is_err() {
                return;
            }
        }
    }
}
