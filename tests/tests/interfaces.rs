//! What the page says of an interface is what the kernel counts at it in the container's namespace.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    agent::Agent,
    bridge::Bridge,
    counters::{self, NAMES},
    docker::Docker,
    page::Page,
    pins::Pins,
    report::Case,
    sandbox::Sandbox,
    settings, wait,
};

/// Places in [`NAMES`].
const SENT: usize = 4;
const DROPPED_IN: usize = 3;
const DROPPED_OUT: usize = 7;

/// Longer than a page is shared.
const A_PAGE: Duration = Duration::from_millis(300);

/// What the page says of an interface, in the order of [`NAMES`].
fn shown(page: &Page, labels: &[(&str, &str)]) -> Result<[u64; 8]> {
    let mut all = [0; 8];
    for (name, count) in NAMES.iter().zip(&mut all) {
        *count = page.count(&format!("container_network_{name}_total"), labels)?;
    }
    Ok(all)
}

fn compare_all(case: &mut Case, what: &str, ours: [u64; 8], kernels: [u64; 8]) {
    for ((name, ours), kernels) in NAMES.iter().zip(ours).zip(kernels) {
        case.compare(format!("{what}: {name}"), ours, kernels);
    }
}

/// Compares all that the page says of two sandboxes with their interfaces inside, and gives that.
fn compare_with_the_kernel(
    case: &mut Case,
    when: &str,
    agent: &Agent,
    sandboxes: [&Sandbox; 2],
) -> Result<[[u64; 8]; 2]> {
    let inside = || -> Result<[[u64; 8]; 2]> { Ok([sandboxes[0].inside()?, sandboxes[1].inside()?]) };
    let (kernels, page) = wait::until("nothing passes", || {
        let before = inside()?;
        thread::sleep(A_PAGE);
        let page = agent.scrape()?;
        Ok((inside()? == before).then_some((before, page)))
    })?;
    for (sandbox, kernels) in sandboxes.iter().zip(kernels) {
        let id = sandbox.cgroup.id();
        let ours = shown(&page, &[("id", &id), ("interface", "eth0")])?;
        compare_all(case, &format!("{when}, {id}"), ours, kernels);
    }
    Ok(kernels)
}

#[test]
fn packets_that_are_dropped_are_counted_as_such_and_as_nothing_else() -> Result<()> {
    Case::run("packets_that_are_dropped_are_counted_as_such_and_as_nothing_else", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let [mut a, mut b] = [Sandbox::silent("drops-a", 1)?, Sandbox::silent("drops-b", 2)?];
        for sandbox in [&mut a, &mut b] {
            sandbox.connect(&bridge)?;
        }
        let _sink = b.sink()?;
        let agent = Agent::start(&pins, &[])?;
        for sandbox in [&a, &b] {
            let id = sandbox.cgroup.id();
            agent.scrape_until("it is known", |page| {
                page.find("container_network_transmit_bytes_total", &[("id", &id), ("interface", "eth0")])
            })?;
        }
        let count = settings::scaled(1_000);
        let send = || a.traffic(&["udp", &b.ipv4(), "1400", &count.to_string()]);
        send()?;
        compare_with_the_kernel(case, "before", &agent, [&a, &b])?;
        // What is longer than the other end of a pair takes is dropped: on its way in, and on its way out.
        b.ip(&["link", "set", "eth0", "mtu", "1000"])?;
        send()?;
        let [_, into_b] = compare_with_the_kernel(case, "dropped on the way in", &agent, [&a, &b])?;
        case.compare("all on the way in", into_b[DROPPED_IN], count);
        b.ip(&["link", "set", "eth0", "mtu", "1500"])?;
        a.ip_outside(&["mtu", "1000"])?;
        send()?;
        let [out_of_a, _] = compare_with_the_kernel(case, "dropped on the way out", &agent, [&a, &b])?;
        case.compare("all on the way out", out_of_a[DROPPED_OUT], count);
        a.ip_outside(&["mtu", "1500"])?;
        send()?;
        compare_with_the_kernel(case, "after", &agent, [&a, &b])?;
        agent.kill()?;
        let agent = Agent::start(&pins, &[])?;
        compare_with_the_kernel(case, "after a restart", &agent, [&a, &b])?;
        // As many as one CPU sends: another does not take in all of them.
        a.traffic(&["flood", &b.ipv4(), "64", &settings::scaled(300_000).to_string()])?;
        compare_with_the_kernel(case, "after a flood", &agent, [&a, &b])?;
        Ok(())
    })
}

