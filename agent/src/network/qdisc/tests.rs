//! Against the real kernel, and against what `tc` makes and shows.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::super::{
    Handle, Qdisc, Requests, ShapingError, Tbf,
    lab::{address, assert_holds, can, lab, listing, pair, received, run, send, socket},
};

fn root(requests: &mut Requests, ifindex: u32) -> Qdisc {
    requests.root_qdisc(ifindex).unwrap().unwrap()
}

/// What `tc` tells of the root qdisc.
fn tc(name: &str) -> Value {
    let all: Value = serde_json::from_str(&run(&format!("tc -s -d -j qdisc show dev {name}"))).unwrap();
    all.as_array().unwrap().iter().find(|qdisc| qdisc["root"] == true).unwrap().clone()
}

#[test]
fn a_tbf_is_what_tc_would_have_made() {
    lab(|requests| {
        let (ours, theirs) = (pair(requests, "a", 1_500), pair(requests, "b", 1_500));
        for limit in
            [8_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000, 100_000_000_000]
        {
            let tbf = Tbf::for_limit(limit, 1_500);
            requests.replace_tbf(ours, Handle::SHAPER, &tbf).unwrap();
            let (rate, burst, most) = (tbf.bucket.bytes_per_second, tbf.bucket.burst_bytes, tbf.limit_bytes);
            run(&format!(
                "tc qdisc replace dev b root handle 706c: tbf rate {rate}bps burst {burst} limit {most}"
            ));
            let [made, wanted] = [ours, theirs].map(|ifindex| root(requests, ifindex));
            assert_eq!(Qdisc { ifindex: theirs, ..made.clone() }, wanted, "{limit}");
            assert_eq!((made.kind.as_str(), made.handle, made.parent), ("tbf", Handle::SHAPER, Handle::ROOT));
            assert!(!made.is_default() && made.is_root());
            assert!(tbf.is_told_as(&made.tbf.unwrap()), "{tbf:?} {made:?}");
            let [made, wanted] = ["a", "b"].map(tc);
            assert_eq!(made["options"], wanted["options"]);
            assert_eq!(made["options"]["rate"], rate, "{made}");
        }
    });
}

#[test]
fn a_limit_holds_and_is_changed_while_packets_pass() {
    lab(|requests| {
        let ifindex = pair(requests, "a", 1_500);
        address("a");
        let limits = [2_000_000, 8_000_000, 1_000_000];
        let mut last = 0;
        for limit in limits {
            let tbf = Tbf::for_limit(limit, 1_500);
            requests.replace_tbf(ifindex, Handle::SHAPER, &tbf).unwrap();
            let sender = thread::scope(|scope| {
                // It is in the namespace of the thread that starts it.
                let sender = scope.spawn(|| send(&socket(), 1_400, Duration::from_secs(2)));
                thread::sleep(Duration::from_millis(300));
                let (begun, before) = (Instant::now(), received(requests, "ax"));
                thread::sleep(Duration::from_secs(1));
                let bytes = received(requests, "ax") - before;
                assert_holds(&tbf.bucket, bytes, begun.elapsed());
                // On a busy machine nothing may wait for a moment.
                let mut looks = (0..100).map(|_| {
                    thread::sleep(Duration::from_millis(5));
                    root(requests, ifindex).statistics
                });
                let statistics = looks.find(|statistics| statistics.queued_packets > 0).unwrap();
                assert!(statistics.bytes > last, "the same qdisc goes on: {statistics:?}");
                assert!(statistics.queued_bytes > 1_400, "{statistics:?}");
                assert!(statistics.overlimits > 0, "{statistics:?}");
                last = statistics.bytes;
                sender.join()
            });
            sender.unwrap();
        }
        thread::sleep(Duration::from_millis(300));
        let (told, statistics) = (tc("a"), root(requests, ifindex).statistics);
        let ours = [
            ("bytes", statistics.bytes),
            ("packets", statistics.packets),
            ("drops", statistics.drops.into()),
            ("overlimits", statistics.overlimits.into()),
            ("requeues", statistics.requeues.into()),
            ("backlog", statistics.queued_bytes.into()),
            ("qlen", statistics.queued_packets.into()),
        ];
        for (name, number) in ours {
            assert_eq!(told[name], number, "{name}: {told}");
        }
        assert_eq!(statistics.bytes, received(requests, "ax"), "what left it arrived");
    });
}

#[test]
fn a_packet_as_long_as_the_mtu_passes_at_any_rate() {
    lab(|requests| {
        let ifindex = pair(requests, "a", 9_000);
        address("a");
        let mut sent = |mtu| {
            requests.replace_tbf(ifindex, Handle::SHAPER, &Tbf::for_limit(1_000_000, mtu)).unwrap();
            let before = received(requests, "ax");
            send(&socket(), 8_972, Duration::from_millis(1));
            thread::sleep(Duration::from_millis(200));
            received(requests, "ax") - before
        };
        assert!(sent(9_000) >= 9_014);
        assert_eq!(sent(1_500), 0, "a burst for another MTU lets none pass");
    });
}

