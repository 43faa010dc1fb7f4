//! Bytes and packets equal the interface's own, whatever the traffic is; the programs' own count, not the interface's copied.

use std::{process::Child, thread, time::Duration};

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    agent::Agent, bridge::Bridge, counters::Counters, page::Page, pins::Pins, report::Case, sandbox::Sandbox,
    settings, wait,
};

/// Families of what [`Counters`] holds, in its order.
const FAMILIES: [&str; 4] = [
    "container_network_receive_bytes_total",
    "container_network_receive_packets_total",
    "container_network_transmit_bytes_total",
    "container_network_transmit_packets_total",
];
const UNCOUNTED: &str = "plimsoll_container_network_uncounted_bytes_total";
const WIRE: &str = "plimsoll_container_network_wire_bytes_total";
const PROTOCOL: &str = "plimsoll_container_network_protocol_bytes_total";

/// Two sandboxes on one bridge, and an agent that was there before them.
struct Setting {
    agent: Agent,
    a: Sandbox,
    b: Sandbox,
    _bridge: Bridge,
    pins: Pins,
}

impl Setting {
    fn new() -> Result<Self> {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let agent = Agent::start(&pins, &[])?;
        let (a, b) = pair(&bridge)?;
        let setting = Self { agent, a, b, _bridge: bridge, pins };
        setting.until_known()?;
        Ok(setting)
    }

    /// One whose agent comes after something happened.
    fn after(happened: impl FnOnce(&Sandbox, &Sandbox) -> Result<()>) -> Result<Self> {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let (a, b) = pair(&bridge)?;
        happened(&a, &b)?;
        let agent = Agent::start(&pins, &[])?;
        Ok(Self { agent, a, b, _bridge: bridge, pins })
    }

    /// Waits until the page tells of both networks.
    fn until_known(&self) -> Result<()> {
        for sandbox in [&self.a, &self.b] {
            self.agent.scrape_until("it has a network", |page| {
                Ok(read(page, sandbox).ok().filter(|counters| counters.iter().any(|count| *count > 0)))
            })?;
        }
        Ok(())
    }
}

fn pair(bridge: &Bridge) -> Result<(Sandbox, Sandbox)> {
    Ok((Sandbox::new("bytes-a", bridge, 1)?, Sandbox::new("bytes-b", bridge, 2)?))
}

/// What the page says of a sandbox.
fn read(page: &Page, sandbox: &Sandbox) -> Result<Counters> {
    let id = sandbox.cgroup.id();
    let labels = [("id", id.as_str()), ("interface", "eth0")];
    let mut counters = [0; 4];
    for (place, family) in counters.iter_mut().zip(FAMILIES) {
        *place = page.count(family, &labels)?;
    }
    Ok(counters)
}

/// The page and the interface at a moment when nothing passed: read before and after, until both are the same.
fn at_rest(agent: &Agent, sandbox: &Sandbox) -> Result<(Page, Counters)> {
    wait::until("nothing passes", || {
        let before = sandbox.counters()?;
        let page = agent.scrape()?;
        Ok((sandbox.counters()? == before).then_some((page, before)))
    })
}

fn compare(case: &mut Case, when: &str, agent: &Agent, sandbox: &Sandbox) -> Result<()> {
    thread::sleep(Duration::from_millis(300)); // older pages are shared
    let (page, kernels) = at_rest(agent, sandbox)?;
    let ours = read(&page, sandbox)?;
    case.prove(format!("{when}: something passed"), kernels[0] > 0 && kernels[2] > 0);
    for (place, family) in FAMILIES.into_iter().enumerate() {
        case.compare(format!("{when}: {family} of {}", sandbox.cgroup.id()), ours[place], kernels[place]);
    }
    Ok(())
}

/// Bytes in both directions.
fn passed(page: &Page, sandbox: &Sandbox) -> Result<u64> {
    let [received, _, transmitted, _] = read(page, sandbox)?;
    Ok(received + transmitted)
}

/// What programs do not see of so many bytes: all, where the kernel cannot attach them.
fn unseen_of(passed: u64) -> u64 {
    if settings::has_tcx() { 0 } else { passed }
}

