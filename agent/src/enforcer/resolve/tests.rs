use std::time::{Duration, SystemTime};

use super::resolve;
use crate::{
    enforcer::{
        BitsPerSecond, ByHand, Glob, Ignored, Keys, Mode, Numbers, OnPidsLimit, Origin, Policies, Policy,
        Protected, Reason, Resource, Selector, Subject, Tasks, Wanted,
    },
    inventory::{Identity, Kind},
};

mod oracle;

fn tasks(number: u64) -> Tasks {
    Tasks::new(number).expect("a task limit")
}

fn rate(text: &str) -> BitsPerSecond {
    text.parse().expect(text)
}

fn pids(number: u64) -> Numbers {
    Numbers { pids: Some(tasks(number)), ..Numbers::default() }
}

fn egress(text: &str) -> Numbers {
    Numbers { egress: Some(rate(text)), ..Numbers::default() }
}

fn policy(name: &str, line: usize, numbers: Numbers) -> Policy {
    Policy {
        name: name.into(),
        line,
        select: Selector::All,
        numbers,
        mode: None,
        smooth: false,
        on_pids_limit: OnPidsLimit::Deny,
        above_runtime: false,
    }
}

fn file(policies: Vec<Policy>) -> Policies {
    Policies { policies, labels: true, ..Policies::default() }
}

fn by_hand(numbers: Numbers) -> ByHand {
    ByHand { numbers, dry_run: false, by: "root".into(), until: None }
}

fn wanted(policies: &Policies, labels: &[(&str, &str)], hand: Option<&ByHand>) -> Wanted {
    let identity = Identity::cgroup("/docker/4f".into(), Kind::Container);
    let labels: Vec<_> = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    resolve(policies, &Subject::new(&identity, &labels, None), hand)
}

/// Value, mode and origin of the task limit.
fn of_pids(wanted: &Wanted) -> Option<(u32, Mode, String)> {
    wanted.pids.as_ref().map(|limit| (limit.value.get(), limit.mode, limit.origin.to_string()))
}

