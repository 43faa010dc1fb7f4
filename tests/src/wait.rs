//! Waiting for something to become true, with a deadline that an emulated machine meets too.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How long to wait for anything before it counts as failed.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until `look` gives something; asks every 20 ms.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begun.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} in vain until {what}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until `look` says true.
pub fn until_true(what: &str, mut look: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, || Ok(look()?.then_some(())))
}