/// What interfaces alone cannot tell, nobody tells.
fn split_is_absent(case: &mut Case, page: &Page, sandbox: &Sandbox) {
    let id = sandbox.cgroup.id();
    for family in [PROTOCOL, WIRE] {
        case.compare(format!("lines of {family}"), page.all(family, &[("id", &id)]).count(), 0);
    }
}

/// Bytes that the programs did not see.
fn uncounted(page: &Page, sandbox: &Sandbox) -> Result<u64> {
    page.sum(UNCOUNTED, &[("id", &sandbox.cgroup.id())])
}

/// One kind of traffic from `a` to `b`: both sides equal to their interfaces, all of it counted by the programs, and at
/// least so many bytes of it told as this family and protocol.
fn prove(case: &mut Case, setting: &Setting, words: &[&str], class: (&str, &str), least: u64) -> Result<()> {
    let Setting { agent, a, b, .. } = setting;
    let id = a.cgroup.id();
    let labels = [("id", id.as_str()), ("direction", "transmit"), ("family", class.0), ("protocol", class.1)];
    let before = agent.scrape()?;
    a.traffic(words)?;
    for sandbox in [a, b] {
        compare(case, &words.join(" "), agent, sandbox)?;
    }
    let after = agent.scrape()?;
    for sandbox in [a, b] {
        let unseen = uncounted(&after, sandbox)? - uncounted(&before, sandbox)?;
        let passed = passed(&after, sandbox)? - passed(&before, sandbox)?;
        case.compare(format!("bytes that no program saw of {words:?}"), unseen, unseen_of(passed));
    }
    if !settings::has_tcx() {
        split_is_absent(case, &after, a);
        return Ok(());
    }
    // The first packet of a class makes it appear.
    let told = after.sum(PROTOCOL, &labels)? - before.sum(PROTOCOL, &labels).unwrap_or_default();
    case.prove(format!("{words:?}: {told} bytes told as {class:?}, at least {least}"), told >= least);
    Ok(())
}

#[test]
fn bytes_of_every_kind_of_traffic() -> Result<()> {
    Case::run("bytes_of_every_kind_of_traffic", |case| {
        let setting = Setting::new()?;
        let _sink = setting.b.sink()?;
        let (four, six) = (setting.b.ipv4(), setting.b.ipv6());
        let [bulk, bulk6, datagrams] = [200_000_000, 50_000_000, 20_000].map(settings::scaled);
        let [over_four, over_six, count] = [bulk, bulk6, datagrams].map(|number| number.to_string());
        let kinds: [(&[&str], (&str, &str), u64); 11] = [
            (&["tcp", &four, &over_four], ("ipv4", "tcp"), bulk),
            (&["tcp", &six, &over_six], ("ipv6", "tcp"), bulk6),
            (&["connections", &four, "500"], ("ipv4", "tcp"), 500 * 5 * 66),
            (&["udp", &four, "64", &count], ("ipv4", "udp"), datagrams * 106),
            (&["udp-gso", &four, "1400", "40", "100"], ("ipv4", "udp"), 100 * 56_042),
            (&["udp", &four, "60000", "100"], ("ipv4", "udp"), 100 * 60_000),
            (&["udp", &six, "60000", "100"], ("ipv6", "udp"), 100 * 60_000),
            (&["closed", &four, "500"], ("ipv4", "tcp"), 500 * 74),
            (&["udp-closed", &four, "200"], ("ipv4", "udp"), 100 * 106),
            (&["raw", &four, "500"], ("ipv4", "other"), 500 * 134),
            (&["packets", "eth0", "500"], ("other", "other"), 500 * 114),
        ];
        kinds.iter().try_for_each(|(words, class, least)| prove(case, &setting, words, *class, *least))?;
        pings(case, &setting)
    })
}

fn pings(case: &mut Case, setting: &Setting) -> Result<()> {
    for address in [setting.b.ipv4(), setting.b.ipv6()] {
        let mut ping = setting.a.command("busybox")?;
        let family = if address.contains(':') { "ping6" } else { "ping" };
        let status = ping.args([family, "-c", "20", "-i", "0.05", &address]).output().context("ping")?.status;
        case.prove("pings are answered", status.success());
    }
    for sandbox in [&setting.a, &setting.b] {
        compare(case, "pings", &setting.agent, sandbox)?;
    }
    let page = setting.agent.scrape()?;
    if !settings::has_tcx() {
        return Ok(());
    }
    for (sandbox, family) in [(&setting.a, "ipv4"), (&setting.b, "ipv6")] {
        let id = sandbox.cgroup.id();
        let labels = [("id", id.as_str()), ("family", family), ("protocol", "icmp")];
        case.prove("pings are told as such", page.sum(PROTOCOL, &labels)? >= 2 * 20 * 98);
    }
    Ok(())
}

