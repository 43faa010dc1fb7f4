//! Against the real kernel, in the hierarchy of this host that has the pids controller.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::{above, parse_hits};
use crate::cgroup::{
    Counting, Effective, Hits, Kind, Max, TaskError, Tasks, Watch, id_of,
    lab::{Ground, pids},
};

/// Tells a bomb where to go off.
const BOMB: &str = "PLIMSOLL_TEST_BOMB";

/// Not a test of its own: what [`bomb`] starts. Forks 70 times in a cgroup and tells how many were refused.
#[test]
fn goes_off_where_it_is_told_to() {
    let Some(place) = env::var_os(BOMB) else { return };
    let place = Path::new(&place);
    fs::write(place.join("cgroup.procs"), "0").unwrap();
    let mut refused = 0;
    for _ in 0..70 {
        let mut sleep = Command::new("sleep");
        // Whoever started us waits until nobody has its pipes.
        sleep.arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match sleep.spawn() {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => refused += 1,
            forked => drop(forked.unwrap()), // it ends with the cgroup
        }
    }
    let tasks = fs::read_to_string(place.join("pids.current")).unwrap();
    println!("\nbomb: {refused} {}", tasks.trim());
}

/// Lets one go off: how many forks were refused, and how many tasks there were then.
fn bomb(ground: &Ground) -> (u64, u64) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "cgroup::tasks::tests::goes_off_where_it_is_told_to", "--nocapture"]);
    let output = command.env(BOMB, ground.place()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = told.lines().find_map(|line| line.strip_prefix("bomb: ")).expect(&told).to_owned();
    let numbers: Vec<u64> = words.split(' ').map(|word| word.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}

#[test]
fn a_limit_is_set_and_told_as_the_file_says() {
    let hierarchy = pids();
    let Some(ground) = Ground::new(&hierarchy.mount, "max") else { return };
    let tasks = ground.tasks(&hierarchy);
    assert_eq!(tasks.max().unwrap(), Max::None);
    for max in [Max::Number(50), Max::Number(50), Max::Number(0), Max::Number(4_194_304), Max::None] {
        tasks.set_max(max).unwrap();
        assert_eq!(ground.file("pids.max").trim(), max.to_string());
        assert_eq!(tasks.max().unwrap(), max);
    }
    let error = tasks.set_max(Max::Number(4_194_305)).unwrap_err();
    assert!(matches!(error, TaskError::TooMany { .. }), "{error}");
    let refused = fs::write(ground.place().join("pids.max"), "4194305").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EINVAL), "as the kernel would");
    assert_eq!(tasks.max().unwrap(), Max::None);
}

#[test]
fn a_bomb_stops_at_the_limit_and_every_refusal_is_a_hit() {
    let hierarchy = pids();
    let Some(ground) = Ground::new(&hierarchy.mount, "bomb") else { return };
    let tasks = ground.tasks(&hierarchy);
    tasks.set_max(Max::Number(50)).unwrap();
    assert_eq!((tasks.current().unwrap(), tasks.hits().unwrap().count), (0, 0));
    let watch = tasks.watch().unwrap();
    assert!(!watch.wait(Duration::from_millis(30)).unwrap(), "nothing was hit");

    let (refused, there) = bomb(&ground);
    assert_eq!(there, 50);
    assert!(refused > 20, "{refused} of 70 were refused");
    // On v1 some kernels wake, and some do not.
    let wakes = watch.wait(Duration::from_secs(1)).unwrap();
    assert!(wakes || hierarchy.kind == Kind::PidsV1);
    eprintln!("hits of {} wake: {wakes}", hierarchy.kind);
    assert!(!watch.wait(Duration::from_millis(30)).unwrap(), "what was heeded wakes no more");
    let hits = tasks.hits().unwrap();
    assert_eq!(hits.count, refused);
    let is_local = ground.place().join("pids.events.local").exists();
    assert_eq!(hits.counting, if is_local { Counting::OwnLimit } else { Counting::OwnForks });
    assert_eq!(ground.file("pids.events"), format!("max {refused}\n"));
    let left: u64 = ground.file("pids.current").trim().parse().unwrap();
    assert_eq!(tasks.current().unwrap(), left);

    tasks.set_max(Max::None).unwrap();
    assert_eq!(bomb(&ground).0, 0, "lifted at once");
}

/// How often the limit of each was hit, and what counted.
fn hits(of: &[&Tasks]) -> Vec<(u64, Counting)> {
    of.iter().map(|tasks| tasks.hits().map(|Hits { count, counting }| (count, counting)).unwrap()).collect()
}

