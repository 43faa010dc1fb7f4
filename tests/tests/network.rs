//! Whose bytes they are: the host's network, networks that are shared, pairs that come and go, and what others put there.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    agent::Agent,
    bridge::Bridge,
    cgroup::Cgroup,
    docker::{Docker, IMAGE},
    page::{Page, Sample},
    pins::Pins,
    report::Case,
    sandbox::{Sandbox, sink_on_the_host, traffic_on_the_host},
    settings, wait,
};

const RECEIVED: &str = "container_network_receive_bytes_total";
const TRANSMITTED: &str = "container_network_transmit_bytes_total";

/// Longer than a page is shared, and than it takes to find where processes are.
const A_WHILE: Duration = Duration::from_secs(4);

/// Longer than a pair's account is looked for.
const UNTIL_NOBODYS: Duration = Duration::from_secs(13);

/// Bytes of an Ethernet, an IPv4 and a TCP header with its timestamps.
const HEADERS: u64 = 14 + 20 + 32;

/// How long a pair lives: 500 of them take a minute.
const A_MOMENT: Duration = Duration::from_millis(100);

fn shown(page: &Page, cgroup: &Cgroup, interface: &str) -> Result<Option<u64>> {
    page.find(TRANSMITTED, &[("id", &cgroup.id()), ("interface", interface)])
}

#[test]
fn a_cgroup_in_the_hosts_network_has_its_own_bytes_and_no_others() -> Result<()> {
    Case::run("a_cgroup_in_the_hosts_network_has_its_own_bytes_and_no_others", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        bridge.give_address()?;
        let (busy, idle) = (Cgroup::create("busy")?, Cgroup::create("idle")?);
        let mut sleepers = Vec::new();
        for cgroup in [&busy, &idle] {
            let sleeper = Command::new("sleep").arg("1000").spawn()?;
            cgroup.add(sleeper.id().cast_signed())?;
            sleepers.push(sleeper);
        }
        let inside = Sandbox::new("inside", &bridge, 2)?;
        let _sink = inside.sink()?;
        let agent = Agent::start(&pins, &[])?;
        thread::sleep(A_WHILE);
        let payload = settings::scaled(100_000_000);
        traffic_on_the_host(&busy, &["tcp", &inside.hosts_ipv4(), &payload.to_string()])?;
        thread::sleep(Duration::from_millis(300));
        let page = agent.scrape()?;
        let sent = shown(&page, &busy, "host")?.context("it has the host's network")?;
        let labels = [("id", busy.id()), ("interface", "host".to_owned())];
        let labels = labels.each_ref().map(|(key, value)| (*key, value.as_str()));
        let packets = page.count("container_network_transmit_packets_total", &labels)?;
        let expected = payload + packets * HEADERS;
        case.compare_within(
            "bytes of the host's network, payload and headers",
            sent,
            expected - expected / 100,
            expected + expected / 100,
        );
        let through = page.count(RECEIVED, &[("id", &inside.cgroup.id()), ("interface", "eth0")])?;
        case.compare_within(
            "the same at the other end",
            sent,
            through - through / 1_000,
            through + through / 1_000,
        );
        case.compare("bytes of its neighbour", shown(&page, &idle, "host")?, Some(0));
        let has_drops = |sample: &&Sample| {
            sample.name.ends_with("_dropped_total") || sample.name.ends_with("_errors_total")
        };
        let drops = page
            .samples
            .iter()
            .filter(|sample| sample.labels.get("interface").is_some_and(|name| name == "host"));
        case.compare("families of drops of the host's network", drops.filter(has_drops).count(), 0);
        let before = page.sum(TRANSMITTED, &[])?;
        let loopback = settings::scaled(1_000_000_000).to_string();
        inside.traffic(&["tcp", "127.0.0.1", &loopback])?;
        let _sink = sink_on_the_host(&idle)?;
        traffic_on_the_host(&busy, &["tcp", "127.0.0.1", &loopback])?;
        thread::sleep(Duration::from_millis(300));
        // IPv6 asks for routers by itself.
        let after = agent.scrape()?.sum(TRANSMITTED, &[])?;
        case.compare_within("bytes over a loopback interface", after, before, before + 1_000);
        for mut sleeper in sleepers {
            sleeper.kill()?;
            sleeper.wait()?;
        }
        Ok(())
    })
}

