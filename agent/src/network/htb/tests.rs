//! Against the real kernel, and against what `tc` makes.

use std::{
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use nix::sys::socket::{setsockopt, sockopt};

use super::super::{
    Bucket, Handle, Requests, ShapingError,
    lab::{address, assert_holds, lab, listing, pair, received, run, send, socket},
};

const CLASS: Handle = Handle::SHAPER.class(0x10);

fn sum(requests: &mut Requests, ifindex: u32) -> u64 {
    let classes = requests.htb_classes(ifindex, Handle::SHAPER).unwrap();
    classes.iter().map(|class| class.statistics.bytes).sum()
}

/// What `tc` tells, without the numbers that it and we round to ticks in other ways, and names of interfaces.
fn without_bursts(name: &str) -> String {
    let told = listing(name);
    let is_other = |word: &&str| !word.contains("b/") && *word != name;
    told.split_whitespace().filter(is_other).collect::<Vec<_>>().join(" ")
}

#[test]
fn classes_are_what_tc_would_have_made() {
    lab(|requests| {
        let (ours, theirs) = (pair(requests, "a", 1_500), pair(requests, "b", 1_500));
        run("ip link set dev a txqueuelen 5"); // what the kernel would go by
        requests.add_htb_root(ours, Handle::SHAPER).unwrap();
        requests.add_htb_root(ours, Handle::SHAPER).unwrap();
        run("tc qdisc add dev b root handle 706c: htb default 0 direct_qlen 1000");
        for limit in [1_000_000, 100_000_000, 10_000_000_000, 100_000_000_000] {
            let bucket = Bucket::for_limit(limit, 1_500);
            let Bucket { bytes_per_second, burst_bytes } = bucket;
            requests.replace_htb_class(ours, CLASS, &bucket).unwrap();
            run(&format!(
                "tc class replace dev b parent 706c: classid 706c:10 htb rate {bytes_per_second}bps \
                 burst {burst_bytes} cburst {burst_bytes} quantum {}",
                (bytes_per_second / 10).min(200_000)
            ));
            let made = requests.htb_classes(ours, Handle::SHAPER).unwrap();
            assert_eq!((made.len(), made[0].ifindex, made[0].handle), (1, ours, CLASS));
            assert!(bucket.is_told_as(&made[0].bucket), "{bucket:?} {made:?}");
            let wanted = requests.htb_classes(theirs, Handle::SHAPER).unwrap();
            // It rounds to microseconds first.
            let apart = burst_bytes.abs_diff(wanted[0].bucket.burst_bytes);
            assert!(apart <= burst_bytes / 1_000, "{bucket:?} {wanted:?}");
            assert_eq!(without_bursts("a"), without_bursts("b"));
        }
        assert!(requests.delete_htb_class(ours, CLASS).unwrap());
        assert!(!requests.delete_htb_class(ours, CLASS).unwrap());
        assert_eq!(requests.htb_classes(ours, Handle::SHAPER).unwrap(), []);
    });
}

#[test]
fn a_class_holds_its_own_and_lets_the_rest_pass() {
    lab(|requests| {
        let ifindex = pair(requests, "a", 1_500);
        address("a");
        requests.add_htb_root(ifindex, Handle::SHAPER).unwrap();
        let sent = |requests: &mut Requests, priority: Handle| {
            let socket = socket();
            setsockopt(&socket.as_fd(), sockopt::Priority, &priority.number().cast_signed()).unwrap();
            let (begun, before) = (Instant::now(), received(requests, "ax"));
            send(&socket, 1_400, Duration::from_secs(1));
            (received(requests, "ax") - before, begun.elapsed())
        };
        for limit in [2_000_000, 8_000_000] {
            let bucket = Bucket::for_limit(limit, 1_500);
            requests.replace_htb_class(ifindex, CLASS, &bucket).unwrap();
            let before = sum(requests, ifindex);
            let (passed, time) = sent(requests, CLASS);
            assert_holds(&bucket, passed, time);
            let counted = sum(requests, ifindex) - before;
            assert!(counted.abs_diff(passed) < 100_000, "{counted} {passed}");
            let (passed, _) = sent(requests, Handle::NONE);
            assert!(passed > 5_000_000, "the rest was held: {passed}");
        }
        assert!(requests.delete_htb_class(ifindex, CLASS).unwrap());
        let (passed, _) = sent(requests, CLASS);
        assert!(passed > 5_000_000, "a class that is gone holds: {passed}");
    });
}

#[test]
fn without_the_htb_or_the_interface_there_are_no_classes() {
    lab(|requests| {
        let ifindex = pair(requests, "a", 1_500);
        let before = listing("a");
        let bucket = Bucket::for_limit(1_000_000, 1_500);
        let error = requests.replace_htb_class(ifindex, CLASS, &bucket).unwrap_err();
        assert!(matches!(error, ShapingError::Refused { errno: Some(libc::ENOENT), .. }), "{error}");
        assert!(!requests.delete_htb_class(ifindex, CLASS).unwrap());
        assert_eq!(requests.htb_classes(ifindex, Handle::SHAPER).unwrap(), []);
        requests.add_htb_root(ifindex, Handle::SHAPER).unwrap();
        requests.replace_htb_class(ifindex, CLASS, &bucket).unwrap();
        assert!(requests.delete_root(ifindex, Handle::SHAPER).unwrap());
        assert_eq!(listing("a"), before);
        run("ip link del dev a");
        assert!(requests.add_htb_root(ifindex, Handle::SHAPER).unwrap_err().is_gone());
        assert!(requests.replace_htb_class(ifindex, CLASS, &bucket).unwrap_err().is_gone());
        assert_eq!(requests.htb_classes(ifindex, Handle::SHAPER).unwrap(), []);
    });
}
