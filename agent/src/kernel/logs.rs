//! What the programs say in words (aya-log), carried into the agent's log.

use std::{io, path::Path};

use aya::programs::SchedClassifier;
use aya_log::EbpfLogger;
use tokio::io::{Interest, unix::AsyncFd};

use super::{Error, programs::COMMANDS};

/// The programs' messages. Open it before capabilities are dropped.
pub struct Logs(EbpfLogger<&'static dyn log::Log>);

impl Logs {
    /// Finds the ring buffer of the programs pinned in `pins` through one of them that can speak.
    ///
    /// # Errors
    /// It is not found.
    pub fn open(pins: &Path) -> Result<Self, Error> {
        let [speaker, ..] = COMMANDS;
        let program = SchedClassifier::from_pin(pins.join("programs").join(speaker));
        let info = program.and_then(|program| program.info()).map_err(Error::program("open", speaker))?;
        EbpfLogger::init_from_id(info.id()).map(Self).map_err(Error::program("hear", speaker))
    }

    /// Carries messages into the log for ever. Inside a tokio runtime.
    ///
    /// # Errors
    /// The descriptor cannot be watched.
    pub async fn carry(self) -> io::Result<()> {
        // SAFETY: the logger owns its descriptor for as long as it lives, and lives in the AsyncFd.
        let mut logger = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) }?;
        loop {
            let mut ready = logger.readable_mut().await?;
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    }
}