#[test]
fn a_pair_of_nobody_is_told_as_such_and_all_shares_add_up() -> Result<()> {
    Case::run("a_pair_of_nobody_is_told_as_such_and_all_shares_add_up", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let mut nobody = Sandbox::silent("nobody", 1)?;
        let mut somebody = Sandbox::silent("somebody", 2)?;
        somebody.connect(&bridge)?;
        let _sink = somebody.sink()?;
        let agent = Agent::start(&pins, &[])?;
        // Only the first process of a cgroup is looked at, and that of the root is another.
        nobody.leave_to_the_root()?;
        nobody.connect(&bridge)?;
        thread::sleep(UNTIL_NOBODYS);
        nobody.traffic_from_outside(&["tcp", &somebody.ipv4(), "1000000"])?;
        let kernels = [nobody.at_rest()?, somebody.at_rest()?];
        let page = agent.scrape()?;
        for (place, direction) in [(0, "receive"), (2, "transmit")] {
            let family = format!("plimsoll_node_network_{direction}_bytes_total");
            let share = |share| page.count(&family, &[("share", share)]);
            case.compare(format!("{direction}: bytes of nobody"), share("unattributed")?, kernels[0][place]);
            case.compare(format!("{direction}: bytes of cgroups"), share("cgroups")?, kernels[1][place]);
            let all = page.sum(&family, &[])?;
            let both = kernels[0][place] + kernels[1][place] + share("root")?;
            case.compare(format!("{direction}: all shares"), all, both);
        }
        Ok(())
    })
}

#[test]
fn a_pair_that_outlives_its_owner_goes_to_who_is_there() -> Result<()> {
    Case::run("a_pair_that_outlives_its_owner_goes_to_who_is_there", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let mut first = Sandbox::silent("outlived", 1)?;
        first.connect(&bridge)?;
        let mut other = Sandbox::silent("outlived-other", 2)?;
        other.connect(&bridge)?;
        let _sink = other.sink()?;
        let mut agent = Agent::start(&pins, &["--retention", "1"])?;
        let all = |page: &Page| page.sum("plimsoll_node_network_transmit_bytes_total", &[]);
        let of = |page: &Page, id: &str| page.find(TRANSMITTED, &[("id", id), ("interface", "eth0")]);
        let id = first.cgroup.id();
        agent.scrape_until("its pair is known", |page| of(page, &id))?;
        first.traffic(&["tcp", &other.ipv4(), "1000000"])?;
        let second = first.member("outliving")?;
        let its = first.at_rest()?[2];
        let before = agent.scrape()?;
        case.compare("bytes of the first", of(&before, &id)?, Some(its));
        let pair = first.die()?;
        let id_of_second = second.cgroup.id();
        agent.scrape_until("the pair is the other's", |page| of(page, &id_of_second))?;
        second.traffic(&["tcp", &other.ipv4(), "1000000"])?;
        let after = pair.at_rest()?[2];
        let page = agent.scrape_until("the first is shown no more", |page| {
            Ok(of(page, &id)?.is_none().then(|| page.clone()))
        })?;
        case.compare("bytes of the second", of(&page, &id_of_second)?, Some(after - its));
        let both = after + other.at_rest()?[2];
        let root = |page: &Page| page.sum("plimsoll_node_network_transmit_bytes_total", &[("share", "root")]);
        case.compare("all bytes", all(&page)?, both + root(&page)?);
        agent.kill()?;
        agent = Agent::start(&pins, &["--retention", "1"])?;
        let page = agent.scrape()?;
        case.compare("all bytes after a restart", all(&page)?, both + root(&page)?);
        Ok(())
    })
}

#[test]
fn two_in_one_network_have_their_own_and_the_interface_once() -> Result<()> {
    Case::run("two_in_one_network_have_their_own_and_the_interface_once", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let (owner, other) = (Sandbox::new("net-owner", &bridge, 1)?, Sandbox::new("net-other", &bridge, 2)?);
        let _sink = other.sink()?;
        let agent = Agent::start(&pins, &[])?;
        let member = owner.member("net-member")?;
        let bytes = settings::scaled(20_000_000);
        owner.traffic(&["tcp", &other.ipv4(), &bytes.to_string()])?;
        member.traffic(&["tcp", &other.ipv4(), &(2 * bytes).to_string()])?;
        thread::sleep(A_WHILE);
        let page = agent.scrape_until("both are known", |page| {
            let known =
                page.find("plimsoll_container_network_transmit_bytes_total", &[("id", &member.cgroup.id())])?;
            Ok(known.is_some().then(|| page.clone()))
        })?;
        let own = |cgroup: &Cgroup| {
            page.count("plimsoll_container_network_transmit_bytes_total", &[("id", &cgroup.id())])
        };
        let (mine, its) = (own(&owner.cgroup)?, own(&member.cgroup)?);
        case.compare_within("the owner's own, with headers", mine, bytes, bytes + bytes / 20);
        case.compare_within("the member's own, with headers", its, 2 * bytes, 2 * (bytes + bytes / 20));
        let interface = page.count(TRANSMITTED, &[("id", &owner.cgroup.id()), ("interface", "eth0")])?;
        case.compare_within("the interface", interface, mine + its, mine + its + bytes / 1_000);
        let twice = page.all(TRANSMITTED, &[("id", &member.cgroup.id())]).count();
        case.compare("interfaces of the member", twice, 0);
        Ok(())
    })
}

