//! The asking end of the owner of the state: what every reader holds.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::{mpsc, oneshot, watch};

use super::snapshot::Snapshot;

/// A snapshot is never older than this when it is handed out.
pub const FRESH: Duration = Duration::from_millis(250);

/// What readers ask.
#[derive(Debug)]
pub(super) enum Request {
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    Shown(SystemTime),
}

/// A reader's end. Clones ask the same owner.
#[derive(Debug, Clone)]
pub struct Reader {
    requests: mpsc::Sender<Request>,
    ready: watch::Receiver<bool>,
}

impl Reader {
    /// One that asks there, and hears there whether there is an answer.
    pub(super) const fn new(requests: mpsc::Sender<Request>, ready: watch::Receiver<bool>) -> Self {
        Self { requests, ready }
    }

    /// A snapshot that is at most [`FRESH`] old; `None` once the owner ended.
    pub async fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let (answer, snapshot) = oneshot::channel();
        self.requests.send(Request::Snapshot(answer)).await.ok()?;
        snapshot.await.ok()
    }

    /// A page made of the snapshot that was taken then was handed out whole.
    pub fn shown(&self, taken: SystemTime) {
        let _ = self.requests.try_send(Request::Shown(taken)); // a full queue: the next page tells it
    }

    /// Whether the programs are attached and all cgroups are known.
    #[must_use]
    pub fn ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until [`Self::ready`]; `false` when the owner ended before.
    pub async fn until_ready(&mut self) -> bool {
        self.ready.wait_for(|ready| *ready).await.is_ok()
    }
}
