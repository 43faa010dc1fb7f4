//! Against the real kernel: programs run, and others' stay.

use std::{net::UdpSocket, thread, time::Duration};

use plimsoll_tests::foreign::{Foreign, Kind};

use super::super::{
    Hook, Requests, ShapingError, Side,
    lab::{address, lab, listing, pair, run, socket},
};

const SIDES: [Side; 2] = [Side::Ingress, Side::Egress];

fn program() -> Foreign {
    Foreign::load(Kind::Classifier).unwrap()
}

/// Sends one packet of 1,042 bytes.
fn packet() {
    let socket: UdpSocket = socket();
    socket.send_to(&[0; 1_000], "10.9.0.2:9").unwrap();
    thread::sleep(Duration::from_millis(50));
}

/// Whether this kernel has clsact and `cls_bpf`; told where it has not.
fn can(requests: &mut Requests) -> bool {
    let probed = requests.probe().clsact;
    probed.inspect_err(|reason| eprintln!("skipped: {reason}")).is_ok()
}

#[test]
fn our_program_runs_is_replaced_and_goes() {
    lab(|requests| {
        if !can(requests) {
            return;
        }
        let ifindex = pair(requests, "a", 1_500);
        address("a");
        let before = listing("a");
        assert_eq!(requests.add_clsact(ifindex).unwrap(), Hook::Made);
        assert_eq!(requests.add_clsact(ifindex).unwrap(), Hook::WasThere);
        let (first, second) = (program(), program());
        for side in SIDES {
            assert_eq!(requests.filters(ifindex, side).unwrap(), []);
            assert!(!requests.delete_filter(ifindex, side).unwrap());
            requests.replace_filter(ifindex, side, first.program(), None).unwrap();
        }
        packet();
        assert_eq!(first.bytes().unwrap(), 1_042, "it went out, and nothing came in");
        requests.replace_filter(ifindex, Side::Egress, second.program(), None).unwrap();
        packet();
        assert_eq!((first.bytes().unwrap(), second.bytes().unwrap()), (1_042, 1_042));

        let filters = requests.filters(ifindex, Side::Egress).unwrap();
        assert_eq!(filters.len(), 1);
        assert!(filters[0].is_ours());
        assert_eq!(filters[0].program, Some(second.id().unwrap()));
        assert_eq!(filters[0].to_string(), "filter bpf pref 28780 handle 0x706c plimsoll");
        let told = run("tc filter show dev a egress");
        assert!(told.contains("pref 28780 bpf chain 0 handle 0x706c plimsoll direct-action"), "{told}");

        assert!(requests.delete_clsact(ifindex).is_err(), "not while ours hang there");
        for side in SIDES {
            assert!(requests.delete_filter(ifindex, side).unwrap());
            assert!(!requests.delete_filter(ifindex, side).unwrap());
        }
        packet();
        assert_eq!(second.bytes().unwrap(), 1_042);
        assert!(requests.delete_clsact(ifindex).unwrap());
        assert!(!requests.delete_clsact(ifindex).unwrap());
        assert_eq!(listing("a"), before);
    });
}

#[test]
fn filters_of_others_stay() {
    lab(|requests| {
        if !can(requests) {
            return;
        }
        let ifindex = pair(requests, "a", 1_500);
        run("tc qdisc add dev a clsact");
        let bytecode = "bpf da bytecode '1,6 0 0 0'";
        run(&format!("tc filter add dev a ingress pref 1 {bytecode}"));
        run(&format!("tc filter add dev a egress pref 28780 handle 0x706c {bytecode}"));
        let before = listing("a");
        assert_eq!(requests.add_clsact(ifindex).unwrap(), Hook::WasThere);
        let ours = program();
        requests.replace_filter(ifindex, Side::Ingress, ours.program(), None).unwrap();
        let all = requests.filters(ifindex, Side::Ingress).unwrap();
        assert_eq!(
            all.iter().map(|filter| (filter.priority, filter.is_ours())).collect::<Vec<_>>(),
            [(1, false), (28_780, true)]
        );
        let taken = requests.replace_filter(ifindex, Side::Egress, ours.program(), None).unwrap_err();
        assert!(matches!(taken, ShapingError::Foreign { .. }), "{taken}");
        assert!(!requests.delete_filter(ifindex, Side::Egress).unwrap());
        assert!(requests.delete_filter(ifindex, Side::Ingress).unwrap());
        let error = requests.delete_clsact(ifindex).unwrap_err();
        assert!(matches!(error, ShapingError::Foreign { .. }), "{error}");
        assert_eq!(listing("a"), before);
    });
}

#[test]
fn below_an_ingress_qdisc_there_is_one_side() {
    lab(|requests| {
        if !can(requests) {
            return;
        }
        let ifindex = pair(requests, "a", 1_500);
        run("tc qdisc add dev a ingress");
        let before = listing("a");
        assert_eq!(requests.add_clsact(ifindex).unwrap(), Hook::IngressOnly);
        let ours = program();
        requests.replace_filter(ifindex, Side::Ingress, ours.program(), None).unwrap();
        assert!(requests.filters(ifindex, Side::Ingress).unwrap()[0].is_ours());
        assert!(requests.delete_filter(ifindex, Side::Ingress).unwrap());
        let error = requests.delete_clsact(ifindex).unwrap_err();
        assert!(matches!(error, ShapingError::Foreign { .. }), "{error}");
        assert_eq!(listing("a"), before);
    });
}

#[test]
fn at_an_interface_that_is_gone_nothing_hangs() {
    lab(|requests| {
        let ifindex = pair(requests, "a", 1_500);
        run("ip link del dev a");
        assert!(requests.add_clsact(ifindex).unwrap_err().is_gone());
        assert!(!requests.delete_clsact(ifindex).unwrap());
        for side in SIDES {
            assert_eq!(requests.filters(ifindex, side).unwrap(), []);
            assert!(!requests.delete_filter(ifindex, side).unwrap());
            let error = requests.replace_filter(ifindex, side, program().program(), None).unwrap_err();
            assert!(error.is_gone(), "{error}");
        }
    });
}
