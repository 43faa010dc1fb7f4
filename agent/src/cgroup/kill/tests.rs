//! Against the real kernel, in every hierarchy of this host.

use std::{fs, thread, time::Duration};

use super::{KilledBy, is_within, parse_birth, pid, protected};
use crate::cgroup::{
    Hierarchies, Hierarchy, Max, TaskError,
    lab::{Ground, Running, until},
};

const PATIENCE: Duration = Duration::from_mins(1);

fn hierarchies() -> Vec<Hierarchy> {
    let Hierarchies { cgroup2, pids_v1, mode: _ } = Hierarchies::read().unwrap();
    cgroup2.into_iter().chain(pids_v1).collect()
}

/// Three processes, a second apart at most.
fn three(ground: &Ground) -> [Running; 3] {
    [1, 2, 3].map(|count| {
        let running = ground.shell("exec sleep 1000");
        until("it is there", || ground.pids().len() == count);
        thread::sleep(Duration::from_millis(30)); // some ticks
        running
    })
}

#[test]
fn all_end_even_those_that_fork_and_those_below() {
    for hierarchy in hierarchies() {
        let Some(ground) = Ground::new(&hierarchy.mount, "kill") else { return };
        let [child, other] = ["child", "other"].map(|name| ground.child(name));
        let tasks = ground.tasks(&hierarchy);
        let is_limited = tasks.set_max(Max::Number(60)).is_ok();
        let neighbour = Ground::new(&hierarchy.mount, "kill-not").unwrap();
        let mut outside = neighbour.shell("exec sleep 1000");
        until("it is there", || !neighbour.pids().is_empty());
        let _storm = child.shell("while :; do sleep 1000 & sleep 0.01; done");
        let _one = other.shell("exec sleep 1000");
        until("there are some", || child.pids().len() > if is_limited { 20 } else { 5 });
        let by = tasks.kill(PATIENCE).unwrap();
        let kernel_can = ground.place().join("cgroup.kill").exists();
        assert_eq!(by, if kernel_can { KilledBy::Kernel } else { KilledBy::Signals });
        assert!(child.pids().is_empty() && other.pids().is_empty());
        assert!(outside.0.try_wait().unwrap().is_none(), "a neighbour lives");
        assert_eq!(tasks.kill(Duration::ZERO).unwrap(), by, "nobody is there");
    }
}

#[test]
fn the_newest_is_the_one_that_was_born_last() {
    for hierarchy in hierarchies() {
        let Some(ground) = Ground::new(&hierarchy.mount, "newest") else { return };
        let tasks = ground.tasks(&hierarchy);
        assert!(tasks.newest().unwrap().is_none());
        assert_eq!(tasks.kill_newest().unwrap(), None);
        let mut running = three(&ground);
        for which in [2, 1, 0] {
            let wanted = running[which].0.id();
            let newest = tasks.newest().unwrap().unwrap();
            assert_eq!(newest.pid, wanted);
            assert!(newest.born > 0);
            assert_eq!(tasks.kill_newest().unwrap(), Some(wanted));
            running[which].0.wait().unwrap();
            newest.kill().unwrap(); // it has ended
            assert_eq!(ground.pids().len(), which);
        }
    }
}

#[test]
fn one_that_does_not_end_is_told() {
    for hierarchy in hierarchies() {
        let Some(ground) = Ground::new(&hierarchy.mount, "overdue") else { return };
        let tasks = ground.tasks(&hierarchy);
        let _running = ground.shell("exec sleep 1000");
        until("it is there", || !ground.pids().is_empty());
        match tasks.kill(Duration::ZERO) {
            // By the kernel it may have ended before it was looked at.
            Ok(KilledBy::Kernel) | Err(TaskError::StillThere { left: 1, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn this_process_and_the_first_are_protected() {
    assert_eq!(protected(&[5, 6, 7], 8), None);
    assert_eq!(protected(&[5, 8, 7], 8), Some(8));
    assert_eq!(protected(&[5, 1], 8), Some(1));
}

#[test]
fn a_birth_stands_behind_whatever_the_name_is() {
    let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n";
    for name in ["sleep", "a b", "a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 1 (", ")", "\u{fffd}\n"] {
        assert_eq!(parse_birth(format!("12 ({name}) {fields}").as_bytes()), Some(4_711), "{name}");
    }
    for text in
        ["", "12 (sleep", "12 (sleep) S 1 2", "12 (sleep) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"]
    {
        assert_eq!(parse_birth(text.as_bytes()), None, "{text}");
    }
    let own = parse_birth(&fs::read("/proc/self/stat").unwrap()).unwrap();
    let ticks = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = ticks.split(' ').next().unwrap().parse().unwrap();
    assert!(u32::try_from(own / 100).is_ok_and(|born| f64::from(born) <= seconds + 1.0), "{own} {seconds}");
}

#[test]
fn paths_are_within_themselves_and_those_above() {
    for (path, other, wanted) in [
        ("/a/b", "/a", true),
        ("/a", "/a", true),
        ("/ab", "/a", false),
        ("/a", "/a/b", false),
        ("/a", "/", true),
        ("/", "/", true),
        ("/b", "/a", false),
    ] {
        assert_eq!(is_within(path.as_bytes(), other.as_bytes()), wanted, "{path} {other}");
    }
}

#[test]
fn numbers_of_processes_are_lines() {
    assert_eq!([&b"12"[..], b"0", b"", b"x"].map(pid), [Some(12), None, None, None]);
}
