//! One part of the page: its text, and the figures that have an aim.

use std::fmt;

/// A part of the page.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Markdown, heading included.
    pub text: String,
    /// What is held against an aim.
    pub aims: Vec<Aim>,
}

/// A figure and the most that it should be.
#[derive(Clone, Debug)]
pub struct Aim {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub measured: f64,
    /// The aim.
    pub most: f64,
    /// Of both.
    pub unit: &'static str,
    /// What bounds the figure, where that is known: told when the aim is missed.
    pub bound: Option<String>,
}

/// A row of the table of aims.
impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, measured, most, unit, bound } = self;
        let verdict = if measured <= most {
            "met".to_owned()
        } else {
            let why = bound.as_ref().map_or_else(String::new, |bound| format!(": {bound}"));
            format!("missed by {:.0} %{why}", (measured / most - 1.0) * 100.0)
        };
        let places = if *most < 1.0 { 3 } else { 1 };
        write!(f, "| {what} | {measured:.places$} {unit} | at most {most} {unit} | {verdict} |")
    }
}

#[cfg(test)]
mod tests {
    use super::Aim;

    #[test]
    fn an_aim_says_by_how_much_it_is_missed() {
        let aim = |measured| {
            let bound = Some("the disk".to_owned());
            Aim { what: "scrape".into(), measured, most: 5.0, unit: "ms", bound }.to_string()
        };
        assert_eq!(aim(5.0), "| scrape | 5.0 ms | at most 5 ms | met |");
        assert_eq!(aim(6.0), "| scrape | 6.0 ms | at most 5 ms | missed by 20 %: the disk |");
    }
}
