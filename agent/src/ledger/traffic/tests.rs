use plimsoll_common::traffic::Traffic;

use super::*;

const ONE: u64 = 11;
const OTHER: u64 = 12;

fn count(bytes: u64) -> Count {
    Count { bytes, packets: bytes / 100 }
}

fn counters(bytes: u64) -> Counters {
    Counters { bytes, packets: bytes / 100, ..Counters::default() }
}

fn both(bytes: u64) -> Both {
    let mut traffic = Traffic::ZERO;
    traffic.classes[0] = count(bytes);
    [traffic; 2]
}

fn counted(pairs: &[(u32, u64)]) -> HashMap<u32, Passed> {
    pairs.iter().map(|(ifindex, bytes)| (*ifindex, Passed { both: both(*bytes), sender: 0 })).collect()
}

fn wire(ifindex: u32, offset: u64) -> Wire {
    Wire { ifindex, counted: Ok(()), offset: [count(offset); 2] }
}

fn inside(namespace: u64, interfaces: &[&str]) -> Location {
    let interfaces = interfaces.iter().map(|name| (*name).to_owned()).collect();
    Location::Inside(Namespace::numbered(namespace), interfaces)
}

#[test]
fn what_the_interface_had_counted_before_is_in_the_total_and_in_no_class() {
    let mut lines = Lines::default();
    lines.appeared(&wire(7, 1_000), Instant::now()).expect("a new pair is written down");
    assert!(lines.appeared(&wire(7, 5), Instant::now()).is_none(), "one that is known keeps its offset");
    let [received, _] = lines.passed(7, &counted(&[(7, 200)])).expect("a pair");
    assert_eq!((received.total(), received.uncounted), (count(1_200), count(1_000)));
}

#[test]
fn a_pair_that_another_gets_leaves_what_passed_behind() {
    let mut lines = Lines::default();
    lines.appeared(&wire(7, 1_000), Instant::now());
    let first = lines.given(7, ONE, "eth0", None).expect("a pair");
    assert_eq!(first.port, port_key(ONE, b"eth0"));
    let passed = lines.passed(7, &counted(&[(7, 200)])).expect("a pair");
    let second = lines.given(7, OTHER, "eth0", Some(&passed)).expect("a pair");
    assert_eq!(second.port, port_key(OTHER, b"eth0"));
    let [received, transmitted] = lines.passed(7, &counted(&[(7, 500)])).expect("a pair");
    assert_eq!((received.total(), transmitted.total()), (count(300), count(300)));
}

#[test]
fn the_last_counters_tell_what_no_program_saw() {
    let mut lines = Lines::default();
    lines.appeared(&wire(7, 1_000), Instant::now());
    let mut last =
        |bytes| lines.passed_in_all(7, &counted(&[(7, 200)]), Some([counters(bytes); 2])).expect("a pair");
    assert_eq!(last(1_500)[0].total(), count(1_500));
    assert_eq!(last(1_500)[0].uncounted, count(1_300));
    assert_eq!(last(1_100)[0].total(), count(1_200), "a total never falls");
}

#[test]
fn an_interface_without_programs_counts_by_itself() {
    let mut lines = Lines::default();
    let counted_by_itself = Wire { counted: Err("no tcx".to_owned()), ..wire(7, 0) };
    lines.appeared(&counted_by_itself, Instant::now());
    let counters_and_bad = Counters { errors: 1, dropped: 2, ..counters(700) };
    let inside = Some(("eth0".to_owned(), [counters_and_bad; 2]));
    let reading = Reading { ifindex: 7, is_queued: false, outside: [counters(700); 2], inside };
    lines.read(vec![reading]);
    let [received, _] = lines.passed(7, &HashMap::new()).expect("a pair");
    assert_eq!((received.total(), received.errors, received.dropped), (count(700), 1, 2));
    let all = lines.passed_in_all(7, &HashMap::new(), Some([counters(900); 2])).expect("a pair");
    assert_eq!(all[0].total(), count(900));
    let all = lines.passed_in_all(7, &HashMap::new(), Some([counters(900), counters(0)])).expect("a pair");
    assert_eq!(all[1].total(), count(700), "at its end an interface forgets what it had received");
}

