//! Every combination of few values, held against the rules as they are written down, one after the other.

use super::{
    ByHand, Identity, Kind, Mode, Numbers, Origin, Policies, Policy, Reason, Subject, policy, resolve, tasks,
};

const NUMBERS: [Option<u64>; 4] = [None, Some(10), Some(20), Some(30)];
const MODES: [Option<Mode>; 4] = [None, Some(Mode::Off), Some(Mode::DryRun), Some(Mode::Enforce)];

/// What somebody says of the task limit.
#[derive(Debug, Clone, Copy)]
struct Said {
    global: Mode,
    command_line: Option<Mode>,
    labels_count: bool,
    cap: Option<u64>,
    first: (Option<u64>, Option<Mode>),
    second: Option<u64>,
    hand: Option<u64>,
    dry_run: bool,
    label: Option<u64>,
}

fn all(mut check: impl FnMut(Said)) {
    let globals = Mode::ALL.into_iter().flat_map(|global| MODES.map(|command_line| (global, command_line)));
    for (global, command_line) in globals {
        for labels_count in [false, true] {
            for cap in [None, Some(15), Some(25)] {
                for first in NUMBERS.into_iter().flat_map(|number| MODES.map(|mode| (number, mode))) {
                    for second in [None, Some(5), Some(20)] {
                        for (hand, dry_run) in NUMBERS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
                            for label in NUMBERS {
                                check(Said {
                                    global,
                                    command_line,
                                    labels_count,
                                    cap,
                                    first,
                                    second,
                                    hand,
                                    dry_run,
                                    label,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
}

fn numbers(pids: Option<u64>) -> Numbers {
    Numbers { pids: pids.map(tasks), ..Numbers::default() }
}

/// What the code says: number, mode, origin.
fn actual(said: Said) -> Option<(u64, Mode, &'static str)> {
    let Said { global, command_line, labels_count, cap, first, second, hand, dry_run, label } = said;
    let file = Policies {
        mode: global,
        command_line,
        labels: labels_count,
        cap: numbers(cap),
        policies: vec![
            Policy { mode: first.1, ..policy("first", 1, numbers(first.0)) },
            policy("second", 2, numbers(second)),
        ],
        ..Policies::default()
    };
    let hand = ByHand { numbers: numbers(hand), dry_run, by: String::new(), until: None };
    let labels: Vec<_> =
        label.map(|number| ("plimsoll.pids".to_owned(), number.to_string())).into_iter().collect();
    let identity = Identity::cgroup("/docker/4f".into(), Kind::Container);
    let wanted = resolve(&file, &Subject::new(&identity, &labels, None), Some(&hand));
    assert!(wanted.egress.is_none() && wanted.ingress.is_none());
    // Whatever was said and does not hold is told, and nothing is told that holds.
    let speakers = [hand.numbers.pids.is_some(), first.0.is_some(), second.is_some(), label.is_some()];
    let capped = wanted.ignored.iter().filter(|it| matches!(it.reason, Reason::Capped { .. })).count();
    let heeded = usize::from(wanted.pids.is_some());
    let told = wanted.ignored.len() - capped;
    assert_eq!(told + heeded, speakers.into_iter().filter(|said| *said).count(), "{said:?} {wanted:?}");
    wanted.pids.map(|limit| {
        let origin = match limit.origin {
            Origin::Hand { .. } => "hand",
            Origin::Policy { line: 1, .. } => "first",
            Origin::Policy { .. } => "second",
            Origin::Label { .. } => "label",
        };
        (limit.value.get().into(), limit.mode, origin)
    })
}

/// What the rules say, read slowly.
fn expected(said: Said) -> Option<(u64, Mode, &'static str)> {
    let Said { global, command_line, labels_count, cap, first, second, hand, dry_run, label } = said;
    let everybody = command_line.unwrap_or(global);
    // By hand, else the first policy, else the second.
    let mut limit = None;
    if let Some(number) = second {
        limit = Some((number, everybody, "second"));
    }
    if let (Some(number), mode) = first {
        let mode = if mode.is_some_and(|mode| mode < everybody) { mode.unwrap() } else { everybody };
        limit = Some((number, mode, "first"));
    }
    if let Some(number) = hand {
        let mode = if dry_run { Mode::DryRun } else { Mode::Enforce };
        let mode = if command_line == Some(Mode::Off) { Mode::Off } else { mode };
        limit = Some((number, mode, "hand"));
    }
    // None above the cap.
    if let (Some(most), Some((number, _, _))) = (cap, &mut limit)
        && *number > most
    {
        *number = most;
    }
    // A label where labels count: where nobody else says anything, or where it is lower.
    match (label.filter(|_| labels_count), limit) {
        (Some(label), None) => Some((label.min(cap.unwrap_or(label)), everybody, "label")),
        (Some(label), Some((number, mode, _))) if label < number => Some((label, mode, "label")),
        (_, limit) => limit,
    }
}

#[test]
fn it_decides_as_the_rules_say() {
    let (mut cases, mut by_label) = (0, 0);
    all(|said| {
        let decided = actual(said);
        assert_eq!(decided, expected(said), "{said:?}");
        cases += 1;
        by_label += u32::from(decided.is_some_and(|(_, _, origin)| origin == "label"));
    });
    assert_eq!(cases, 12 * 2 * 3 * 16 * 3 * 8 * 4);
    assert!(by_label > 1_000, "{by_label} limits of labels");
}

/// Whatever a tenant writes on a container, what the operator set is not loosened.
#[test]
fn a_label_never_raises_a_number_and_never_changes_a_mode() {
    let mut lowered = 0;
    all(|said| {
        let without = actual(Said { label: None, ..said });
        let with = actual(said);
        match (without, with) {
            (Some((before, mode, _)), Some((after, now, _))) => {
                assert!(after <= before && now == mode, "{said:?}");
                lowered += u32::from(after < before);
            }
            (Some(_), None) => panic!("a label removed a limit: {said:?}"),
            (None, Some((number, mode, _))) => {
                assert!(said.labels_count && said.cap.is_none_or(|cap| number <= cap), "{said:?}");
                assert_eq!(mode, said.command_line.unwrap_or(said.global), "{said:?}");
            }
            (None, None) => {}
        }
    });
    assert!(lowered > 1_000, "{lowered} limits were lowered");
}

#[test]
fn nothing_is_above_the_cap_and_no_mode_above_what_may_be() {
    all(|said| {
        let Some((number, mode, origin)) = actual(said) else { return };
        assert!(said.cap.is_none_or(|cap| number <= cap), "{said:?}");
        assert!(said.command_line != Some(Mode::Off) || mode == Mode::Off, "{said:?}");
        let everybody = said.command_line.unwrap_or(said.global);
        assert!(said.hand.is_some() || mode <= everybody, "{said:?}");
        assert!(origin != "hand" || !said.dry_run || mode <= Mode::DryRun, "{said:?}");
    });
}
