//! Bytes and packets equal the interface's own, whatever the traffic is; the programs' own count, not the interface's copied.

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    agent::Agent,
    page::Page,
    pins::Pins,
    report::Case,
    sandbox::{Bridge, Counters, Sandbox},
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
const PROTOCOL: &str = "plimsoll_container_network_protocol_bytes_total";

/// Two sandboxes on one bridge, and an agent that was there before them.
struct Setting {
    agent: Agent,
    a: Sandbox,
    b: Sandbox,
    _bridge: Bridge,
    _pins: Pins,
}

impl Setting {
    fn new() -> Result<Self> {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &[])?;
        let bridge = Bridge::new()?;
        let (a, b) = (Sandbox::new("bytes-a", &bridge, 1)?, Sandbox::new("bytes-b", &bridge, 2)?);
        let setting = Self { agent, a, b, _bridge: bridge, _pins: pins };
        for sandbox in [&setting.a, &setting.b] {
            setting.agent.scrape_until("it has a network", |page| {
                Ok(read(page, sandbox).ok().filter(|counters| counters.iter().any(|count| *count > 0)))
            })?;
        }
        Ok(setting)
    }
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
        let before = sandbox.outside()?;
        let page = agent.scrape()?;
        Ok((sandbox.outside()? == before).then_some((page, before)))
    })
}

fn compare(case: &mut Case, when: &str, agent: &Agent, sandbox: &Sandbox) -> Result<()> {
    std::thread::sleep(std::time::Duration::from_millis(300)); // older pages are shared
    let (page, kernels) = at_rest(agent, sandbox)?;
    let ours = read(&page, sandbox)?;
    case.prove(format!("{when}: something passed"), kernels[0] > 0 && kernels[2] > 0);
    for (place, family) in FAMILIES.into_iter().enumerate() {
        case.compare(format!("{when}: {family} of {}", sandbox.cgroup.id()), ours[place], kernels[place]);
    }
    Ok(())
}

/// Bytes that the programs did not see.
fn uncounted(page: &Page, sandbox: &Sandbox) -> Result<u64> {
    page.sum(UNCOUNTED, &[("id", &sandbox.cgroup.id())])
}

