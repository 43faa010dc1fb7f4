//! One of our programs beside an empty one at the same hook and beside its map operations alone.

use anyhow::{Context as _, Result};

use super::{
    figures::Figures,
    kernel::{Cost, Program},
};
use crate::page::Page;

/// The three programs: ours by the agent's page.
#[derive(Debug)]
pub struct Trio {
    /// Ours, by its name.
    pub name: &'static str,
    /// The empty one.
    pub empty: Program,
    /// The map operations alone.
    pub alone: Option<Program>,
}

/// What each of a trio cost a run, round for round.
#[derive(Debug, Default)]
pub struct Beside {
    ours: Vec<f64>,
    empties: Vec<f64>,
    alones: Vec<f64>,
}

impl Trio {
    /// What they cost so far: ours, the empty one, the map operations alone.
    pub fn costs(&self, page: &Page) -> Result<[Cost; 3]> {
        let alone = self.alone.as_ref().map(Program::cost).transpose()?.unwrap_or_default();
        Ok([on_page(page, self.name), self.empty.cost()?, alone])
    }
}

fn on_page(page: &Page, program: &str) -> Cost {
    let labels = [("program", program)];
    let value = |name| page.all(name, &labels).next().map_or(0.0, |sample| sample.value);
    Cost { runs: value("plimsoll_program_runs_total"), ns: value("plimsoll_program_run_seconds_total") * 1e9 }
}

impl Beside {
    /// Notes a round, from what they had cost before it and after it.
    pub fn note(&mut self, before: &[Cost; 3], after: &[Cost; 3]) {
        let [ours, empty, alone] = [0, 1, 2].map(|which| after[which].per_run_since(before[which]));
        self.ours.extend(ours);
        self.empties.extend(empty);
        self.alones.extend(alone);
    }

    /// Ours, in ns a run, without what measuring adds to an empty program.
    pub fn net(&self) -> Result<f64> {
        self.without_empty(&self.ours)
    }

    /// The same of the map operations alone.
    pub fn net_alone(&self) -> Result<f64> {
        self.without_empty(&self.alones)
    }

    fn without_empty(&self, costs: &[f64]) -> Result<f64> {
        let median = |values: &[f64]| Figures::of(values.iter().copied()).map(|figures| figures.median());
        Ok(median(costs).context("it did not run")? - median(&self.empties)?)
    }

    /// Cells of a table: ours, the empty program, net, the map operations alone.
    #[must_use]
    pub fn cells(&self) -> String {
        let figures = |values: &[f64]| Figures::of(values.iter().copied());
        let cell = |values: &[f64]| figures(values).map_or("-".into(), |found| format!("{found:.0}"));
        let net = self.net().map_or("-".into(), |net| format!("{net:.0}"));
        let [ours, empty, alone] = [&self.ours, &self.empties, &self.alones].map(|values| cell(values));
        format!("{ours} | {empty} | {net} | {alone}")
    }
}
