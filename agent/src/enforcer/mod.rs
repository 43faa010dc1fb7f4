//! Limits: who shall have which, and why. Data in, data out: no file, no clock, no kernel.

#![forbid(unsafe_code)]

mod by_hand;
mod decimal;
mod glob;
mod labels;
mod mode;
pub mod nearest;
mod policy;
mod protected;
pub mod rate;
mod resolve;
mod selector;
mod subject;
mod tasks;
mod wanted;

#[cfg(test)]
pub(crate) mod random;

pub use self::{
    by_hand::ByHand,
    glob::{Glob, GlobError},
    mode::Mode,
    policy::{Numbers, OnPidsLimit, Policies, Policy, Resource},
    protected::Protected,
    rate::{BitsPerSecond, RateError},
    resolve::resolve,
    selector::{Keys, LabelPattern, Selector},
    subject::Subject,
    tasks::{Tasks, TasksError},
    wanted::{Ignored, Limit, Origin, Reason, Wanted},
};
