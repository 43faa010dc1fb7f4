//! A container is stopped at its line, by policy, by hand and in a dry run; what holds it outlives the agent and can be undone.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    agent::Agent, bridge::Bridge, docker::Docker, host, page::Page, pins::Pins, report::Case,
    sandbox::Sandbox, settings, wait,
};
use tempfile::NamedTempFile;

const TASKS: &str = "plimsoll_container_limit_tasks";
const RATE: &str = "plimsoll_container_limit_bytes_per_second";
const HITS: &str = "plimsoll_container_pids_limit_hits_total";
const HELD: &str = "plimsoll_container_limit_held";
const DRIFT: &str = "plimsoll_limit_drift_total";
const VIOLATIONS: &str = "plimsoll_limit_violations_total";

/// Longer than the engine takes to read what it holds.
const A_READING: Duration = Duration::from_millis(2_500);

/// A configuration whose one policy is for all test containers.
fn policy(numbers: &str) -> Result<NamedTempFile> {
    let file = NamedTempFile::with_suffix(".toml")?;
    write(file.path(), numbers)?;
    Ok(file)
}

fn write(file: &Path, numbers: &str) -> Result<()> {
    let text = format!(
        "[[limits.policy]]\nname = \"test\"\nselect = {{ cgroup = \"*/test-*.scope\" }}\n{numbers}\n"
    );
    fs::write(file, text).context("write a configuration")
}

fn start(pins: &Pins, config: &NamedTempFile, more: &[&str]) -> Result<Agent> {
    let config = config.path().display().to_string();
    Agent::start(pins, &[&["--config", &config], more].concat())
}

/// The directory of a cgroup where the pids controller is.
fn pids_of(sandbox: &Sandbox) -> Result<PathBuf> {
    pids_root().map(|root| root.join(sandbox.cgroup.id().trim_start_matches('/')))
}

/// That of a process.
fn pids_of_process(pid: &str) -> Result<PathBuf> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let path_in = |controllers: &str| {
        let mut lines = cgroups.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
        lines.find(|line| line[1] == controllers).map(|line| line[2].trim_start_matches('/').to_owned())
    };
    let path = path_in("pids").or_else(|| path_in("")).context("a cgroup with the pids controller")?;
    Ok(pids_root()?.join(path))
}

/// Where the pids controller is.
fn pids_root() -> Result<PathBuf> {
    let has_pids =
        |mount: &host::Mount| mount.kind == "cgroup" && mount.options.split(',').any(|word| word == "pids");
    let mounts = host::mounts()?;
    let root = mounts
        .iter()
        .find(|mount| has_pids(mount))
        .or_else(|| mounts.iter().find(|mount| mount.kind == "cgroup2"));
    Ok(root.context("no pids controller")?.point.clone())
}

/// A container that is in the hierarchy of the pids controller, too.
struct Limited {
    sandbox: Sandbox,
    pids: PathBuf,
}

impl Limited {
    fn new(name: &str, bridge: &Bridge, number: u8) -> Result<Self> {
        let sandbox = Sandbox::container(name, bridge, number)?;
        let pids = pids_of(&sandbox)?;
        fs::create_dir_all(&pids)?;
        fs::write(pids.join("cgroup.procs"), sandbox.pid().to_string())?;
        Ok(Self { sandbox, pids })
    }

    fn max(&self) -> Result<String> {
        Ok(fs::read_to_string(self.pids.join("pids.max"))?.trim().to_owned())
    }

    fn number(&self, file: &str) -> Result<u64> {
        let text = fs::read_to_string(self.pids.join(file))?;
        text.split_whitespace().next_back().context("a number")?.parse().context("a number")
    }

    fn value(&self, page: &Page, family: &str) -> Result<Option<u64>> {
        page.find(family, &[("id", &self.sandbox.cgroup.id())])
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = plimsoll_tests::cgroup::remove(&self.pids); // the same directory on a host with cgroup2 alone
        if let Some(parent) = self.pids.parent() {
            let _ = fs::remove_dir(parent);
        }
    }
}

/// All that limits could change of the network, statistics aside.
fn listing() -> Result<String> {
    let run = |words: &[&str]| host::run(Command::new(words[0]).args(&words[1..]));
    let links = run(&["ip", "-o", "link"])?;
    Ok(format!("{}\n{links}", run(&["tc", "qdisc", "show"])?))
}