/// A bulk of `bytes` from `a` to `b` in the background.
fn start_bulk(a: &Sandbox, b: &Sandbox, bytes: u64) -> Result<Child> {
    let mut command = a.command(settings::load()?)?;
    let bulk = ["traffic", "tcp", &b.ipv4(), &bytes.to_string()];
    command.args(bulk).spawn().context("start a bulk")
}

#[test]
fn bytes_of_a_bulk_survive_twenty_kills() -> Result<()> {
    Case::run("bytes_of_a_bulk_survive_twenty_kills", |case| {
        let kills = usize::try_from(settings::scaled(20).max(3))?;
        survive(case, kills, |pins, _| Agent::start(pins, &[]))
    })
}

#[test]
fn bytes_of_a_bulk_survive_upgrades() -> Result<()> {
    Case::run("bytes_of_a_bulk_survive_upgrades", |case| {
        let other = settings::other_object().context("PLIMSOLL_OTHER_OBJECT names no other build")?;
        let other = other.display().to_string();
        // Other programs, the first ones again, and the next layout, which stays.
        survive(case, 4, |pins, kill| match kill {
            0 => Agent::start(pins, &["--programs", &other]),
            1 => Agent::start(pins, &[]),
            _ => {
                let mut agent = Agent::spawn_program(&settings::next_agent()?, pins, &[])?;
                agent.wait_until_ready()?;
                Ok(agent)
            }
        })
    })
}

/// Kills the agent under a bulk, so many times, and starts it anew.
fn survive(case: &mut Case, kills: usize, start: impl Fn(&Pins, usize) -> Result<Agent>) -> Result<()> {
    let mut setting = Setting::new()?;
    let _sink = setting.b.sink()?;
    let before = setting.agent.scrape()?;
    // Long enough for all the kills: it is ended, not waited for.
    let mut bulk = start_bulk(&setting.a, &setting.b, u64::MAX >> 8)?;
    for kill in 0..kills {
        let page = setting.agent.scrape()?;
        let (ours, kernels) = (read(&page, &setting.a)?, setting.a.counters()?);
        case.prove(format!("after {kill} kills, no more than passed"), ours[2] <= kernels[2]);
        setting.agent.kill()?;
        thread::sleep(Duration::from_millis(50));
        setting.agent = start(&setting.pins, kill)?;
        let again = read(&setting.agent.scrape()?, &setting.a)?;
        case.prove("and no less than before", (0..4).all(|place| again[place] >= ours[place]));
    }
    bulk.kill()?;
    bulk.wait()?;
    for sandbox in [&setting.a, &setting.b] {
        compare(case, "after the kills", &setting.agent, sandbox)?;
    }
    let after = setting.agent.scrape()?;
    let unseen = uncounted(&after, &setting.a)? - uncounted(&before, &setting.a)?;
    let passed = passed(&after, &setting.a)? - passed(&before, &setting.a)?;
    case.compare("bytes that no program saw", unseen, unseen_of(passed));
    Ok(())
}

#[test]
fn bytes_from_before_the_agent_are_in_the_totals_and_in_no_split() -> Result<()> {
    Case::run("bytes_from_before_the_agent_are_in_the_totals_and_in_no_split", |case| {
        let first = settings::scaled(100_000_000);
        let mut begun = None;
        let setting = Setting::after(|a, b| {
            let sink = b.sink()?;
            start_bulk(a, b, first)?.wait().context("wait for a bulk")?;
            begun = Some((sink, start_bulk(a, b, u64::MAX >> 8)?));
            thread::sleep(Duration::from_millis(500));
            Ok(())
        })?;
        let (_sink, mut bulk) = begun.context("nothing was begun")?;
        setting.until_known()?;
        thread::sleep(Duration::from_millis(500));
        bulk.kill()?;
        bulk.wait()?;
        for sandbox in [&setting.a, &setting.b] {
            compare(case, "begun in the middle of a bulk", &setting.agent, sandbox)?;
        }
        let page = setting.agent.scrape()?;
        let unseen = uncounted(&page, &setting.a)?;
        case.prove(format!("{unseen} bytes are told as not seen"), unseen > first);
        let id = setting.a.cgroup.id();
        let seen = page.sum(PROTOCOL, &[("id", &id)]).unwrap_or_default();
        case.compare("seen and not seen", seen + unseen, passed(&page, &setting.a)?);
        case.compare("something of the second bulk was seen", seen > 0, settings::has_tcx());
        Ok(())
    })
}