#[test]
fn a_hit_of_a_limit_above_is_told_as_this_kernel_counts_it() {
    let hierarchy = pids();
    let Some(ground) = Ground::new(&hierarchy.mount, "above") else { return };
    let child = ground.child("child");
    let [above, below] = [&ground, &child].map(|ground| ground.tasks(&hierarchy));
    above.set_max(Max::Number(40)).unwrap();
    below.set_max(Max::Number(4_000)).unwrap();
    let effective = below.effective().unwrap();
    assert_eq!(effective, Effective { max: Max::Number(40), path: ground.path.clone() });
    let (refused, there) = bomb(&child);
    assert!(refused > 20 && there == 40, "{refused} {there}");
    let wanted = if child.place().join("pids.events.local").exists() {
        [(refused, Counting::OwnLimit), (0, Counting::OwnLimit)]
    } else {
        [(0, Counting::OwnForks), (refused, Counting::OwnForks)]
    };
    assert_eq!(hits(&[&above, &below]), wanted);
}

#[test]
fn the_lowest_limit_counts_and_the_nearest_of_equal_ones() {
    let hierarchy = pids();
    let Some(ground) = Ground::new(&hierarchy.mount, "lowest") else { return };
    let middle = ground.child("b");
    let lowest = middle.child("c");
    let grounds = [&ground, &middle, &lowest];
    let tasks = grounds.map(|ground| ground.tasks(&hierarchy));
    let (none, number) = (Max::None, Max::Number);
    // limits from the top -> which counts
    let rows = [
        ([none, none, none], 2),
        ([number(5), none, none], 0),
        ([number(5), number(4), none], 1),
        ([number(5), number(5), number(6)], 1),
        ([number(5), number(5), number(5)], 2),
        ([number(9), none, number(0)], 2),
    ];
    for (limits, which) in rows {
        tasks.iter().zip(limits).for_each(|(tasks, max)| tasks.set_max(max).unwrap());
        let wanted = Effective { max: limits[which], path: grounds[which].path.clone() };
        assert_eq!(tasks[2].effective().unwrap(), wanted, "{limits:?}");
    }
}

#[test]
fn a_cgroup_that_is_gone_or_made_anew_is_not_touched() {
    let hierarchy = pids();
    let Some(ground) = Ground::new(&hierarchy.mount, "anew") else { return };
    let (tasks, id) = (ground.tasks(&hierarchy), ground.id());
    let watch: Watch = tasks.watch().unwrap();
    fs::remove_dir(ground.place()).unwrap();
    let is_gone = |error: TaskError| assert!(matches!(error, TaskError::Gone { .. }), "{error}");
    let all_gone = || {
        is_gone(tasks.set_max(Max::Number(1)).unwrap_err());
        is_gone(tasks.max().unwrap_err());
        is_gone(tasks.current().unwrap_err());
        is_gone(tasks.hits().unwrap_err());
        is_gone(tasks.watch().unwrap_err());
        is_gone(tasks.effective().unwrap_err());
        is_gone(tasks.kill(Duration::ZERO).unwrap_err());
        is_gone(tasks.newest().unwrap_err());
        is_gone(watch.heed().unwrap_err());
    };
    all_gone();
    is_gone(Tasks::open(&hierarchy, &ground.path, id).unwrap_err());
    fs::create_dir(ground.place()).unwrap();
    all_gone();
    let error = Tasks::open(&hierarchy, &ground.path, id).unwrap_err();
    assert!(matches!(error, TaskError::Replaced { wanted, .. } if wanted == id), "{error}");
    assert_eq!(ground.file("pids.max"), "max\n");
}

#[test]
fn the_root_has_no_limit() {
    let hierarchy = pids();
    let root = Tasks::open(&hierarchy, b"/", id_of(&hierarchy.mount).unwrap()).unwrap();
    let error = root.set_max(Max::Number(4_000_000)).unwrap_err();
    assert!(matches!(error, TaskError::NotSupported { file: "pids.max", .. }), "{error}");
    assert!(root.effective().is_err() && root.watch().is_err());
}

#[test]
fn hits_are_a_number_in_a_line() {
    let rows: [(&[u8], Option<u64>); 7] = [
        (b"max 0\n", Some(0)),
        (b"max 18446744073709551615\n", Some(u64::MAX)),
        (b"other 3\nmax 12\nmax.local 4\n", Some(12)),
        (b"maximum 12\n", None),
        (b"max -1\n", None),
        (b"max\n", None),
        (b"", None),
    ];
    for (text, count) in rows {
        assert_eq!(parse_hits(text), count);
    }
}

#[test]
fn paths_above_end_before_the_root() {
    let told = |path: &'static [u8]| above(path).collect::<Vec<_>>();
    assert_eq!(told(b"/a/b/c"), [&b"/a/b"[..], b"/a"]);
    assert_eq!(told(b"/a"), [b""; 0]);
    assert_eq!(told(b"/"), [b""; 0]);
    assert_eq!(told(b""), [b""; 0]);
}
