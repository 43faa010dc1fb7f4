//! Against the real kernel, in every hierarchy of this host that has a freezer.

use std::{fs, path::PathBuf, thread, time::Duration};

use super::{Freezer, Frozen, parse_asked, parse_reached};
use crate::cgroup::{
    Hierarchies, TaskError, freezer_mount, id_of,
    lab::{Ground, Thawed, until},
};

/// Where freezers are.
fn mounts() -> Vec<PathBuf> {
    let cgroup2 = Hierarchies::read().unwrap().cgroup2.map(|hierarchy| hierarchy.mount);
    cgroup2.into_iter().chain(freezer_mount().unwrap()).collect()
}

#[test]
fn a_cgroup_stops_and_goes_on() {
    assert!(!mounts().is_empty());
    for mount in mounts() {
        let Some(ground) = Ground::new(&mount, "freeze") else { return };
        let scratch = tempfile::NamedTempFile::new().unwrap();
        let place = scratch.path().display();
        let _running = ground.shell(&format!("while :; do echo >>{place}; sleep 0.01; done"));
        let _thawed = Thawed(&ground);
        let lines = || fs::metadata(scratch.path()).unwrap().len();
        let grows = || {
            let before = lines();
            thread::sleep(Duration::from_millis(300));
            lines() > before
        };
        until("it runs", || lines() > 2);
        let freezer = Freezer::open(&mount, &ground.path, ground.id()).unwrap();
        let runs = Frozen { is_asked: false, is_reached: false };
        assert_eq!(freezer.state().unwrap(), runs);
        for _ in 0..2 {
            freezer.freeze().unwrap();
            until("it has stopped", || freezer.state().unwrap().is_reached);
            assert_eq!(freezer.state().unwrap(), Frozen { is_asked: true, is_reached: true });
            assert!(!grows(), "{mount:?}");
        }
        for _ in 0..2 {
            freezer.thaw().unwrap();
            assert!(grows(), "{mount:?}");
            assert_eq!(freezer.state().unwrap(), runs);
        }
    }
}

#[test]
fn one_that_is_stopped_from_above_was_not_asked() {
    for mount in mounts() {
        let Some(ground) = Ground::new(&mount, "freeze-above") else { return };
        let child = ground.child("child");
        let open = |ground: &Ground| Freezer::open(&mount, &ground.path, ground.id()).unwrap();
        let [above, below] = [&ground, &child].map(open);
        let _running = child.shell("sleep 1000");
        let _thawed = Thawed(&ground);
        until("it is there", || !child.pids().is_empty());
        above.freeze().unwrap();
        until("it has stopped", || below.state().unwrap().is_reached);
        assert_eq!(below.state().unwrap(), Frozen { is_asked: false, is_reached: true });
        above.thaw().unwrap();
        until("it goes on", || !below.state().unwrap().is_reached);
    }
}

#[test]
fn the_root_has_no_freezer_and_one_that_is_gone_neither() {
    for mount in mounts() {
        let error = Freezer::open(&mount, b"/", id_of(&mount).unwrap()).unwrap_err();
        assert!(matches!(error, TaskError::NotSupported { .. }), "{error}");
        let Some(ground) = Ground::new(&mount, "freeze-gone") else { return };
        let freezer = Freezer::open(&mount, &ground.path, ground.id()).unwrap();
        fs::remove_dir(ground.place()).unwrap();
        for error in
            [freezer.freeze().unwrap_err(), freezer.thaw().unwrap_err(), freezer.state().unwrap_err()]
        {
            assert!(matches!(error, TaskError::Gone { .. }), "{error}");
        }
    }
}

#[test]
fn states_of_both_versions_are_understood() {
    let rows: [(&[u8], Option<bool>); 6] = [
        (b"FROZEN\n", Some(true)),
        (b"FREEZING\n", Some(false)),
        (b"THAWED\n", Some(false)),
        (b"populated 1\nfrozen 1\n", Some(true)),
        (b"populated 1\nfrozen 0\nother 1\n", Some(false)),
        (b"populated 1\n", None),
    ];
    for (text, reached) in rows {
        assert_eq!(parse_reached(text), reached);
    }
    assert_eq!([&b"1\n"[..], b"0\n", b""].map(parse_asked), [Some(true), Some(false), None]);
}