/// A container of a daemon that pings the host when it is asked to.
struct Moved<'a> {
    docker: &'a Docker,
    agent: &'a Agent,
    /// What its interfaces had counted that are gone, by name.
    gone: [(&'static str, [u64; 8]); 3],
}

impl Moved<'_> {
    const NAME: &'static str = "moved";

    fn pid(&self) -> Result<u32> {
        let pid = self.docker.run(&["inspect", "--format", "{{.State.Pid}}", Self::NAME])?;
        pid.trim().parse().context("a process")
    }

    /// What the kernel has counted at its interfaces: those that are there, and those of the same names that are gone.
    fn counted(&self) -> Result<[[u64; 8]; 3]> {
        let pid = self.pid()?;
        Ok(self.gone.map(|(name, gone)| {
            let there = counters::inside(pid, name).unwrap_or_default();
            std::array::from_fn(|place| gone[place] + there[place])
        }))
    }

    /// Pings an address, and compares the page with what they have counted in all.
    fn compare(&self, case: &mut Case, when: &str, address: &str) -> Result<()> {
        let before = self.counted()?;
        let ping = format!("ping -c 5 -s 1000 -A {address}");
        self.docker.run(&["exec", Self::NAME, "sh", "-c", &ping])?;
        let (kernels, page) = wait::until("nothing passes", || {
            let kernels = self.counted()?;
            thread::sleep(A_PAGE);
            let page = self.agent.scrape()?;
            Ok((self.counted()? == kernels).then_some((kernels, page)))
        })?;
        let sent = |counted: &[[u64; 8]]| counted.iter().map(|all| all[SENT]).sum::<u64>();
        let sent = sent(&kernels) - sent(&before);
        case.prove(format!("{when}: {sent} bytes were sent"), sent >= 5 * 1_000);
        for (place, (name, _)) in self.gone.iter().enumerate() {
            if kernels[place] == [0; 8] {
                continue; // there never was one of that name
            }
            let ours = shown(&page, &[("name", Self::NAME), ("interface", name)])?;
            compare_all(case, &format!("{when}, {name}"), ours, kernels[place]);
        }
        Ok(())
    }

    /// Does something that its interfaces with these names do not survive, which are all those on these bridges.
    fn lose(&mut self, names: &[&str], bridges: &[&Bridge], words: &[&str]) -> Result<()> {
        bridges.iter().try_for_each(|bridge| bridge.fall_silent())?;
        let counted = self.counted()?;
        for ((name, gone), counted) in self.gone.iter_mut().zip(counted) {
            if names.contains(name) {
                *gone = counted;
            }
        }
        self.docker.run(words).map(drop)
    }
}

#[test]
fn a_container_that_is_moved_between_networks_keeps_what_it_had() -> Result<()> {
    Case::run("a_container_that_is_moved_between_networks_keeps_what_it_had", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let docker = Docker::start_on(&bridge)?;
        let agent = Agent::start(&pins, &["--docker-root", &docker.root().display().to_string()])?;
        let address = bridge.address();
        docker.start_container(&["--name", Moved::NAME, "--network", "bridge"], "sleep 1000")?;
        let mut moved = Moved {
            docker: &docker,
            agent: &agent,
            gone: ["eth0", "eth1", "eth2"].map(|name| (name, [0; 8])),
        };
        moved.compare(case, "in one network", address)?;
        let second = Bridge::new()?;
        let option = format!("com.docker.network.bridge.name={}", second.name());
        docker.run(&["network", "create", "--subnet", "10.215.0.0/24", "--opt", &option, "second"])?;
        docker.run(&["network", "connect", "second", Moved::NAME])?;
        moved.compare(case, "in two networks", "10.215.0.1")?;
        moved.lose(&["eth0"], &[&bridge], &["network", "disconnect", "bridge", Moved::NAME])?;
        moved.compare(case, "without its first", "10.215.0.1")?;
        docker.run(&["network", "connect", "bridge", Moved::NAME])?;
        moved.compare(case, "connected again", address)?;
        moved.lose(
            &["eth0", "eth1", "eth2"],
            &[&bridge, &second],
            &["restart", "--time", "0", Moved::NAME],
        )?;
        moved.compare(case, "started again", address)?;
        docker.run(&["rm", "--force", Moved::NAME])?;
        docker.run(&["network", "rm", "second"])?;
        Ok(())
    })
}
