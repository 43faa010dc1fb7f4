//! What each kernel program costs an event, beside an empty one and beside its map operations alone.

use std::fs;

use anyhow::{Context as _, Result};

use super::{
    alone::Maps,
    figures::Figures,
    instruction::Writer,
    kernel::{Cost, Program},
    loads::Load,
    section::{Aim, Section},
    types::Types,
};
use crate::{agent::Agent, cgroup::Cgroup, page::Page, pins::Pins};

/// Many short ones: what interrupts a round spoils no other.
const ROUNDS: usize = 25;
const AIM: f64 = 460.0;

/// Programs, their tracepoints, and the load that makes them run.
const HOOKS: [(&str, &str, Load); 9] = [
    ("newtask", "task_newtask", Load::Forks),
    ("exit", "sched_process_exit", Load::Forks),
    ("exec", "sched_process_exec", Load::Execs),
    ("attach", "cgroup_attach_task", Load::Moves),
    ("populated", "cgroup_notify_populated", Load::Moves),
    ("mkdir", "cgroup_mkdir", Load::Cgroups),
    ("rmdir", "cgroup_rmdir", Load::Cgroups),
    ("release", "cgroup_release", Load::Cgroups),
    ("frozen", "cgroup_notify_frozen", Load::Freezes),
];

/// One of our programs and what it is compared with.
struct Subject {
    name: &'static str,
    tracepoint: &'static str,
    load: Load,
    empty: Program,
    alone: Option<Program>,
    ours: Vec<f64>,
    empties: Vec<f64>,
    alones: Vec<f64>,
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

/// Ours by the agent's page, the empty one, the map operations alone.
fn costs(agent: &Agent, subjects: &[Subject]) -> Result<Vec<[Cost; 3]>> {
    let page = agent.scrape()?;
    let cost = |subject: &Subject| {
        let alone = subject.alone.as_ref().map(Program::cost).transpose()?.unwrap_or_default();
        Ok([on_page(&page, subject.name), subject.empty.cost()?, alone])
    };
    subjects.iter().map(cost).collect()
}

fn on_page(page: &Page, program: &str) -> Cost {
    let labels = [("program", program)];
    let value = |name| page.all(name, &labels).next().map_or(0.0, |sample| sample.value);
    Cost { runs: value("plimsoll_program_runs_total"), ns: value("plimsoll_program_run_seconds_total") * 1e9 }
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
        let (ours, empties, alones) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { name, tracepoint, load, empty, alone, ours, empties, alones })
    }

    /// Notes what its programs cost a run while this load ran.
    fn ran(&mut self, load: Load, (before, after): (&[Cost; 3], &[Cost; 3])) {
        if load == self.load {
            let [ours, empty, alone] = [0, 1, 2].map(|which| after[which].per_run_since(before[which]));
            self.ours.extend(ours);
            self.empties.extend(empty);
            self.alones.extend(alone);
        }
    }

    /// Median of nanoseconds without what measuring adds to an empty program.
    fn net(&self, costs: &[f64]) -> Result<f64> {
        let median = |values: &[f64]| {
            let figures = Figures::of(values.iter().copied());
            figures.map(|figures| figures.median()).with_context(|| format!("program {}", self.name))
        };
        Ok(median(costs)? - median(&self.empties)?)
    }

    fn row(&self) -> String {
        let Self { name, tracepoint, ours, empties, alones, .. } = self;
        let figures = |values: &[f64]| Figures::of(values.iter().copied());
        let cell = |values: &[f64]| figures(values).map_or("-".into(), |found| format!("{found:.0}"));
        let net = self.net(ours).map_or("-".into(), |net| format!("{net:.0}"));
        let [ours, empty, alone] = [ours, empties, alones].map(|values| cell(values));
        format!("| `{name}` | `{tracepoint}` | {ours} | {empty} | {net} | {alone} |\n")
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
    let named = |name| subjects.iter().find(|subject| subject.name == name).context("no such program");
    let [born, ended] = [named("newtask")?, named("exit")?];
    let alone = born.net(&born.alones)? + ended.net(&ended.alones)?;
    let aim = Aim {
        what: "kernel programs, net, per fork and exit".into(),
        measured: born.net(&born.ours)? + ended.net(&ended.ours)?,
        most: AIM,
        unit: "ns",
        bound: Some(format!("the map operations alone, net, take {alone:.0} ns on this machine")),
    };
    Ok(Section { text, aims: vec![aim] })
}

/// The kernel measures programs until the end of this.
struct Stats {
    before: String,
}

impl Stats {
    const FILE: &str = "/proc/sys/kernel/bpf_stats_enabled";

    fn on() -> Result<Self> {
        let before = fs::read_to_string(Self::FILE).with_context(|| format!("read {}", Self::FILE))?;
        fs::write(Self::FILE, "1").with_context(|| format!("write {}", Self::FILE))?;
        Ok(Self { before })
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        if let Err(error) = fs::write(Self::FILE, &self.before) {
            eprintln!("left behind: {} is 1: {error}", Self::FILE);
        }
    }
}
