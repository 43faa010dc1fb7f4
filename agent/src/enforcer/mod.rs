//! Limits: who shall have which and why (pure), and the one thread that sees to it that they hold.

#![forbid(unsafe_code)]

mod apply;
mod by_hand;
mod decide;
mod decimal;
pub mod engine;
mod glob;
mod hands;
mod labels;
pub mod lines;
mod mode;
pub mod nearest;
mod policy;
mod protected;
pub mod rate;
mod record;
mod resolve;
mod selector;
mod spending;
mod subject;
mod tasks;
mod wanted;

#[cfg(test)]
pub(crate) mod random;

pub use self::{
    apply::Doer,
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