/// A page of a moment when nothing passes either sandbox.
fn agent_at_rest(setting: &Setting) -> Result<Page> {
    thread::sleep(Duration::from_millis(300)); // older pages are shared
    setting.b.at_rest()?;
    Ok(at_rest(&setting.agent, &setting.a)?.0)
}

#[test]
fn wire_bytes_are_those_of_single_segments() -> Result<()> {
    Case::run("wire_bytes_are_those_of_single_segments", |case| {
        let setting = Setting::new()?;
        let _sink = setting.b.sink()?;
        let (a, b) = (&setting.a, &setting.b);
        if !settings::has_tcx() {
            split_is_absent(case, &agent_at_rest(&setting)?, a);
            return Ok(());
        }
        let id = a.cgroup.id();
        let wire = |page: &Page| page.count(WIRE, &[("id", &id), ("direction", "transmit")]);
        // From there on the kernel cuts large packets: what that interface counts is each segment by itself.
        b.ip_outside(&["gso_max_segs", "1"])?;
        let (before, cut_before) = (agent_at_rest(&setting)?, b.counters()?);
        a.traffic(&["tcp", &b.ipv4(), &settings::scaled(50_000_000).to_string()])?;
        let (after, cut_after) = (agent_at_rest(&setting)?, b.counters()?);
        let (ours, segments) = (wire(&after)? - wire(&before)?, cut_after[0] - cut_before[0]);
        let large = read(&after, a)?[2] - read(&before, a)?[2];
        case.prove(format!("{large} bytes of large packets, {segments} of segments"), large < segments);
        case.compare_within("on the wire", ours, segments - segments / 1_000, segments + segments / 1_000);
        Ok(())
    })
}

#[test]
fn bytes_of_a_pair_that_ends_stay() -> Result<()> {
    Case::run("bytes_of_a_pair_that_ends_stay", |case| {
        let Setting { mut agent, a, b, _bridge, pins } = Setting::new()?;
        let _sink = b.sink()?;
        a.traffic(&["tcp", &b.ipv4(), &settings::scaled(10_000_000).to_string()])?;
        let ends = [at_rest(&agent, &a)?.1, at_rest(&agent, &b)?.1];
        compare(case, "before", &agent, &a)?;
        compare(case, "before", &agent, &b)?;
        a.disconnect()?;
        agent.scrape_until("its pair is gone", |page| {
            let pairs = page.count("plimsoll_map_entries", &[("map", "VETHS")])?;
            Ok((pairs == 1).then_some(()))
        })?;
        let ours = |agent: &Agent| -> Result<[Counters; 2]> {
            let page = agent.scrape()?;
            Ok([read(&page, &a)?, read(&page, &b)?])
        };
        let seen = ours(&agent)?[0];
        compare_in_the_end(case, "with an agent that saw it end", seen, ends[0]);
        agent.kill()?;
        b.disconnect()?;
        agent = Agent::start(&pins, &[])?;
        let after = ours(&agent)?;
        case.compare("after a restart", after[0], seen);
        compare_in_the_end(case, "of one that ended meanwhile", after[1], ends[1]);
        Ok(())
    })
}

/// What was counted when all was at rest; since then it spoke IPv6 by itself.
fn compare_in_the_end(case: &mut Case, when: &str, ours: Counters, kernels: Counters) {
    for (place, family) in FAMILIES.into_iter().enumerate() {
        case.compare_within(format!("{when}: {family}"), ours[place], kernels[place], kernels[place] + 2_000);
    }
}