/// One kind of traffic from `a` to `b`: both sides equal to their interfaces, all of it counted by the programs, and at
/// least so many bytes of it told as this family and protocol.
fn prove(
    case: &mut Case,
    words: impl FnOnce(&Setting) -> Vec<String>,
    class: (&str, &str),
    least: u64,
) -> Result<()> {
    let setting = Setting::new()?;
    let Setting { agent, a, b, .. } = &setting;
    let _sink = b.sink()?;
    let before = agent.scrape()?;
    let words = words(&setting);
    a.traffic(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    for sandbox in [a, b] {
        compare(case, &words.join(" "), agent, sandbox)?;
    }
    let after = agent.scrape()?;
    for sandbox in [a, b] {
        let unseen = uncounted(&after, sandbox)?;
        case.compare(
            format!("bytes that the programs did not see of {words:?}"),
            unseen,
            uncounted(&before, sandbox)?,
        );
    }
    let id = a.cgroup.id();
    let labels = [("id", id.as_str()), ("direction", "transmit"), ("family", class.0), ("protocol", class.1)];
    let told = after.sum(PROTOCOL, &labels)?;
    case.prove(format!("{words:?}: {told} bytes told as {class:?}, at least {least}"), told >= least);
    Ok(())
}

fn words(words: &[&dyn ToString]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

#[test]
fn bytes_of_a_tcp_bulk() -> Result<()> {
    Case::run("bytes_of_a_tcp_bulk", |case| {
        let bytes = settings::scaled(200_000_000);
        prove(case, |s| words(&[&"tcp", &s.b.ipv4(), &bytes]), ("ipv4", "tcp"), bytes)
    })
}

#[test]
fn bytes_of_tcp_over_ipv6() -> Result<()> {
    Case::run("bytes_of_tcp_over_ipv6", |case| {
        let bytes = settings::scaled(50_000_000);
        prove(case, |s| words(&[&"tcp", &s.b.ipv6(), &bytes]), ("ipv6", "tcp"), bytes)
    })
}

#[test]
fn bytes_of_short_connections() -> Result<()> {
    Case::run("bytes_of_short_connections", |case| {
        prove(case, |s| words(&[&"connections", &s.b.ipv4(), &500]), ("ipv4", "tcp"), 500 * 5 * 66)
    })
}

#[test]
fn bytes_of_small_datagrams() -> Result<()> {
    Case::run("bytes_of_small_datagrams", |case| {
        let count = settings::scaled(20_000);
        prove(case, |s| words(&[&"udp", &s.b.ipv4(), &64, &count]), ("ipv4", "udp"), count * 106)
    })
}

#[test]
fn bytes_of_segmented_datagrams() -> Result<()> {
    Case::run("bytes_of_segmented_datagrams", |case| {
        prove(case, |s| words(&[&"udp-gso", &s.b.ipv4(), &1400, &40, &100]), ("ipv4", "udp"), 100 * 56_042)
    })
}

#[test]
fn bytes_of_fragments() -> Result<()> {
    Case::run("bytes_of_fragments", |case| {
        prove(case, |s| words(&[&"udp", &s.b.ipv4(), &60_000, &100]), ("ipv4", "udp"), 100 * 60_000)
    })
}

#[test]
fn bytes_of_fragments_over_ipv6() -> Result<()> {
    Case::run("bytes_of_fragments_over_ipv6", |case| {
        prove(case, |s| words(&[&"udp", &s.b.ipv6(), &60_000, &100]), ("ipv6", "udp"), 100 * 60_000)
    })
}

#[test]
fn bytes_of_refused_connections() -> Result<()> {
    Case::run("bytes_of_refused_connections", |case| {
        prove(case, |s| words(&[&"closed", &s.b.ipv4(), &500]), ("ipv4", "tcp"), 500 * 74)
    })
}

#[test]
fn bytes_of_refused_datagrams() -> Result<()> {
    Case::run("bytes_of_refused_datagrams", |case| {
        prove(case, |s| words(&[&"udp-closed", &s.b.ipv4(), &200]), ("ipv4", "udp"), 100 * 106)
    })
}

#[test]
fn bytes_of_raw_packets() -> Result<()> {
    Case::run("bytes_of_raw_packets", |case| {
        prove(case, |s| words(&[&"raw", &s.b.ipv4(), &500]), ("ipv4", "other"), 500 * 134)
    })
}

#[test]
fn bytes_of_frames_of_no_protocol() -> Result<()> {
    Case::run("bytes_of_frames_of_no_protocol", |case| {
        prove(case, |_| words(&[&"packets", &"eth0", &500]), ("other", "other"), 500 * 114)
    })
}

#[test]
fn bytes_of_pings() -> Result<()> {
    Case::run("bytes_of_pings", |case| {
        let setting = Setting::new()?;
        for address in [setting.b.ipv4(), setting.b.ipv6()] {
            let mut ping = setting.a.command("busybox")?;
            let family = if address.contains(':') { "ping6" } else { "ping" };
            let status =
                ping.args([family, "-c", "20", "-i", "0.05", &address]).output().context("ping")?.status;
            case.prove("pings are answered", status.success());
        }
        for sandbox in [&setting.a, &setting.b] {
            compare(case, "pings", &setting.agent, sandbox)?;
        }
        let page = setting.agent.scrape()?;
        for (sandbox, family) in [(&setting.a, "ipv4"), (&setting.b, "ipv6")] {
            let id = sandbox.cgroup.id();
            let labels = [("id", id.as_str()), ("family", family), ("protocol", "icmp")];
            case.prove("pings are told as such", page.sum(PROTOCOL, &labels)? >= 2 * 20 * 98);
        }
        Ok(())
    })
}
