//! Limits that somebody set by hand.

use std::time::SystemTime;

use super::Numbers;

/// What was asked for by hand for one container. Whoever keeps these leaves out what is over: nothing here reads a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// The limits; `None`: as if nobody had said anything.
    pub numbers: Numbers,
    /// They shall be counted only.
    pub dry_run: bool,
    /// Who asked.
    pub by: String,
    /// When it is over; `None`: when it is unset.
    pub until: Option<SystemTime>,
}