/// The same once new interfaces have come up: the kernel tells that up to a second later.
fn settled_listing() -> Result<String> {
    wait::until("interfaces are up", || {
        let before = listing()?;
        thread::sleep(Duration::from_millis(1_500));
        Ok((listing()? == before).then_some(before))
    })
}

/// Whether both listings say the same.
fn prove_same(case: &mut Case, what: &str, before: &str, now: &str) {
    let without = |text: &str, other: &str| -> Vec<String> {
        text.lines().filter(|line| !other.lines().any(|one| one == *line)).map(str::to_owned).collect()
    };
    let (gone, new) = (without(before, now), without(now, before));
    case.prove(format!("{what}: gone {gone:#?}, new {new:#?}"), before == now);
}

/// Seconds that so many bytes take from one to the other.
fn seconds(from: &Sandbox, to: &Sandbox, bytes: u64) -> Result<f64> {
    let begun = Instant::now();
    from.traffic(&["tcp", &to.ipv4(), &bytes.to_string()])?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Part of the line that so many bytes of payload in so many seconds are, in percent.
fn percent(bytes: u64, seconds: f64, bits: u64) -> u64 {
    let rate = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) * 8.0 / seconds;
    let part = rate * 100.0 / f64::from(u32::try_from(bits).unwrap_or(u32::MAX));
    format!("{part:.0}").parse().unwrap_or_default()
}

#[test]
fn a_fork_bomb_is_stopped_at_its_line() -> Result<()> {
    Case::run("a_fork_bomb_is_stopped_at_its_line", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let config = policy("pids = 50")?;
        let agent = start(&pins, &config, &[])?;
        let bomb = Limited::new("bomb", &bridge, 1)?;
        wait::until_true("it is limited", || Ok(bomb.max()? == "50"))?;
        // A shell gives up at the first fork that is refused.
        let shell = "echo $$ >\"$0\"/cgroup.procs; for n in $(seq 200); do sleep 1000 & done";
        let mut command = bomb.sandbox.command("sh")?;
        let mut child = command.args(["-c", shell]).arg(&bomb.pids).spawn()?;
        wait::until_true("forks are refused", || Ok(bomb.number("pids.events")? > 0))?;
        thread::sleep(A_READING);
        case.compare("tasks", bomb.number("pids.current")?, 50);
        let page = agent.scrape()?;
        case.compare("the line", bomb.value(&page, TASKS)?, Some(50));
        case.compare("refused", bomb.value(&page, HITS)?, Some(bomb.number("pids.events")?));
        let events = agent.ask(&["events", "--json"])?;
        case.prove(format!("the journal tells of it: {events}"), events.contains("\"hit\""));

        write(config.path(), "pids = 70")?;
        wait::until_true("it is raised", || Ok(bomb.max()? == "70"))?;
        write(config.path(), "pids = 10")?;
        wait::until_true("it is below what is there", || Ok(bomb.max()? == "10"))?;
        thread::sleep(A_READING);
        let events = agent.ask(&["events", "--json"])?;
        case.prove(format!("the journal tells of that: {events}"), events.contains("\"over\""));
        write(config.path(), "pids = 70")?;
        wait::until_true("it is raised again", || Ok(bomb.max()? == "70"))?;
        write(config.path(), "pids = \"many\"")?;
        thread::sleep(Duration::from_secs(4));
        case.compare("a bad file changes nothing", bomb.number("pids.max")?, 70);
        write(config.path(), "egress = \"1gbit\"")?;
        wait::until_true("it is removed", || Ok(bomb.max()? == "max"))?;
        agent.scrape_until("that is told", |page| Ok(bomb.value(page, TASKS)?.is_none().then_some(())))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    })
}

