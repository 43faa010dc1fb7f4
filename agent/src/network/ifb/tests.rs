//! Against the real kernel.

use super::super::{
    Handle, Ifb, IfbName, Requests, ShapingError, Tbf,
    lab::{ifindex, lab, run},
};

#[test]
fn names_are_ours_or_nobodys() {
    let longest = IfbName::of(u32::MAX);
    assert_eq!(longest.as_str(), "plim4294967295");
    assert!(longest.as_str().len() <= 15);
    assert_eq!(IfbName::parse("plim17"), Some(IfbName::of(17)));
    assert_eq!(IfbName::of(17).ifindex(), Some(17));
    assert_eq!(IfbName::parse("plimprobe"), Some(IfbName::probe()));
    assert_eq!(IfbName::probe().ifindex(), None);
    for other in [
        "",
        "plim",
        "plim017",
        "plim-1",
        "plim+1",
        "plim4294967296",
        "plim1x",
        "ifb1",
        "xplim1",
        "plimprobe2",
    ] {
        assert_eq!(IfbName::parse(other), None, "{other}");
    }
}

/// Whether this kernel has the kind; told where it has not.
fn can(requests: &mut Requests) -> bool {
    match requests.make_ifb(&IfbName::of(1), 32) {
        Err(ShapingError::NotSupported { reason, .. }) => {
            eprintln!("skipped: {reason}");
            false
        }
        made => requests.delete_ifb(made.unwrap()).unwrap(),
    }
}

#[test]
fn an_ifb_is_made_once_is_up_and_has_no_address() {
    lab(|requests| {
        if !can(requests) {
            return;
        }
        let before = run("ip -d address");
        let name = IfbName::of(4_294_967_295);
        let made = requests.make_ifb(&name, 77).unwrap();
        assert_eq!(requests.make_ifb(&name, 77).unwrap(), made);
        let wanted = Ifb { ifindex: made, name: name.clone(), is_up: true };
        assert_eq!(requests.ifb(&name).unwrap(), Some(wanted.clone()));
        assert_eq!(requests.ifbs().unwrap(), [wanted]);
        let told = run("ip -d address show dev plim4294967295");
        assert!(told.contains(" ifb ") && told.contains("qlen 77") && told.contains("UP"), "{told}");
        assert!(!told.contains("inet"), "{told}");
        requests.replace_tbf(made, Handle::SHAPER, &Tbf::for_limit(1_000_000, 1_500)).unwrap();
        run("ip link set dev plim4294967295 down");
        assert_eq!(requests.make_ifb(&name, 77).unwrap(), made);
        assert!(requests.ifb(&name).unwrap().unwrap().is_up, "it is set up again");
        assert!(requests.delete_ifb(made).unwrap());
        assert!(!requests.delete_ifb(made).unwrap());
        assert_eq!(requests.ifb(&name).unwrap(), None);
        assert_eq!(run("ip -d address"), before);
    });
}

#[test]
fn interfaces_of_others_are_not_removed_or_taken() {
    lab(|requests| {
        run("ip link add name plim5 type veth peer name other");
        let mut others = vec!["lo", "plim5", "other"];
        if can(requests) {
            run("ip link add name ifb7 type ifb");
            others.push("ifb7");
        }
        let before = run("ip address");
        for name in others {
            let number = ifindex(requests, name);
            let error = requests.delete_ifb(number).unwrap_err();
            assert!(matches!(&error, ShapingError::Foreign { found, .. } if found.contains(name)), "{error}");
        }
        let error = requests.make_ifb(&IfbName::of(5), 32).unwrap_err();
        assert!(matches!(error, ShapingError::Foreign { .. } | ShapingError::NotSupported { .. }), "{error}");
        assert_eq!(requests.ifb(&IfbName::of(5)).unwrap(), None);
        assert_eq!(requests.ifbs().unwrap(), []);
        assert_eq!(run("ip address"), before);
    });
}