fn said(ignored: &[Ignored]) -> Vec<String> {
    ignored.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_wanted_where_nothing_is_said() {
    assert_eq!(wanted(&Policies::default(), &[], None), Wanted::default());
    let cap = Policies { cap: pids(10), ..file(vec![]) };
    assert_eq!(wanted(&cap, &[], None), Wanted::default(), "a cap is no limit");
    assert!(Policies::default().is_empty() && !cap.is_empty());
}

#[test]
fn the_first_policy_that_sets_it_holds_for_each_limit() {
    let only_a =
        Selector::Keys(Keys { names: vec![Glob::new("a").expect("a pattern")], ..Keys::default() }.into());
    let policies = file(vec![
        Policy { select: only_a, ..policy("others", 1, pids(1)) },
        policy("rates", 2, egress("10mbit")),
        policy("first", 3, pids(100)),
        policy("second", 4, Numbers { egress: Some(rate("5mbit")), ..pids(50) }),
    ]);
    let wanted = wanted(&policies, &[], None);
    assert_eq!(of_pids(&wanted), Some((100, Mode::Enforce, "policy \"first\" (line 3)".into())));
    let egress = wanted.egress.expect("egress");
    assert_eq!(
        (egress.value, egress.origin),
        (rate("10mbit"), Origin::Policy { name: "rates".into(), line: 2 })
    );
    assert_eq!(wanted.ingress, None);
    assert_eq!(
        said(&wanted.ignored),
        [
            "pids = \"50\" of policy \"second\" (line 4): that of policy \"first\" (line 3) holds in its place",
            "egress = \"5mbit\" of policy \"second\" (line 4): that of policy \"rates\" (line 2) holds in its place",
        ]
    );
}

#[test]
fn by_hand_comes_before_the_file_and_may_raise() {
    let until = Some(SystemTime::UNIX_EPOCH + Duration::from_hours(1));
    let hand = ByHand { until, ..by_hand(pids(500)) };
    let policies = file(vec![policy("web", 7, Numbers { egress: Some(rate("1mbit")), ..pids(100) })]);
    let wanted = wanted(&policies, &[], Some(&hand));
    let pids = wanted.pids.expect("pids");
    assert_eq!((pids.value, pids.origin), (tasks(500), Origin::Hand { by: "root".into(), until }));
    assert_eq!(wanted.egress.map(|limit| limit.value), Some(rate("1mbit")), "not said by hand: the file's");
    assert_eq!(
        said(&wanted.ignored),
        ["pids = \"100\" of policy \"web\" (line 7): that of by hand (root) holds in its place"]
    );
}

#[test]
fn labels_lower_what_is_set_and_set_what_is_not() {
    let policies = file(vec![policy("web", 7, pids(100))]);
    for (label, hand, expected, of) in [
        ("50", None, 50, "label \"plimsoll.pids\""),
        ("100", None, 100, "policy \"web\" (line 7)"),
        ("200", None, 100, "policy \"web\" (line 7)"),
        ("200", Some(300), 200, "label \"plimsoll.pids\""),
        ("400", Some(300), 300, "by hand (root)"),
    ] {
        let hand = hand.map(|number| by_hand(pids(number)));
        let wanted = wanted(&policies, &[("plimsoll.pids", label)], hand.as_ref());
        assert_eq!(of_pids(&wanted), Some((expected, Mode::Enforce, of.into())), "{label}");
    }
    let alone = wanted(&file(vec![]), &[("plimsoll.pids", "200")], None);
    assert_eq!(of_pids(&alone), Some((200, Mode::Enforce, "label \"plimsoll.pids\"".into())));
    assert_eq!(alone.ignored, []);
}

#[test]
fn labels_count_only_where_the_file_says_so() {
    let policies = Policies { labels: false, ..file(vec![policy("web", 7, pids(100))]) };
    let wanted =
        wanted(&policies, &[("plimsoll.pids", "50"), ("kubernetes.io/egress-bandwidth", "1M")], None);
    assert_eq!(of_pids(&wanted), Some((100, Mode::Enforce, "policy \"web\" (line 7)".into())));
    assert_eq!(wanted.egress, None);
    assert_eq!(
        wanted.ignored.iter().map(|it| (it.resource, &it.reason)).collect::<Vec<_>>(),
        [(Some(Resource::Pids), &Reason::LabelsOff), (Some(Resource::Egress), &Reason::LabelsOff)]
    );
}

#[test]
fn of_several_labels_the_lowest_holds() {
    let labels = [
        ("plimsoll.egress", "10mbit"),
        ("kubernetes.io/egress-bandwidth", "5M"),
        ("annotation.kubernetes.io/egress-bandwidth", "20M"),
        ("kubernetes.io/ingress-bandwidth", "3M"),
    ];
    let wanted = wanted(&file(vec![]), &labels, None);
    let egress = wanted.egress.expect("egress");
    assert_eq!(egress.value, rate("5mbit"));
    assert_eq!(egress.origin, Origin::Label { key: "kubernetes.io/egress-bandwidth".into() });
    assert_eq!(wanted.ingress.map(|limit| limit.value), Some(rate("3mbit")));
    assert_eq!(wanted.ignored.len(), 2, "{:?}", wanted.ignored);
}

#[test]
fn a_label_that_is_no_limit_is_told_and_changes_nothing() {
    let policies = file(vec![policy("web", 7, pids(100))]);
    for (key, value, words) in [
        ("plimsoll.pids", "max", "not a number of tasks"),
        ("plimsoll.pids", "0", "no task at all"),
        ("plimsoll.pids", "-1", "not negative"),
        ("plimsoll.pids", "", "not a number of tasks"),
        ("plimsoll.egress", "10 mbti", "did you mean \"mbit\"?"),
        ("plimsoll.egress", "0", "at rate 0"),
        ("plimsoll.egres", "1mbit", "no such label; did you mean \"plimsoll.egress\"?"),
        ("plimsoll.mode", "off", "no such label"),
    ] {
        let wanted = wanted(&policies, &[(key, value)], None);
        assert_eq!(of_pids(&wanted), Some((100, Mode::Enforce, "policy \"web\" (line 7)".into())));
        assert_eq!((&wanted.egress, wanted.ignored.len()), (&None, 1), "{key} {value}");
        let told = said(&wanted.ignored).concat();
        assert!(told.contains(words) && told.contains(key), "{told}");
    }
    for key in ["plimsoll.volume.data", "other.pids", "plimsoll"] {
        assert_eq!(wanted(&policies, &[(key, "x")], None).ignored, [], "{key}");
    }
}

#[test]
fn nothing_is_above_the_cap() {
    let policies = |pids_of: Option<u64>| Policies {
        cap: pids(150),
        ..file(pids_of.map(|number| policy("web", 7, pids(number))).into_iter().collect())
    };
    for (of_file, of_hand, label, expected, reasons) in [
        (Some(100), None, None, 100, vec![]),
        (Some(200), None, None, 150, vec!["cap of 150"]),
        (None, Some(200), None, 150, vec!["cap of 150"]),
        (None, None, Some("200"), 150, vec!["cap of 150"]),
        // Lower than what was asked for, and not than what holds.
        (Some(200), None, Some("180"), 150, vec!["cap of 150", "sets 150"]),
        (Some(200), None, Some("120"), 120, vec!["cap of 150", "label \"plimsoll.pids\" holds"]),
    ] {
        let hand = of_hand.map(|number| by_hand(pids(number)));
        let labels: Vec<_> = label.map(|value| ("plimsoll.pids", value)).into_iter().collect();
        let wanted = wanted(&policies(of_file), &labels, hand.as_ref());
        assert_eq!(
            wanted.pids.map(|limit| limit.value.get()),
            Some(expected),
            "{of_file:?} {of_hand:?} {label:?}"
        );
        let told = said(&wanted.ignored);
        assert_eq!(told.len(), reasons.len(), "{told:?}");
        assert!(told.iter().zip(&reasons).all(|(told, reason)| told.contains(*reason)), "{told:?}");
    }
}

#[test]
fn the_weaker_mode_holds() {
    use Mode::{DryRun, Enforce, Off};
    // Global, command line, policy, by hand with dry run: by policy, by hand, by label alone.
    for (mode, command_line, of_policy, dry_run, by_policy, hand, label) in [
        (Enforce, None, None, false, Enforce, Enforce, Enforce),
        (Enforce, None, Some(DryRun), false, DryRun, Enforce, Enforce),
        (DryRun, None, Some(Enforce), false, DryRun, Enforce, DryRun),
        (DryRun, None, Some(Off), true, Off, DryRun, DryRun),
        (Off, None, Some(Enforce), false, Off, Enforce, Off),
        (Off, Some(Enforce), None, false, Enforce, Enforce, Enforce),
        (Off, Some(Enforce), Some(DryRun), true, DryRun, DryRun, Enforce),
        (Enforce, Some(DryRun), Some(Enforce), false, DryRun, Enforce, DryRun),
        (Enforce, Some(Off), Some(Enforce), false, Off, Off, Off),
        (Enforce, Some(Off), None, true, Off, Off, Off),
    ] {
        let policies = vec![Policy { mode: of_policy, ..policy("web", 7, pids(100)) }];
        let file = Policies { mode, command_line, ..file(policies) };
        let by_hand = ByHand { dry_run, ..by_hand(egress("1mbit")) };
        let wanted = wanted(&file, &[("plimsoll.ingress", "1mbit")], Some(&by_hand));
        let modes = (
            wanted.pids.map(|it| it.mode),
            wanted.egress.map(|it| it.mode),
            wanted.ingress.map(|it| it.mode),
        );
        assert_eq!(modes, (Some(by_policy), Some(hand), Some(label)), "{file:?}");
    }
}

#[test]
fn a_label_lowers_the_number_and_leaves_the_mode() {
    for mode in Mode::ALL {
        let policies = file(vec![Policy { mode: Some(mode), ..policy("web", 7, pids(100)) }]);
        let wanted = wanted(&policies, &[("plimsoll.pids", "50")], None);
        assert_eq!(of_pids(&wanted), Some((50, mode, "label \"plimsoll.pids\"".into())));
    }
}

#[test]
fn how_a_limit_is_held_is_the_files_to_say() {
    let policies = file(vec![
        Policy { smooth: true, ..policy("rates", 1, egress("20mbit")) },
        Policy { on_pids_limit: OnPidsLimit::Kill, above_runtime: true, ..policy("tasks", 2, pids(100)) },
        Policy { on_pids_limit: OnPidsLimit::Freeze, ..policy("late", 3, pids(1)) },
    ]);
    let hand = by_hand(pids(30));
    for (labels, hand) in [(vec![], None), (vec![("plimsoll.pids", "50")], None), (vec![], Some(&hand))] {
        let wanted = wanted(&policies, &labels, hand);
        let how = (wanted.on_pids_limit, wanted.above_runtime, wanted.smooth);
        assert_eq!(how, (OnPidsLimit::Kill, true, true));
    }
    let wanted = wanted(&file(vec![]), &[("plimsoll.pids", "50")], Some(&hand));
    assert_eq!(
        (wanted.on_pids_limit, wanted.above_runtime, wanted.smooth),
        (OnPidsLimit::Deny, false, false)
    );
}

#[test]
fn the_protected_have_no_limits_whoever_asks() {
    let policies = file(vec![policy("all", 1, Numbers { egress: Some(rate("1mbit")), ..pids(1) })]);
    let identity = Identity::cgroup("/docker/4f".into(), Kind::Container);
    let labels = [("plimsoll.ingress".to_owned(), "1mbit".to_owned())];
    for reason in [Protected::Agent, Protected::Init, Protected::Runtime] {
        let subject = Subject::new(&identity, &labels, Some(reason));
        let wanted = resolve(&policies, &subject, Some(&by_hand(pids(5))));
        assert_eq!(wanted, Wanted { protected: Some(reason), ..Wanted::default() });
    }
}