#[test]
fn what_the_runtime_sets_counts_and_comes_back() -> Result<()> {
    Case::run("what_the_runtime_sets_counts_and_comes_back", |case| {
        let (pins, docker) = (Pins::new()?, Docker::start()?);
        let config = NamedTempFile::with_suffix(".toml")?;
        let text = "[[limits.policy]]\nname = \"test\"\nselect = { name = \"limited-*\" }\npids = 50\n";
        fs::write(config.path(), text)?;
        let agent = start(&pins, &config, &["--docker-root", &docker.root().display().to_string()])?;
        // What the runtime sets, what holds then, and what is there when all is undone.
        let cases = [
            ("none", "-1", "50", "max"),
            ("more", "100", "50", "80"),
            ("same", "50", "50", "50"),
            ("less", "30", "30", "30"),
        ];
        let mut files = Vec::new();
        for (name, its, ..) in cases {
            let name = format!("limited-{name}");
            docker.start_container(&["--name", &name, "--pids-limit", its], "sleep 1000")?;
            let pid = docker.run(&["inspect", "--format", "{{.State.Pid}}", &name])?;
            files.push(pids_of_process(pid.trim())?.join("pids.max"));
        }
        let all = || {
            files
                .iter()
                .map(|file| Ok(fs::read_to_string(file)?.trim().to_owned()))
                .collect::<Result<Vec<_>>>()
        };
        let held: Vec<_> = cases.iter().map(|(_, _, held, _)| (*held).to_owned()).collect();
        wait::until_true("all are held", || Ok(all()? == held))?;
        // What holds is looked at every ten seconds.
        thread::sleep(Duration::from_secs(12));
        let drift = |page: &Page| page.count(DRIFT, &[]);
        case.compare("changes by others, where there were none", drift(&agent.scrape()?)?, 0);
        docker.run(&["update", "--pids-limit", "80", "limited-more"])?;
        wait::until_true("it is held again", || Ok(all()? == held && drift(&agent.scrape()?)? == 1))?;
        docker.run(&["restart", "--time", "0", "limited-same"])?;
        let pid = docker.run(&["inspect", "--format", "{{.State.Pid}}", "limited-same"])?;
        files[2] = pids_of_process(pid.trim())?.join("pids.max");
        thread::sleep(A_READING);
        let shown = agent.ask(&["limit", "ls"])?;
        case.prove(
            format!("it tells of the lower one: {shown}"),
            shown.contains("the runtime's own limit is lower: 30"),
        );
        agent.stop()?;
        pins.clean_up()?;
        let now = files
            .iter()
            .map(|file| Ok(fs::read_to_string(file)?.trim().to_owned()))
            .collect::<Result<Vec<_>>>()?;
        for ((name, _, _, undone), now) in cases.iter().zip(now) {
            case.prove(format!("{name} is {undone} again: {now}"), now == *undone);
        }
        Ok(())
    })
}

#[test]
fn bandwidth_is_held_both_ways_and_by_hand() -> Result<()> {
    Case::run("bandwidth_is_held_both_ways_and_by_hand", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let config = policy("egress = \"20mbit\"\ningress = \"20mbit\"")?;
        let agent = start(&pins, &config, &[])?;
        let limited = Limited::new("limited", &bridge, 1)?;
        let other = Sandbox::new("unlimited", &bridge, 2)?;
        let (_sink, _its) = (other.sink()?, limited.sandbox.sink()?);
        let id = limited.sandbox.cgroup.id();
        agent.scrape_until("both directions are held", |page| {
            let held = page.all(HELD, &[("id", &id)]).filter(|one| one.value > 0.5).count();
            Ok((held == 2).then_some(()))
        })?;
        let page = agent.scrape()?;
        case.compare("bytes a second, twice", page.sum(RATE, &[("id", &id)])?, 2 * 20_000_000 / 8);
        let bytes = 10_000_000;
        for (what, from, to) in [("out", &limited.sandbox, &other), ("in", &other, &limited.sandbox)] {
            let part = percent(bytes, seconds(from, to, bytes)?, 20_000_000);
            case.compare_within(format!("percent of the line, {what}"), part, 88, 98);
        }
        let shown = agent.ask(&["limit", "ls"])?;
        case.prove(format!("a table: {shown}"), shown.contains("20mbit") && shown.contains("ifb"));

        let short = id.rsplit("test-").next().context("an id")?;
        let short = short.get(..64).context("an id")?;
        agent.ask(&["limit", "set", short, "--egress", "40mbit"])?;
        let part = percent(bytes, seconds(&limited.sandbox, &other, bytes)?, 40_000_000);
        case.compare_within("percent of the line by hand", part, 88, 98);
        agent.ask(&["limit", "unset", short])?;
        let part = percent(bytes, seconds(&limited.sandbox, &other, bytes)?, 20_000_000);
        case.compare_within("percent of the line of the file again", part, 88, 98);
        // Neither direction is counted twice, nor before it was held back.
        thread::sleep(Duration::from_millis(300));
        let kernels = limited.sandbox.at_rest()?;
        let page = agent.scrape()?;
        let ours = |family| page.count(family, &[("id", &id), ("interface", "eth0")]);
        case.compare("received", ours("container_network_receive_bytes_total")?, kernels[0]);
        case.compare("transmitted", ours("container_network_transmit_bytes_total")?, kernels[2]);
        Ok(())
    })
}

