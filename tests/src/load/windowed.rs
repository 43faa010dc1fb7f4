//! Births with a bounded number of children in flight.

use anyhow::Result;

use super::{
    birth,
    tally::{Place, Tally},
};

/// Calls `bear` for 0 to `count`, or until told to stop, and waits for as many children; `window` live at most.
pub(super) fn births(
    tally: &Tally,
    place: Place,
    count: u64,
    window: u64,
    mut bear: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut flying = 0;
    for n in 0..count {
        if tally.stopped() {
            break;
        }
        if flying == window {
            birth::reap(tally, place)?;
            flying -= 1;
        }
        bear(n)?;
        flying += 1;
    }
    (0..flying).try_for_each(|_| birth::reap(tally, place))
}
