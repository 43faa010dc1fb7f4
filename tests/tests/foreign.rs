//! Programs of others, put there by the test: they stay attached, in their order, and go on working.

use std::{fs::File, os::fd::OwnedFd, path::Path, process::Command};

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    agent::Agent,
    bridge::Bridge,
    cgroup::Hierarchy,
    foreign::{Foreign, Kind, Order, Place, attached},
    host,
    pins::Pins,
    report::Case,
    sandbox::Sandbox,
    settings, wait,
};

/// Two programs at each place: one that came first, one behind it.
struct Two {
    place: Place,
    programs: [Foreign; 2],
    _links: Vec<OwnedFd>,
}

impl Two {
    fn attach(kind: Kind, place: Place) -> Result<Self> {
        let programs = [Foreign::load(kind)?, Foreign::load(kind)?];
        let links = programs.iter().map(|program| program.attach(&place, Order::Last));
        Ok(Self { _links: links.collect::<Result<_>>()?, place, programs })
    }

    /// All programs there, theirs told apart: `Some` with their place among their own, `None` for others.
    fn order(&self) -> Result<Vec<Option<usize>>> {
        let own = [self.programs[0].id()?, self.programs[1].id()?];
        let all = attached(&self.place)?;
        Ok(all.into_iter().map(|id| own.iter().position(|own| *own == id)).collect())
    }

    fn bytes(&self) -> Result<[u64; 2]> {
        Ok([self.programs[0].bytes()?, self.programs[1].bytes()?])
    }
}

fn interfaces(sandbox: &Sandbox) -> Result<Vec<Two>> {
    let ifindex = sandbox.ifindex()?;
    [Place::Ingress(ifindex), Place::Egress(ifindex)]
        .into_iter()
        .map(|place| Two::attach(Kind::Classifier, place))
        .collect()
}

fn sockets(root: &Path) -> Result<Vec<Two>> {
    let open = || File::open(root).context("open a cgroup");
    [Place::Receive(open()?), Place::Transmit(open()?)]
        .into_iter()
        .map(|place| Two::attach(Kind::Sockets, place))
        .collect()
}

/// Has both ends of traffic classified by a program of the kind that was there before tcx.
fn classify(sandbox: &Sandbox, program: &Foreign, pins: &Pins) -> Result<String> {
    let pin = pins.path().join("foreign");
    program.pin(&pin)?;
    let pin = pin.display().to_string();
    tc(&["qdisc", "add", "dev", sandbox.outside(), "clsact"])?;
    for direction in ["ingress", "egress"] {
        let filter = ["filter", "add", "dev", sandbox.outside(), direction, "bpf", "direct-action"];
        tc(&[&filter[..], &["object-pinned", &pin]].concat())?;
    }
    filters(sandbox)
}

fn filters(sandbox: &Sandbox) -> Result<String> {
    let show = |direction| tc(&["filter", "show", "dev", sandbox.outside(), direction]);
    Ok(show("ingress")? + &show("egress")?)
}

fn tc(words: &[&str]) -> Result<String> {
    host::run(Command::new("tc").args(words))
}

/// What each must be while the agent is there: all of its own in their order, and one more.
fn prove_order(case: &mut Case, when: &str, two: &Two, ours: usize) -> Result<()> {
    let order = two.order()?;
    let own: Vec<usize> = order.iter().flatten().copied().collect();
    case.prove(format!("{when}: they run in their order: {order:?} at {:?}", two.place), own == [0, 1]);
    case.compare(format!("{when}: programs of others at {:?}", two.place), order.len() - own.len(), ours);
    Ok(())
}

#[test]
fn programs_of_others_stay_in_their_order_and_work() -> Result<()> {
    Case::run("programs_of_others_stay_in_their_order_and_work", |case| {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let (a, b) = (Sandbox::new("foreign-a", &bridge, 1)?, Sandbox::new("foreign-b", &bridge, 2)?);
        let _sink = b.sink()?;
        let hierarchy = Hierarchy::find()?;
        let at_pair = if settings::has_tcx() { interfaces(&a)? } else { Vec::new() };
        let at_root = if hierarchy.is_v2() { sockets(hierarchy.root())? } else { Vec::new() };
        let at_cgroup = if hierarchy.is_v2() { sockets(a.cgroup.path())? } else { Vec::new() };
        let classifier = Foreign::load(Kind::Classifier)?;
        let filtered = classify(&a, &classifier, &pins)?;
        case.prove("a filter is there in each direction", filtered.matches("direct-action").count() == 2);
        let mut before = Vec::new();
        for two in at_root.iter().chain(&at_pair) {
            before.push(two.order()?.len() - 2);
        }
        let check = |case: &mut Case, when: &str, more: usize| -> Result<()> {
            for (two, before) in at_root.iter().chain(&at_pair).zip(&before) {
                prove_order(case, when, two, before + more)?;
            }
            for two in &at_cgroup {
                prove_order(case, when, two, 0)?;
            }
            case.prove(format!("{when}: the filters are the same"), filters(&a)? == filtered);
            work(case, when, &a, &b, &at_pair, &classifier)
        };
        check(case, "before the agent", 0)?;
        let agent = Agent::start(&pins, &[])?;
        wait::until_true("the pair is counted", || {
            at_pair.iter().try_fold(true, |all, two| Ok(all && two.order()?.len() == 3))
        })?;
        check(case, "beside the agent", 1)?;
        agent.kill()?;
        check(case, "beside what a killed agent left", 1)?;
        let agent = Agent::start(&pins, &[])?;
        check(case, "beside the next agent", 1)?;
        agent.stop()?;
        pins.clean_up()?;
        wait::until_true("the kernel let go of the agent's", || {
            let mut all = at_root.iter().chain(&at_pair).zip(&before);
            all.try_fold(true, |gone, (two, before)| Ok(gone && two.order()?.len() == before + 2))
        })?;
        check(case, "after everything was removed", 0)?;
        drop((at_pair, at_root, at_cgroup));
        Ok(())
    })
}

/// Something passes: each of them at the pair counts what the interface does.
fn work(
    case: &mut Case,
    when: &str,
    a: &Sandbox,
    b: &Sandbox,
    at_pair: &[Two],
    classifier: &Foreign,
) -> Result<()> {
    let all = || at_pair.iter().map(Two::bytes).collect::<Result<Vec<_>>>();
    let begun = (a.at_rest()?, all()?, classifier.bytes()?);
    a.traffic(&["tcp", &b.ipv4(), &settings::scaled(20_000_000).to_string()])?;
    let ended = (a.at_rest()?, all()?, classifier.bytes()?);
    let (received, transmitted) = (ended.0[0] - begun.0[0], ended.0[2] - begun.0[2]);
    case.prove(format!("{when}: something passed"), received > 0 && transmitted > 0);
    case.compare(format!("{when}: bytes that a filter saw"), ended.2 - begun.2, received + transmitted);
    // What the container transmits comes in at the host's end.
    let passed = [transmitted, received];
    for ((begun, ended), passed) in begun.1.iter().zip(&ended.1).zip(passed) {
        for place in 0..2 {
            case.compare(format!("{when}: bytes that a program saw"), ended[place] - begun[place], passed);
        }
    }
    Ok(())
}