#[test]
fn what_somebody_else_put_stays() {
    let others = [
        "handle 1: htb default 0",
        "handle 706d: tbf rate 1mbit burst 5kb limit 10kb",
        "pfifo limit 5",
        "handle 706c: bfifo limit 5000",
    ];
    lab(|requests| {
        let ifindex = pair(requests, "a", 1_500);
        for other in others {
            run(&format!("tc qdisc add dev a root {other}"));
            let before = listing("a");
            let tbf = Tbf::for_limit(1_000_000, 1_500);
            let mut refused = vec![
                requests.replace_tbf(ifindex, Handle::SHAPER, &tbf).unwrap_err(),
                requests.add_htb_root(ifindex, Handle::SHAPER).unwrap_err(),
            ];
            if !other.contains("706c") {
                refused.push(requests.delete_root(ifindex, Handle::SHAPER).unwrap_err());
            }
            for error in refused {
                let ShapingError::Foreign { found, .. } = &error else { panic!("{other}: {error}") };
                let kind = other.split(' ').find(|word| ["htb", "tbf", "pfifo", "bfifo"].contains(word));
                assert!(found.starts_with(&format!("qdisc {} ", kind.unwrap())), "{error}");
            }
            assert_eq!(listing("a"), before);
            run("tc qdisc del dev a root");
        }
    });
}

#[test]
fn nothing_is_left_and_what_is_gone_is_no_error() {
    lab(|requests| {
        let ifindex = pair(requests, "a", 1_500);
        let before = listing("a");
        assert!(root(requests, ifindex).is_default());
        assert!(!requests.delete_root(ifindex, Handle::SHAPER).unwrap());
        let tbf = Tbf::for_limit(1_000_000, 1_500);
        requests.replace_tbf(ifindex, Handle::SHAPER, &tbf).unwrap();
        assert_ne!(listing("a"), before);
        assert!(requests.delete_root(ifindex, Handle::SHAPER).unwrap());
        assert_eq!(listing("a"), before);
        assert!(!requests.delete_root(ifindex, Handle::SHAPER).unwrap());

        requests.replace_tbf(ifindex, Handle::SHAPER, &tbf).unwrap();
        run("ip link del dev a");
        assert!(!requests.delete_root(ifindex, Handle::SHAPER).unwrap());
        assert!(requests.replace_tbf(ifindex, Handle::SHAPER, &tbf).unwrap_err().is_gone());
        let error = requests.replace_fq_codel(ifindex, Handle::SHAPER_CLASS, Handle::QUEUE).unwrap_err();
        assert!(error.is_gone(), "{error}");
        assert_eq!(requests.root_qdisc(ifindex).unwrap(), None);
        assert_eq!(requests.qdiscs_of(ifindex).unwrap(), []);
    });
}

#[test]
fn a_tbf_has_an_fq_codel_below_where_the_kernel_has_one() {
    lab(|requests| {
        let ifindex = pair(requests, "a", 1_500);
        run("ip link add name other type veth peer name otherx");
        let kernel_has = can("tc qdisc add dev other root fq_codel");
        let put =
            |requests: &mut Requests| requests.replace_fq_codel(ifindex, Handle::SHAPER_CLASS, Handle::QUEUE);
        let without_parent = put(requests).unwrap_err();
        requests.replace_tbf(ifindex, Handle::SHAPER, &Tbf::for_limit(1_000_000, 1_500)).unwrap();
        if !kernel_has {
            let error = put(requests).unwrap_err();
            assert!(matches!(error, ShapingError::NotSupported { .. }), "{error}");
            return;
        }
        assert!(matches!(without_parent, ShapingError::Refused { .. }), "{without_parent}");
        put(requests).unwrap();
        put(requests).unwrap();
        let below = |requests: &mut Requests| {
            let mut all = requests.qdiscs_of(ifindex).unwrap();
            all.retain(|qdisc| qdisc.parent == Handle::SHAPER_CLASS);
            all
        };
        let queues = below(requests);
        assert_eq!(queues.len(), 1);
        assert_eq!((queues[0].kind.as_str(), queues[0].handle), ("fq_codel", Handle::QUEUE));
        // A change of the rate leaves it there.
        requests.replace_tbf(ifindex, Handle::SHAPER, &Tbf::for_limit(2_000_000, 1_500)).unwrap();
        assert_eq!(below(requests), queues);
        run("tc qdisc replace dev a parent 706c:1 handle 9: pfifo");
        let error = put(requests).unwrap_err();
        assert!(
            matches!(&error, ShapingError::Foreign { found, .. } if found == "qdisc pfifo 9:"),
            "{error}"
        );
    });
}

#[test]
fn all_qdiscs_are_listed_with_those_of_the_kernel() {
    lab(|requests| {
        let (first, second) = (pair(requests, "a", 1_500), pair(requests, "b", 1_500));
        requests.replace_tbf(second, Handle::SHAPER, &Tbf::for_limit(1_000_000, 1_500)).unwrap();
        run("tc qdisc add dev a clsact");
        let all = requests.qdiscs().unwrap();
        assert_eq!(all.len(), run("tc qdisc show").lines().count());
        let of = |ifindex| all.iter().filter(|qdisc| qdisc.ifindex == ifindex).cloned().collect::<Vec<_>>();
        for ifindex in [first, second] {
            assert_eq!(requests.qdiscs_of(ifindex).unwrap(), of(ifindex));
        }
        let kinds: Vec<_> =
            of(first).into_iter().map(|qdisc| (qdisc.is_default(), qdisc.to_string())).collect();
        assert_eq!(kinds, [(true, "qdisc noqueue 0:".into()), (false, "qdisc clsact ffff:".into())]);
    });
}
