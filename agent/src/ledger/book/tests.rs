use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Action, Answer, Book, Identity, Kind, MAX_CGROUPS, Stored, Workload};

const ID: &str = "4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000)
}

fn path() -> Vec<u8> {
    format!("/docker/{ID}").into_bytes()
}

fn named(cgroup: u32, kind: Kind) -> Answer {
    let identity = Identity {
        name: if kind == Kind::Container { "shop".into() } else { String::new() },
        image: if kind == Kind::Container { "nginx".into() } else { String::new() },
        container_id: ID.into(),
        ..Identity::cgroup(format!("/docker/{ID}"), kind)
    };
    Answer { cgroup, identity, path: path(), problem: None }
}

/// A book with one named container in cgroup 7, and its account.
fn with_container() -> (Book, u64) {
    let mut book = Book::default();
    assert!(matches!(book.appeared(7, &path(), now())[..], [Action::Ask { cgroup: 7, .. }]));
    let actions = book.answered(named(7, Kind::Container), now());
    let Some(Action::Own(7, account)) = actions.last() else { panic!("{actions:?}") };
    (book, *account)
}

#[test]
fn a_name_is_written_before_whose_the_cgroup_is() {
    let mut book = Book::default();
    book.appeared(7, &path(), now());
    let actions = book.answered(named(7, Kind::Container), now());
    let kinds: Vec<_> = actions
        .iter()
        .map(|action| match action {
            Action::Name(_, Stored::Workload(_)) => "workload",
            Action::Name(_, Stored::Account(..)) => "account",
            Action::Own(..) => "own",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["workload", "account", "own"]);
}

#[test]
fn a_restart_goes_on_in_the_same_account() {
    let (mut book, account) = with_container();
    book.removed(7, now());
    assert!(book.accounts().all(|(_, entry)| entry.died == Some(now())));
    assert_eq!(book.released(7, now()), [Action::Fold(7, account)]);
    book.appeared(8, &path(), now());
    assert!(book.answered(named(8, Kind::Container), now()).contains(&Action::Own(8, account)));
    assert_eq!(book.accounts().map(|(_, entry)| entry.died).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_container_that_is_gone_before_it_is_named_is_folded_once_it_is() {
    let mut book = Book::default();
    book.appeared(7, &path(), now());
    assert!(matches!(book.released(7, now())[..], [Action::Ask { .. }]), "the last chance");
    let actions = book.answered(named(7, Kind::Container), now());
    assert!(matches!(actions.last(), Some(Action::Fold(7, _))), "{actions:?}");
    assert_eq!(book.members().count(), 0);
    assert!(book.accounts().all(|(_, entry)| entry.died == Some(now())), "or it would stay for ever");
    assert!(
        book.answered(named(7, Kind::Container), now()).is_empty(),
        "the second answer finds nothing to do"
    );
}

#[test]
fn an_answer_about_a_dead_container_does_not_revive_it() {
    let (mut book, account) = with_container();
    book.removed(7, now());
    let mut answer = named(7, Kind::Container);
    answer.identity.name = "renamed".into();
    book.answered(answer, now());
    let entry = book.accounts().next().unwrap().1;
    assert_eq!((entry.died, entry.identity.name.as_str()), (Some(now()), "renamed"));
    assert_eq!(book.close(account), [Action::Fold(7, account)], "removed, and never released");
    assert!(book.close(account).is_empty());
}

#[test]
fn an_ended_container_keeps_when_it_was_started() {
    let (mut book, _) = with_container();
    let mut answer = named(7, Kind::Container);
    answer.identity.started = Some(now());
    book.answered(answer, now());
    book.answered(named(7, Kind::Container), now());
    assert_eq!(book.accounts().next().unwrap().1.identity.started, Some(now()));
}

#[test]
fn an_unknown_container_is_asked_about_again_and_shown_without_a_name_after_a_while() {
    let mut book = Book::default();
    book.appeared(7, &path(), now());
    let mut shown = Vec::new();
    for _ in 0..5 {
        book.answered(named(7, Kind::Unresolved), now());
        shown.push(book.accounts().count());
    }
    assert_eq!(shown, [0, 0, 1, 1, 1]);
    assert_eq!(book.unresolved(), 1);
    book.answered(named(7, Kind::Container), now());
    assert_eq!(book.unresolved(), 0);
    assert!(book.accounts().all(|(_, entry)| entry.identity.name == "shop"));
}

#[test]
fn a_settled_workload_stays_so_that_no_total_falls() {
    let (mut book, _) = with_container();
    let mut answer = named(7, Kind::Container);
    answer.identity.image = "nginx:2".into();
    book.answered(answer, now());
    let workloads: Vec<_> = book.accounts().filter_map(|(_, entry)| entry.workload.clone()).collect();
    assert_eq!(workloads.iter().map(|workload| workload.name.as_str()).collect::<Vec<_>>(), ["nginx"]);
}

#[test]
fn cgroups_past_the_bound_are_summed() {
    let mut book = Book::default();
    for cgroup in 1..=u32::try_from(MAX_CGROUPS).unwrap() + 500 {
        book.appeared(cgroup, format!("/user/{cgroup}").as_bytes(), now());
    }
    assert_eq!(book.accounts().count(), MAX_CGROUPS + 1);
    let other = book.accounts().find(|(_, entry)| entry.identity.kind == Kind::Other).unwrap().0;
    assert_eq!(book.members().filter(|(_, member)| member.account == Some(other)).count(), 500);
}

#[test]
fn rows_without_a_directory_are_folded_where_they_belong() {
    let (mut book, account) = with_container();
    let walk = [(1, b"/".to_vec())];
    let known = book.known();
    let mut actions = book.reconcile(&[1, 7, 9], &known, &walk, now());
    actions.retain(|action| matches!(action, Action::Fold(..)));
    assert_eq!(actions, [Action::Fold(7, account), Action::Fold(9, Workload::other().key())]);
}

#[test]
fn a_cgroup_made_during_a_walk_stays() {
    let mut book = Book::default();
    let known = book.known();
    book.appeared(7, b"/new", now());
    let actions = book.reconcile(&[], &known, &[(1, b"/".to_vec())], now());
    assert!(!actions.iter().any(|action| matches!(action, Action::Fold(..))), "{actions:?}");
    assert_eq!(book.known(), [1, 7].into());
}

#[test]
fn what_an_agent_wrote_down_the_next_one_knows() {
    let (_, account) = with_container();
    let identity = named(7, Kind::Container).identity;
    let workload = identity.workload();
    let names = vec![
        (account, Stored::Account(Box::new(identity), Some(workload.clone()), None)),
        (workload.key(), Stored::Workload(workload)),
    ];
    let mut book = Book::restore(names, vec![(7, account), (8, account)], now());
    assert_eq!(book.accounts().map(|(_, entry)| entry.died).collect::<Vec<_>>(), [Some(now())]);
    book.appeared(7, &path(), now());
    assert_eq!(book.accounts().map(|(_, entry)| entry.died).collect::<Vec<_>>(), [None]);
    let known = book.known();
    let actions = book.reconcile(&[7, 8], &known, &[(7, path())], now());
    assert!(actions.contains(&Action::Fold(8, account)), "{actions:?}");
}

#[test]
fn the_dead_go_after_they_were_shown_or_are_too_many_or_too_old() {
    let (mut book, account) = with_container();
    book.released(7, now());
    let keep = Duration::from_mins(5);
    let later = now() + keep;
    assert!(book.due(keep, 10, later).is_empty(), "nobody saw its last numbers");
    book.shown(now());
    assert_eq!(book.due(keep, 10, later), [account]);
    assert_eq!(book.workload_key(account), named(7, Kind::Container).identity.workload().key());
    let (mut unseen, account) = with_container();
    unseen.released(7, now());
    assert_eq!(unseen.due(keep, 10, now() + keep * 3)[0], account);
    assert_eq!(unseen.due(keep, 0, now())[0], account);
}

#[test]
fn when_it_died_is_written_down_and_taken_back_by_a_restart_of_the_container() {
    let (mut book, account) = with_container();
    let died = |actions: &[Action]| match actions {
        [Action::Name(key, Stored::Account(_, _, died)), ..] if *key == account => Some(*died),
        _ => None,
    };
    let actions = book.removed(7, now());
    assert_eq!(died(&actions), Some(Some(now())));
    let [Action::Name(key, stored)] = &actions[..] else { panic!("{actions:?}") };
    let restored = Book::restore(vec![(*key, stored.clone())], Vec::new(), now() + Duration::from_mins(1));
    assert_eq!(restored.accounts().map(|(_, entry)| entry.died).collect::<Vec<_>>(), [Some(now())]);
    book.appeared(8, &path(), now());
    let actions = book.answered(named(8, Kind::Container), now());
    assert_eq!(died(&actions[1..]), Some(None), "{actions:?}");
}

#[test]
fn a_cgroup_that_is_named_like_a_live_container_is_not_it() {
    let (mut book, account) = with_container();
    let forged = format!("/user/{ID}").into_bytes();
    for kind in [Kind::Container, Kind::Unresolved] {
        book.appeared(9, &forged, now());
        let answer = Answer { path: forged.clone(), ..named(9, kind) };
        book.answered(Answer { path: forged.clone(), ..named(9, kind) }, now());
        book.answered(Answer { path: forged.clone(), ..named(9, kind) }, now());
        book.answered(answer, now());
        let holder = book.members().find(|(cgroup, _)| *cgroup == 9).and_then(|(_, member)| member.account);
        assert!(holder.is_some_and(|holder| holder != account), "{kind:?}");
        book.released(9, now());
    }
    let entry = book.accounts().find(|(key, _)| *key == account).unwrap().1;
    assert_eq!((entry.path.as_slice(), entry.identity.id.as_bytes()), (&path()[..], &path()[..]));
}

#[test]
fn cgroups_that_look_like_containers_are_bounded_too() {
    let mut book = Book::default();
    for cgroup in 1..=u32::try_from(MAX_CGROUPS).unwrap() + 500 {
        let path = format!("/user/lxc.payload.u{cgroup}").into_bytes();
        book.appeared(cgroup, &path, now());
        for _ in 0..4 {
            let identity = Identity {
                container_id: format!("u{cgroup}"),
                ..Identity::cgroup(String::from_utf8(path.clone()).unwrap(), Kind::Unresolved)
            };
            book.answered(Answer { cgroup, identity, path: path.clone(), problem: None }, now());
        }
    }
    assert_eq!(book.accounts().count(), MAX_CGROUPS + 1);
}

#[test]
fn the_dead_take_no_room_from_the_living() {
    let mut book = Book::default();
    for cgroup in 1..=u32::try_from(MAX_CGROUPS).unwrap() {
        book.appeared(cgroup, format!("/user/{cgroup}").as_bytes(), now());
        book.released(cgroup, now());
    }
    book.appeared(5_000, b"/new.service", now());
    assert!(book.accounts().any(|(_, entry)| entry.identity.id == "/new.service"));
}

#[test]
fn what_dies_without_a_name_counts_for_its_path_also_over_a_restart() {
    let mut book = Book::default();
    book.appeared(7, &path(), now());
    let mut written = Vec::new();
    for _ in 0..3 {
        written.extend(book.answered(named(7, Kind::Unresolved), now()));
    }
    let stored = written.iter().rev().find_map(|action| match action {
        Action::Name(key, stored @ Stored::Account(..)) => Some((*key, stored.clone())),
        _ => None,
    });
    let Some((account, Stored::Account(_, None, None))) = &stored else { panic!("{written:?}") };
    let mut restored = Book::restore(stored.clone().into_iter().collect(), vec![(7, *account)], now());
    restored.appeared(7, &path(), now());
    restored.answered(named(7, Kind::Container), now());
    let image = named(7, Kind::Container).identity.workload();
    assert_eq!(restored.workload_key(*account), image.key(), "it got its name after the restart");
    assert!(restored.workloads().contains_key(&image));
    book.released(7, now());
    let at_path = named(7, Kind::Unresolved).identity.workload();
    assert_eq!(book.workload_key(*account), at_path.key());
    assert!(book.workloads().contains_key(&at_path), "or its sum would have no name");
}