#[test]
fn limits_outlive_the_agent_and_are_undone_to_the_last() -> Result<()> {
    Case::run("limits_outlive_the_agent_and_are_undone_to_the_last", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let limited = Limited::new("outliving", &bridge, 1)?;
        let other = Sandbox::new("outliving-other", &bridge, 2)?;
        let _sink = other.sink()?;
        let before = (settled_listing()?, limited.max()?);
        let config = policy("pids = 60\negress = \"20mbit\"\ningress = \"20mbit\"")?;
        for kill in 0..settings::scaled(10).max(4) {
            let agent = Agent::spawn(&pins, &["--config", &config.path().display().to_string()])?;
            // At its start, in the middle of its acts, and after them.
            thread::sleep(Duration::from_millis(200 + 150 * kill));
            agent.kill()?;
        }
        let id = limited.sandbox.cgroup.id();
        let held = || -> Result<Agent> {
            let agent = start(&pins, &config, &[])?;
            agent.scrape_until("all is held", |page| {
                let held = page.all(HELD, &[("id", &id)]).filter(|one| one.value > 0.5).count();
                Ok((held == 3).then_some(()))
            })?;
            Ok(agent)
        };
        held()?.kill()?;
        let shaped = listing()?;
        // The next one goes on with them, and lifts nothing meanwhile.
        let is_over = AtomicBool::new(false);
        let (next, seen) = thread::scope(|scope| {
            let watch = scope.spawn(|| -> Result<BTreeMap<String, u64>> {
                let mut seen = BTreeMap::new();
                while !is_over.load(Ordering::Relaxed) {
                    *seen.entry(limited.max()?).or_default() += 1;
                }
                Ok(seen)
            });
            let next = held();
            is_over.store(true, Ordering::Relaxed);
            (next, watch.join().expect("the watch ends"))
        });
        next?.kill()?;
        let seen = seen?;
        case.prove(
            format!("never lifted: {seen:?}"),
            seen.len() == 1 && seen.values().all(|reads| *reads > 100),
        );
        prove_same(case, "qdiscs and links are those of the agent before", &shaped, &listing()?);
        case.compare("its task limit", limited.number("pids.max")?, 60);
        let bytes = 10_000_000;
        let part = percent(bytes, seconds(&limited.sandbox, &other, bytes)?, 20_000_000);
        case.compare_within("percent of the line without an agent", part, 88, 98);
        let said = pins.clean_up()?;
        case.prove(format!("cleanup says what it undid: {said}"), said.contains("undone"));
        prove_same(case, "qdiscs and links are as before", &before.0, &listing()?);
        case.prove("pids.max is as before", limited.max()? == before.1);
        Ok(())
    })
}

#[test]
fn a_dry_run_counts_and_touches_nothing() -> Result<()> {
    Case::run("a_dry_run_counts_and_touches_nothing", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let limited = Limited::new("dry", &bridge, 1)?;
        let other = Sandbox::new("dry-other", &bridge, 2)?;
        let _sink = other.sink()?;
        let before = (settled_listing()?, limited.max()?);
        let config = policy("pids = 1\negress = \"1mbit\"")?;
        let agent = start(&pins, &config, &["--limits", "dry-run"])?;
        thread::sleep(A_READING);
        for _ in 0..3 {
            limited.sandbox.traffic(&["tcp", &other.ipv4(), "2000000"])?;
            thread::sleep(Duration::from_secs(1));
        }
        let id = limited.sandbox.cgroup.id();
        let page = agent.scrape()?;
        let violations = page.count(VIOLATIONS, &[("id", &id), ("limit", "egress")])?;
        case.prove(format!("{violations} violations"), violations > 0);
        prove_same(case, "nothing is touched meanwhile", &before.0, &listing()?);
        agent.stop()?;
        prove_same(case, "nor after it", &before.0, &listing()?);
        case.prove("nor is pids.max", limited.max()? == before.1);
        Ok(())
    })
}
