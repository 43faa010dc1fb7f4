//! One figure three times in a row: without the agent, with it, and without it again.

use anyhow::Result;

use super::figures::Figures;

/// One round.
#[derive(Clone, Copy, Debug)]
pub struct Round(pub [f64; 3]);

impl Round {
    fn without(&self) -> f64 {
        f64::midpoint(self.0[0], self.0[2])
    }

    /// What the agent adds, in percent.
    fn added(&self) -> f64 {
        (self.0[1] / self.without() - 1.0) * 100.0
    }

    /// What nothing adds: the noise of the machine, in percent.
    fn nothing(&self) -> f64 {
        (self.0[2] / self.0[0] - 1.0) * 100.0
    }
}

/// All rounds of one thing.
#[derive(Clone, Debug)]
pub struct Rounds {
    without: Figures,
    with: Figures,
    /// What the agent adds, in percent.
    pub added: Figures,
    /// What nothing adds, in percent.
    pub noise: Figures,
}

impl Rounds {
    /// Takes what was measured.
    pub fn of(rounds: &[Round]) -> Result<Self> {
        let figures = |read: fn(&Round) -> f64| Figures::of(rounds.iter().map(read));
        Ok(Self {
            without: figures(Round::without)?,
            with: figures(|round| round.0[1])?,
            added: figures(Round::added)?,
            noise: figures(Round::nothing)?,
        })
    }

    /// A row of a table: name, without, with, added, noise.
    #[must_use]
    pub fn row(&self, name: &str) -> String {
        let Self { without, with, added, noise } = self;
        format!("| {name} | {without:.1} | {with:.1} | {added:.1} | {noise:.1} |\n")
    }
}

#[cfg(test)]
mod tests {
    use super::Round;

    #[test]
    fn a_machine_that_slows_down_evenly_adds_nothing() {
        let round = Round([10.0, 11.0, 12.0]);
        assert!(round.added().abs() < 1e-9 && (round.nothing() - 20.0).abs() < 1e-9);
    }
}
