//! What each kernel program costs an event, beside an empty one and beside its map operations alone.

use anyhow::{Context as _, Result};

use super::{
    alone::Maps,
    beside::{Beside, Trio},
    instruction::Writer,
    kernel::{Cost, Program},
    loads::Load,
    section::{Aim, Section},
    stats::Stats,
    types::Types,
};
use crate::{agent::Agent, cgroup::Cgroup, pins::Pins};

/// Many short ones: what interrupts a round spoils no other.
const ROUNDS: usize = 25;
const AIM: f64 = 460.0;

/// Programs, their tracepoints, and the load that makes them run.
const HOOKS: [(&str, &str, Load); 12] = [
    ("newtask", "task_newtask", Load::Forks),
    ("exit", "sched_process_exit", Load::Forks),
    ("exec", "sched_process_exec", Load::Execs),
    ("attach", "cgroup_attach_task", Load::Moves),
    ("populated", "cgroup_notify_populated", Load::Moves),
    ("mkdir", "cgroup_mkdir", Load::Cgroups),
    ("rmdir", "cgroup_rmdir", Load::Cgroups),
    ("release", "cgroup_release", Load::Cgroups),
    ("frozen", "cgroup_notify_frozen", Load::Freezes),
    ("tcp_state", "inet_sock_set_state", Load::Connections),
    ("tcp_send_reset", "tcp_send_reset", Load::Refusals),
    ("tcp_got_reset", "tcp_receive_reset", Load::Refusals),
];

/// One of our programs and what it is compared with.
struct Subject {
    tracepoint: &'static str,
    load: Load,
    trio: Trio,
    beside: Beside,
}

/// Measures all programs and writes them down.
pub fn measure() -> Result<Section> {
    let (stats, pins) = (Stats::on()?, Pins::new()?);
    let (types, maps) = (Types::read()?, Maps::create()?);
    let agent = Agent::start(&pins, &[])?;
    let mut subjects = HOOKS
        .map(|(name, tracepoint, load)| Subject::new(name, tracepoint, load, &types, &maps))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let cgroup = Cgroup::create("bench")?;
    let mut before = costs(&agent, &subjects)?;
    for round in 1..=ROUNDS {
        eprintln!("kernel programs: round {round} of {ROUNDS}");
        for load in Load::ALL {
            load.run(&cgroup)?;
            let after = costs(&agent, &subjects)?;
            for (subject, costs) in subjects.iter_mut().zip(before.iter().zip(&after)) {
                subject.ran(load, costs);
            }
            before = after;
        }
    }
    drop(stats);
    written(&subjects)
}

fn costs(agent: &Agent, subjects: &[Subject]) -> Result<Vec<[Cost; 3]>> {
    let page = agent.scrape()?;
    subjects.iter().map(|subject| subject.trio.costs(&page)).collect()
}

impl Subject {
    fn new(
        name: &'static str,
        tracepoint: &'static str,
        load: Load,
        types: &Types,
        maps: &Maps,
    ) -> Result<Self> {
        let empty = Program::attach(types, tracepoint, &Writer::default().finish())?;
        let alone = maps.attach(types, name, tracepoint)?;
        Ok(Self { tracepoint, load, trio: Trio { name, empty, alone }, beside: Beside::default() })
    }

    /// Notes what its programs cost a run while this load ran.
    fn ran(&mut self, load: Load, (before, after): (&[Cost; 3], &[Cost; 3])) {
        if load == self.load {
            self.beside.note(before, after);
        }
    }

    fn row(&self) -> String {
        let Self { tracepoint, trio, beside, .. } = self;
        format!("| `{}` | `{tracepoint}` | {} |\n", trio.name, beside.cells())
    }
}

fn written(subjects: &[Subject]) -> Result<Section> {
    let rows: String = subjects.iter().map(Subject::row).collect();
    let text = format!(
        "## Kernel programs\n\n\
         ns per event: median and quartiles of {ROUNDS} rounds, with `kernel.bpf_stats_enabled` on. *Net* is without \
         what an empty program on the same tracepoint is booked in the same rounds. *Map operations alone* are \
         those of our program, in maps of the same kinds, without the tail call and without looking for the task's cgroup. \
         Programs that run rarely find cold caches.\n\n\
         | program | tracepoint | ours | empty program | net | map operations alone |\n\
         |---|---|---|---|---|---|\n{rows}"
    );
    let named = |name| {
        let found = subjects.iter().find(|subject| subject.trio.name == name);
        found.map(|subject| &subject.beside).with_context(|| format!("no program {name}"))
    };
    let [born, ended] = [named("newtask")?, named("exit")?];
    let alone = born.net_alone()? + ended.net_alone()?;
    let aim = Aim {
        what: "kernel programs, net, per fork and exit".into(),
        measured: born.net()? + ended.net()?,
        most: AIM,
        unit: "ns",
        bound: Some(format!("the map operations alone, net, take {alone:.0} ns on this machine")),
    };
    Ok(Section { text, aims: vec![aim] })
}
