//! From what everybody asks for to what is wanted of one container.
//!
//! By hand before the file, the file's first policy before its others; labels lower what those set, or set what they do not.
//! Nothing is above the cap.

use std::fmt::Display;

use super::{
    ByHand, Ignored, Limit, Mode, Numbers, Origin, Policies, Policy, Reason, Resource, Subject, Wanted,
    labels::{Asked, not_allowed},
};

/// The limits that this one shall have.
#[must_use]
pub fn resolve(policies: &Policies, subject: &Subject<'_>, by_hand: Option<&ByHand>) -> Wanted {
    if subject.protected.is_some() {
        return Wanted { protected: subject.protected, ..Wanted::default() };
    }
    let mut ignored = Vec::new();
    let asked = if policies.labels {
        Asked::by(subject, &mut ignored)
    } else {
        ignored.extend(not_allowed(subject));
        Asked::default()
    };
    let matching: Vec<&Policy> = policies.matching(subject).collect();
    let sources = Sources { policies, matching: &matching, by_hand };
    let pids = sources.settle(Resource::Pids, |it| it.pids, &asked.pids, &mut ignored);
    let egress = sources.settle(Resource::Egress, |it| it.egress, &asked.egress, &mut ignored);
    let ingress = sources.settle(Resource::Ingress, |it| it.ingress, &asked.ingress, &mut ignored);
    // How a limit is held is the file's to say, also where the number comes from elsewhere.
    let of_pids = matching.iter().find(|policy| policy.numbers.pids.is_some());
    let of_egress = matching.iter().find(|policy| policy.numbers.egress.is_some());
    Wanted {
        protected: None,
        pids,
        egress,
        ingress,
        on_pids_limit: of_pids.map(|policy| policy.on_pids_limit).unwrap_or_default(),
        above_runtime: of_pids.is_some_and(|policy| policy.above_runtime),
        smooth: of_egress.is_some_and(|policy| policy.smooth),
        ignored,
    }
}

/// All that may set a limit, labels aside.
struct Sources<'a> {
    policies: &'a Policies,
    matching: &'a [&'a Policy],
    by_hand: Option<&'a ByHand>,
}

impl Sources<'_> {
    /// One limit, of all that everybody says about it.
    fn settle<T: Copy + Ord + Display>(
        &self,
        resource: Resource,
        number: impl Fn(&Numbers) -> Option<T>,
        labels: &[(T, &str)],
        ignored: &mut Vec<Ignored>,
    ) -> Option<Limit<T>> {
        let mut ignore = |limit: &Limit<T>, reason| {
            let Limit { value, mode: _, origin } = limit.clone();
            ignored.push(Ignored { resource: Some(resource), origin, value: value.to_string(), reason });
        };
        let cap = number(&self.policies.cap);
        let mut ranked = self.ranked(number).into_iter();
        let mut settled = ranked.next();
        if let Some(first) = &settled {
            ranked.for_each(|lost| ignore(&lost, Reason::Lost { to: first.origin.clone() }));
        }
        settled = settled.map(|limit| capped(limit, cap, &mut ignore));
        for (value, key) in labels {
            let origin = Origin::Label { key: (*key).to_owned() };
            let label = Limit { value: *value, mode: self.policies.mode(), origin };
            settled = Some(match settled {
                None => capped(label, cap, &mut ignore),
                Some(limit) => lowered(limit, label, &mut ignore),
            });
        }
        settled
    }

    /// What is said by hand and in the file, the first to hold.
    fn ranked<T>(&self, number: impl Fn(&Numbers) -> Option<T>) -> Vec<Limit<T>> {
        let by_hand = self.by_hand.and_then(|hand| {
            let ByHand { numbers, dry_run: _, by, until } = hand;
            let origin = Origin::Hand { by: by.clone(), until: *until };
            Some(Limit { value: number(numbers)?, mode: self.mode_by_hand(hand), origin })
        });
        let file = self.matching.iter().filter_map(|policy| {
            let origin = Origin::Policy { name: policy.name.clone(), line: policy.line };
            Some(Limit { value: number(&policy.numbers)?, mode: self.policies.mode_of(policy), origin })
        });
        by_hand.into_iter().chain(file).collect()
    }

    /// Whoever sets a limit by hand means it, whatever the file says. Only who started the agent without limits outranks
    /// them.
    fn mode_by_hand(&self, hand: &ByHand) -> Mode {
        match self.policies.command_line {
            Some(Mode::Off) => Mode::Off,
            _ if hand.dry_run => Mode::DryRun,
            _ => Mode::Enforce,
        }
    }
}

/// No higher than the cap.
fn capped<T: Copy + Ord + Display>(
    limit: Limit<T>,
    cap: Option<T>,
    mut ignore: impl FnMut(&Limit<T>, Reason),
) -> Limit<T> {
    match cap {
        Some(cap) if cap < limit.value => {
            ignore(&limit, Reason::Capped { cap: cap.to_string() });
            Limit { value: cap, ..limit }
        }
        _ => limit,
    }
}

/// What a label makes of a limit: the number where that is lower, never the mode.
fn lowered<T: Ord + Display>(
    limit: Limit<T>,
    label: Limit<T>,
    mut ignore: impl FnMut(&Limit<T>, Reason),
) -> Limit<T> {
    if label.value < limit.value {
        ignore(&limit, Reason::Lost { to: label.origin.clone() });
        return Limit { mode: limit.mode, ..label };
    }
    ignore(&label, Reason::NotLower { than: limit.value.to_string(), of: limit.origin.clone() });
    limit
}

#[cfg(test)]
mod tests;
