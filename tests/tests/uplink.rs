//! Bytes that leave the host: those of containers and of the host's own sockets are what the uplink counts; and containers
//! that reach it without a veth pair.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    agent::Agent,
    bridge::{Bridge, Trunk},
    cgroup::Cgroup,
    page::Page,
    pins::Pins,
    report::Case,
    sandbox::{Sandbox, traffic_on_the_host},
    settings,
};

const RECEIVED: &str = "container_network_receive_bytes_total";
const TRANSMITTED: &str = "container_network_transmit_bytes_total";

/// Longer than a page is shared, and than it takes to find where processes are.
const A_WHILE: Duration = Duration::from_secs(4);

/// Bytes in which the kernels of a few hosts ask each other for their addresses; no socket sends or hears them.
const NEIGHBOURS: u64 = 500;

/// Where a sandbox that is joined to the host alone is.
const WORLD: &str = "10.216.0.2";

/// Packets that come in there are passed on, for as long as the interface lives.
fn forward(interface: &str) -> Result<()> {
    fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/forwarding"), "1").context("pass packets on")
}

/// Received and transmitted.
fn bytes(page: &Page, cgroup: &Cgroup, interface: &str) -> Result<[u64; 2]> {
    let id = cgroup.id();
    let labels = [("id", id.as_str()), ("interface", interface)];
    Ok([page.count(RECEIVED, &labels)?, page.count(TRANSMITTED, &labels)?])
}

#[test]
fn containers_and_the_host_are_what_the_uplink_counts() -> Result<()> {
    Case::run("containers_and_the_host_are_what_the_uplink_counts", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        bridge.give_address()?;
        let mut world = Sandbox::without_network("uplink-world", 9)?;
        world.connect_to_host()?;
        world.ip(&["route", "add", "10.214.0.0/24", "via", "10.216.0.1"])?;
        forward(bridge.name())?;
        forward(world.outside())?;
        let inside = [Sandbox::new("uplink-a", &bridge, 2)?, Sandbox::new("uplink-b", &bridge, 3)?];
        for sandbox in &inside {
            sandbox.ip(&["route", "add", "10.216.0.0/24", "via", bridge.address()])?;
        }
        let busy = Cgroup::create("uplink-host")?;
        let mut sleeper = Command::new("sleep").arg("1000").spawn()?;
        busy.add(sleeper.id().cast_signed())?;
        let _sink = world.sink()?;
        let agent = Agent::start(&pins, &[])?;
        thread::sleep(A_WHILE);
        // The same as the container sees it: the uplink transmits what it receives.
        let [transmitted, _, received, _] = world.at_rest()?;
        let before = agent.scrape()?;
        let bulk = settings::scaled(50_000_000);
        for sandbox in &inside {
            sandbox.traffic(&["tcp", WORLD, &bulk.to_string()])?;
            sandbox.traffic(&["udp", WORLD, "512", &(bulk / 50_000).to_string()])?;
        }
        traffic_on_the_host(&busy, &["tcp", WORLD, &bulk.to_string()])?;
        let [transmitted, received] = {
            let now = world.at_rest()?;
            [now[0] - transmitted, now[2] - received]
        };
        thread::sleep(Duration::from_millis(300)); // older pages are shared
        let after = agent.scrape()?;
        let mut sums = [0; 2];
        for (cgroup, interface) in [(&inside[0].cgroup, "eth0"), (&inside[1].cgroup, "eth0"), (&busy, "host")]
        {
            let (first, last) = (bytes(&before, cgroup, interface)?, bytes(&after, cgroup, interface)?);
            for ((sum, first), last) in sums.iter_mut().zip(first).zip(last) {
                *sum += last - first;
            }
        }
        for (what, ours, kernels) in [("out", sums[1], transmitted), ("in", sums[0], received)] {
            let most = kernels / 1_000 + NEIGHBOURS;
            case.compare_within(format!("bytes {what}"), ours, kernels - most, kernels + most);
        }
        case.prove("all three were heard of", transmitted > 3 * bulk);
        let unattributed = |page: &Page| {
            page.sum("plimsoll_node_network_transmit_bytes_total", &[("share", "unattributed")])
        };
        case.compare("bytes of nobody", unattributed(&after)?, unattributed(&before)?);
        sleeper.kill()?;
        sleeper.wait()?;
        Ok(())
    })
}

#[test]
fn a_network_without_a_pair_is_told_by_sockets() -> Result<()> {
    Case::run("a_network_without_a_pair_is_told_by_sockets", |case| {
        for kind in ["macvlan", "ipvlan", "netkit"] {
            let (pins, bridge) = (Pins::new()?, Bridge::new()?);
            let trunk = Trunk::on(&bridge)?;
            let mut other = Sandbox::silent("above-other", 2)?;
            other.connect(&bridge)?;
            let mut above = Sandbox::silent("above", 3)?;
            let is_connected = match kind {
                "netkit" => above.connect_by_netkit(&bridge)?,
                _ => above.connect_above(trunk.name(), kind)?,
            };
            if !is_connected {
                // Which kernels have which is their builders' choice; one of them is in all.
                case.prove("this kernel has macvlan", kind != "macvlan");
                continue;
            }
            let _sink = other.sink()?;
            let agent = Agent::start(&pins, &[])?;
            above.traffic(&["tcp", &other.ipv4(), &settings::scaled(50_000_000).to_string()])?;
            thread::sleep(A_WHILE);
            let kernels = other.at_rest()?;
            let page = agent.scrape()?;
            let ours = bytes(&page, &above.cgroup, "eth0")?;
            for (ours, kernels) in ours.into_iter().zip([kernels[2], kernels[0]]) {
                // Questions for addresses are no socket's.
                case.compare_within(
                    format!("bytes over {kind}"),
                    ours,
                    kernels - kernels / 1_000 - 200,
                    kernels,
                );
            }
            let id = above.cgroup.id();
            let labels = [("id", id.as_str()), ("network_source", "cgroup_skb")];
            case.compare("its source", page.count("plimsoll_container_info", &labels)?, 1);
            agent.kill()?;
            let agent = Agent::start(&pins, &[])?;
            thread::sleep(A_WHILE);
            let again = bytes(&agent.scrape()?, &above.cgroup, "eth0")?;
            case.prove(
                format!("{again:?} is not less than {ours:?}"),
                (0..2).all(|place| again[place] >= ours[place]),
            );
            above.traffic(&["tcp", &other.ipv4(), "1000000"])?;
            thread::sleep(Duration::from_millis(300)); // older pages are shared
            let more = bytes(&agent.scrape()?, &above.cgroup, "eth0")?;
            case.compare_within("bytes after a restart", more[1] - again[1], 1_000_000, 1_100_000);
        }
        Ok(())
    })
}
