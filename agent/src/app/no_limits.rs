//! The desk of an agent that holds no limits: it shows the journal, and says so to whoever asks for one.

use std::sync::Arc;

use crate::{
    control::{Desk, Refused, Set, Settled, Unset, Why},
    ledger::{
        journal::{JournalReader, Who},
        limits::Limits,
    },
};

/// A desk that settles nothing.
#[derive(Debug, Clone)]
pub(super) struct NoLimits {
    pub(super) journal: JournalReader,
}

impl NoLimits {
    fn refused() -> Refused {
        Refused::new(Why::Away, "this agent holds no limits", "")
    }
}

impl Desk for NoLimits {
    fn limits(&self) -> Arc<Limits> {
        Arc::new(Limits { mode: "off", ..Limits::default() })
    }

    async fn set(&self, _set: Set, _who: Who) -> Result<Settled, Refused> {
        Err(Self::refused())
    }

    async fn unset(&self, _unset: Unset, _who: Who) -> Result<Settled, Refused> {
        Err(Self::refused())
    }

    fn journal(&self) -> JournalReader {
        self.journal.clone()
    }
}
