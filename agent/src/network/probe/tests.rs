//! Against what `ip` and `tc` can make.

use super::super::lab::{can, lab, run};

#[test]
fn what_can_be_made_is_told_and_nothing_is_left() {
    lab(|requests| {
        let before = run("ip link") + &run("tc qdisc show");
        let probed = requests.probe();
        assert_eq!(run("ip link") + &run("tc qdisc show"), before);
        run("ip link add name place type veth peer name placex");
        let qdisc = |kind: &str| {
            can(&format!("tc qdisc add dev place root {kind}")) && can("tc qdisc del dev place root")
        };
        assert_eq!(probed.ifb.is_ok(), can("ip link add name other type ifb"), "{probed:?}");
        assert_eq!(probed.tbf.is_ok(), qdisc("tbf rate 1mbit burst 5kb limit 5kb"), "{probed:?}");
        assert_eq!(probed.fq_codel.is_ok(), qdisc("fq_codel"), "{probed:?}");
        assert_eq!(probed.htb.is_ok(), qdisc("htb"), "{probed:?}");
        let clsact = can("tc qdisc add dev place clsact")
            && can("tc filter add dev place ingress bpf da bytecode '1,6 0 0 0'");
        assert_eq!(probed.clsact.is_ok(), clsact, "{probed:?}");
        assert!(probed.tbf.is_ok(), "nothing was compared with: {probed:?}");
    });
}

#[test]
fn what_a_killed_probe_left_is_in_nobodys_way() {
    lab(|requests| {
        let first = requests.probe();
        for kind in ["ifb", "veth peer name plimprobe2"] {
            if can(&format!("ip link add name plimprobe type {kind}")) {
                assert_eq!(requests.probe(), first);
                assert!(!can("ip link show dev plimprobe"));
            }
        }
        run("ip link add name plimprobe type bridge");
        let told = requests.probe();
        assert!(told.ifb.is_err() && told.tbf.is_err(), "{told:?}");
        assert!(can("ip link show dev plimprobe"), "one of another kind is nobody's of ours");
    });
}