#[test]
fn pairs_that_live_for_a_moment_are_all_counted_and_leave_nothing() -> Result<()> {
    Case::run("pairs_that_live_for_a_moment_are_all_counted_and_leave_nothing", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let agent = Agent::start(&pins, &[])?;
        let mut sandbox = Sandbox::silent("moments", 1)?;
        let mut other = Sandbox::silent("moments-other", 2)?;
        other.connect(&bridge)?;
        let _sink = other.sink()?;
        let descriptors = |agent: &Agent| -> Result<u64> { agent.scrape()?.count("process_open_fds", &[]) };
        let entries = |page: &Page, map: &str| page.count("plimsoll_map_entries", &[("map", map)]);
        thread::sleep(A_WHILE);
        let (fds, before) = (descriptors(&agent)?, agent.scrape()?);
        let pinned = pins.list()?.len();
        let (mut received, mut transmitted) = (0, 0);
        for _ in 0..settings::scaled(500) {
            let begun = Instant::now();
            sandbox.connect(&bridge)?;
            sandbox.traffic(&["udp", &other.ipv4(), "64", "3"])?;
            // The question for the address comes first, and the datagrams when it is answered.
            wait::until_true("all are sent", || Ok(sandbox.counters()?[3] >= 4))?;
            let last = sandbox.at_rest()?;
            thread::sleep(A_MOMENT.saturating_sub(begun.elapsed()));
            sandbox.disconnect()?;
            received += last[0];
            transmitted += last[2];
        }
        let id = sandbox.cgroup.id();
        // One that was gone before it was looked at has no name: it is told as `unknown`.
        let labels = [("id", id.as_str())];
        let page = agent.scrape_until("the last is gone", |page| {
            let same = entries(page, "LANES")? == entries(&before, "LANES")?;
            Ok(same.then(|| page.clone()))
        })?;
        case.compare("bytes received", page.sum(RECEIVED, &labels)?, received);
        let sent = page.sum(TRANSMITTED, &labels)?;
        if settings::has_tcx() {
            case.compare("bytes transmitted", sent, transmitted);
        } else {
            // At its end an interface forgets what it had received from the container.
            case.compare_within("bytes transmitted", sent, 0, transmitted);
        }
        for map in ["LANES", "VETHS"] {
            case.compare(format!("entries in {map}"), entries(&page, map)?, entries(&before, map)?);
        }
        case.compare("pins", pins.list()?.len(), pinned);
        case.compare("descriptors", descriptors(&agent)?, fds);
        let unattributed =
            page.sum("plimsoll_node_network_transmit_bytes_total", &[("share", "unattributed")])?;
        case.compare("bytes of nobody", unattributed, 0);
        Ok(())
    })
}

#[test]
fn containers_that_live_for_a_moment_have_their_bytes() -> Result<()> {
    Case::run("containers_that_live_for_a_moment_have_their_bytes", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let docker = Docker::start_on(&bridge)?;
        let agent = Agent::start(&pins, &["--docker-root", &docker.root().display().to_string()])?;
        let number = settings::scaled(20).max(2);
        let shell = format!("ping -c 1 -w 2 {} >/dev/null", bridge.address());
        for _ in 0..number {
            docker.run(&["run", "--rm", "--network", "bridge", IMAGE, "sh", "-c", &shell])?;
        }
        thread::sleep(A_WHILE);
        let page = agent.scrape()?;
        let workload = [("kind", "image"), ("workload", IMAGE)];
        let packets = page.count("plimsoll_workload_network_transmit_packets_total", &workload)?;
        // A ping and the question for the address each, at least.
        let others: Vec<_> = page.all("plimsoll_workload_network_transmit_packets_total", &[]).collect();
        case.prove(format!("{packets} packets of {number} containers; {others:?}"), packets >= 2 * number);
        for direction in ["receive", "transmit"] {
            let family = format!("plimsoll_node_network_{direction}_bytes_total");
            case.compare(
                format!("{direction} of nobody"),
                page.count(&family, &[("share", "unattributed")])?,
                0,
            );
        }
        Ok(())
    })
}
