//! What is to be done, from what is wanted and what was done. Data in, actions out: no kernel, no clock.

use std::collections::BTreeMap;

use super::record::{Place, Record};

/// A limit that is to be held at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The account that it is for.
    pub account: u64,
    /// Tasks, or bits per second.
    pub wanted: u64,
    /// Of tasks: the cgroup's path from the root of the hierarchy.
    pub path: Vec<u8>,
    /// Of tasks: it may be above what the runtime set.
    pub above_runtime: bool,
}

impl Desired {
    /// Of tasks: the number that is set, where the runtime had set `before`.
    #[must_use]
    pub fn within(&self, before: Option<u64>) -> u64 {
        let before = before.filter(|_| !self.above_runtime);
        before.map_or(self.wanted, |before| before.min(self.wanted))
    }
}

/// What is to be done. Each is safe to do again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Put everything back as it was.
    Undo(Record),
    /// Hold a limit, or hold it at another line.
    Hold(Place, Desired),
}

/// What leads from what was done to what is wanted: first what is undone, then what is held. What is written down and not known
/// to hold, since an agent before this one wrote it or since it was refused, is held again.
#[must_use]
pub fn decide(
    wanted: &BTreeMap<Place, Desired>,
    done: &BTreeMap<Place, Record>,
    is_known: impl Fn(Place) -> bool,
) -> Vec<Action> {
    // What was frozen stays so until somebody thaws it, or everything is undone.
    let is_limit = |place: &Place| !matches!(place, Place::Frozen(_));
    let undo = done.iter().filter(|(place, _)| is_limit(place) && !wanted.contains_key(place));
    let undo = undo.map(|(_, record)| Action::Undo(record.clone()));
    let is_held = |place: &Place, desired: &Desired| {
        is_known(*place) && done.get(place).is_some_and(|record| record.is_for(desired))
    };
    let hold = wanted.iter().filter(|(place, desired)| !is_held(place, desired));
    undo.chain(hold.map(|(place, desired)| Action::Hold(*place, desired.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Action, Desired, Place, Record, decide};

    fn desired(wanted: u64) -> Desired {
        Desired { account: 1, wanted, path: Vec::new(), above_runtime: false }
    }

    #[test]
    fn leave_to_go_above_the_runtime_is_given_and_taken() {
        let record = |ours| Record::Tasks {
            cgroup: 1,
            path: b"/docker/4f".as_slice().into(),
            before: Some(30),
            ours,
            was: None,
            wanted: 50,
        };
        for (above_runtime, ours, expected) in
            [(false, 30, true), (false, 50, false), (true, 30, false), (true, 50, true)]
        {
            let desired = Desired { above_runtime, ..desired(50) };
            assert_eq!(record(ours).is_for(&desired), expected, "{above_runtime} {ours}");
        }
    }

    #[test]
    fn only_what_differs_is_done_and_undoing_comes_first() {
        let held = |ifindex, wanted| {
            let record = Record::Ingress { ifindex, wanted };
            (record.place(), record)
        };
        let done = BTreeMap::from([held(1, 10), held(2, 20), held(3, 30)]);
        let wanted = BTreeMap::from([
            (Place::Ingress(1), desired(10)),
            (Place::Ingress(2), desired(25)),
            (Place::Egress(3), desired(30)),
        ]);
        let expected = [
            Action::Undo(Record::Ingress { ifindex: 3, wanted: 30 }),
            Action::Hold(Place::Ingress(2), desired(25)),
            Action::Hold(Place::Egress(3), desired(30)),
        ];
        assert_eq!(decide(&wanted, &done, |_| true), expected);
        assert!(decide(&BTreeMap::new(), &BTreeMap::new(), |_| false).is_empty());
        let again = decide(&wanted, &done, |place| place != Place::Ingress(1));
        assert!(again.len() == 4 && again.contains(&Action::Hold(Place::Ingress(1), desired(10))));
    }
}
