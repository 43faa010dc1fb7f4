//! Medians and spreads of what was measured again and again.

use std::{fmt, time::Duration};

use anyhow::{Result, ensure};

/// Values of one thing, in order; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// Takes what was measured.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Result<Self> {
        let mut values = Vec::from_iter(values);
        ensure!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Ok(Self(values))
    }

    /// Takes times, as milliseconds.
    pub fn of_times(values: &[Duration]) -> Result<Self> {
        Self::of(values.iter().map(|time| time.as_secs_f64() * 1e3))
    }

    /// The least value that `percent` of all do not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        // There is at least one, and a percentile above 100 is the greatest.
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// The one in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }
}

/// Median and quartiles: `12.1 (11.0 to 14.2)`.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = f.precision().unwrap_or(1);
        let [low, median, high] = [25, 50, 75].map(|percent| self.percentile(percent));
        write!(f, "{median:.places$} ({low:.places$} to {high:.places$})")
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let figures = Figures::of((1..=30).rev().map(f64::from)).unwrap();
        let found = [0, 1, 25, 50, 99, 100].map(|percent| format!("{:.1}", figures.percentile(percent)));
        assert_eq!(found, ["1.0", "1.0", "8.0", "15.0", "30.0", "30.0"]);
        assert_eq!(format!("{figures:.2}"), "15.00 (8.00 to 23.00)");
    }

    #[test]
    fn nothing_has_no_median() {
        assert!(Figures::of([]).is_err());
    }
}