#[test]
fn what_a_queue_holds_back_was_not_received() {
    let reading = |bytes, is_queued| {
        vec![Reading { ifindex: 7, is_queued, outside: [counters(bytes); 2], inside: None }]
    };
    let mut lines = Lines::default();
    lines.appeared(&wire(7, 1_000), Instant::now());
    assert!(lines.read(reading(1_200, false)).held.is_empty());
    let News { held, seen, .. } = lines.read(reading(1_300, true));
    assert_eq!(seen, [(7, [1_300, 13, 1_300, 13, 0, 0, 0, 0])], "what no program knows is written down");
    assert_eq!(held.iter().map(|(ifindex, veth)| (*ifindex, veth.counted)).collect::<Vec<_>>(), [(7, 2)]);
    assert!(lines.read(reading(1_400, true)).held.is_empty(), "it is written down once");
    let [received, transmitted] = lines.passed(7, &counted(&[(7, 900)])).expect("a pair");
    assert_eq!((received.total(), transmitted.total()), (count(1_400), count(1_900)));
    let seen = seen.into_iter().collect();
    let mut again = Lines::restore(HashMap::from([(7, held[0].1)]), &HashMap::new(), &seen, Instant::now());
    assert_eq!(again.passed(7, &counted(&[(7, 950)])).expect("a pair")[0].total(), count(1_300));
    again.read(reading(1_500, false));
    assert_eq!(again.passed(7, &counted(&[(7, 950)])).expect("a pair")[0].total(), count(1_500));
    let last = lines.passed_in_all(7, &counted(&[(7, 950)]), Some([counters(1_600), counters(0)]));
    let [received, transmitted] = last.expect("a pair");
    assert_eq!((received.total(), transmitted.total()), (count(1_600), count(1_950)));
}

#[test]
fn what_the_kernel_drops_behind_the_programs_was_not_received() {
    let with_drops = |bytes| [Counters { dropped: 3, ..counters(bytes) }, counters(bytes)];
    let mut lines = Lines::default();
    lines.appeared(&wire(7, 1_000), Instant::now());
    let reading = Reading { ifindex: 7, is_queued: false, outside: with_drops(1_300), inside: None };
    assert_eq!(lines.read(vec![reading]).held.len(), 1);
    let [received, transmitted] = lines.passed(7, &counted(&[(7, 600)])).expect("a pair");
    assert_eq!((received.total(), transmitted.total()), (count(1_300), count(1_600)));

    lines.appeared(&wire(8, 1_000), Instant::now());
    let last = lines.passed_in_all(8, &counted(&[(8, 600)]), Some(with_drops(1_400)));
    let [received, transmitted] = last.expect("a pair");
    assert_eq!((received.total(), transmitted.total()), (count(1_400), count(1_600)), "it went at once");
}

#[test]
fn sockets_are_shown_where_no_pair_tells() {
    let (now, mut lines) = (Instant::now(), Lines::default());
    lines.found(1, Location::Host);
    lines.found(2, inside(100, &["eth0"]));
    lines.found(3, inside(101, &["eth0", "eth1"]));
    lines.found(4, inside(102, &[]));
    lines.found(5, inside(103, &["eth0"]));
    lines.found(6, inside(103, &["eth0"]));
    lines.appeared(&wire(7, 0), now);
    lines.given(7, 5, "eth0", None);
    let expected = [(1, HOST), (2, "eth0"), (3, SEVERAL)];
    assert_eq!(lines.by_sockets(now), HashMap::from(expected), "neither without a network nor beside a pair");
    lines.gone(7, now);
    assert_eq!(lines.by_sockets(now).get(&5), None, "another pair may be about to come");
    assert_eq!(lines.by_sockets(now + RECONNECT).get(&5), Some(&"eth0"));
}

#[test]
fn an_account_has_what_its_ports_and_pairs_have_and_those_in_one_network_their_own() {
    let mut lines = Lines::default();
    lines.found(ONE, inside(100, &["eth0"]));
    lines.found(OTHER, inside(100, &["eth0"]));
    lines.appeared(&wire(7, 0), Instant::now());
    lines.given(7, ONE, "eth0", None);
    let mut port = new_port(ONE, "eth0");
    port.flows[0].traffic = both(1_000)[0];
    let ports = HashMap::from([(port_key(ONE, b"eth0"), port)]);
    let counted = Counted { interfaces: counted(&[(7, 200)]), sockets: HashMap::new(), ports };
    let networks = lines.networks(&counted, &HashMap::from([(OTHER, both(40))]));
    let [interface] = networks[&ONE].interfaces.as_slice() else { panic!("one interface") };
    assert_eq!((interface.name.as_str(), totals(&interface.flows)), ("eth0", [count(1_200), count(200)]));
    assert_eq!(networks[&ONE].source, NetworkSource::Programs);
    assert_eq!(networks[&OTHER].own, Some(both(40)));
    assert!(networks[&OTHER].interfaces.is_empty());
}

#[test]
fn a_pair_that_nobody_has_is_given_up_after_a_while() {
    let (now, mut lines) = (Instant::now(), Lines::default());
    lines.appeared(&wire(7, 0), now);
    lines.appeared(&wire(8, 0), now);
    lines.given(8, ONE, "eth0", None);
    let patience = Duration::from_secs(10);
    assert!(lines.orphans(now, patience).is_empty());
    assert_eq!(lines.orphans(now + patience, patience), [7]);
}

#[test]
fn a_name_of_an_interface_is_cut_to_what_the_kernel_keeps() {
    let port = new_port(ONE, "a-very-long-name-of-an-interface");
    assert_eq!(interface_of(&port), "a-very-long-nam");
    assert_eq!(interface_of(&new_port(ONE, "")), "");
}
