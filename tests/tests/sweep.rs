//! Runs last: no test left anything on the machine.

use anyhow::Result;
use plimsoll_tests::{report::Case, sweep};

#[test]
fn nothing_is_left_behind() -> Result<()> {
    Case::run("nothing_is_left_behind", |case| {
        let left = sweep::leftovers()?;
        case.prove(format_args!("nothing is left: {left:?}"), left.is_empty());
        Ok(())
    })
}
