//! What is measured, and what is to come of it.

use std::fmt;

use super::Aim;

/// Whose limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Egress,
    Ingress,
}

impl Direction {
    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::Egress => "--egress",
            Self::Ingress => "--ingress",
        }
    }
}

/// What is sent, and what holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// TCP with this congestion control.
    Flows(&'static str),
    /// Five times as many bytes of datagrams as the line.
    Datagrams,
    /// TCP, and a tbf with this burst that is not ours.
    Plain(&'static str),
}

/// One load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub megabits: u32,
    pub direction: Direction,
    pub flows: u32,
    pub kind: Kind,
}

/// All of them.
pub(super) fn cells() -> Vec<Cell> {
    let mut all = Vec::new();
    for megabits in [1, 10, 100, 1_000] {
        for direction in [Direction::Egress, Direction::Ingress] {
            for congestion in ["cubic", "bbr"] {
                for flows in [1, 8] {
                    all.push(Cell { megabits, direction, flows, kind: Kind::Flows(congestion) });
                }
            }
        }
    }
    for direction in [Direction::Egress, Direction::Ingress] {
        all.push(Cell { megabits: 10, direction, flows: 1, kind: Kind::Datagrams });
    }
    for (megabits, burst) in [(10, "32kb"), (100, "32kb"), (10, "268435455")] {
        all.push(Cell { megabits, direction: Direction::Ingress, flows: 1, kind: Kind::Plain(burst) });
    }
    all
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { megabits, direction, flows, kind } = self;
        let direction = if *direction == Direction::Egress { "egress" } else { "ingress" };
        write!(f, "{megabits} Mbit/s {direction}, ")?;
        match kind {
            Kind::Flows(congestion) => write!(f, "{flows} {congestion}"),
            Kind::Datagrams => f.write_str("UDP at five times that"),
            Kind::Plain(burst) => write!(f, "{flows} cubic, `tbf burst {burst}`"),
        }
    }
}

/// The worst of each kind.
#[derive(Debug, Default)]
pub(super) struct Worst {
    cubic_low: Option<f64>,
    bbr_low: Option<f64>,
    most: Option<f64>,
    most_at_one: Option<f64>,
    datagrams: Option<f64>,
}

impl Worst {
    pub(super) fn take(&mut self, cell: &Cell, payload: f64, most: f64) {
        let lower =
            |place: &mut Option<f64>| *place = Some(place.map_or(payload, |known| known.min(payload)));
        let higher = |place: &mut Option<f64>| *place = Some(place.map_or(most, |known| known.max(most)));
        match cell.kind {
            Kind::Plain(_) => return,
            Kind::Datagrams => higher(&mut self.datagrams),
            Kind::Flows("cubic") => lower(&mut self.cubic_low),
            Kind::Flows(_) => lower(&mut self.bbr_low),
        }
        higher(if cell.megabits == 1 { &mut self.most_at_one } else { &mut self.most });
    }

    /// What is short of the line and of the aim is told as what is missing.
    pub(super) fn aims(&self) -> Vec<Aim> {
        let aim = |what: &str, measured: Option<f64>, most| Aim {
            what: what.to_owned(),
            measured: measured.unwrap_or_default(),
            most,
            unit: "%",
            bound: None,
        };
        let missing = |payload: Option<f64>| payload.map(|payload| 100.0 - payload);
        vec![
            aim("line less payload, cubic, worst case", missing(self.cubic_low), 6.0),
            aim("line less payload, bbr, worst case", missing(self.bbr_low), 8.0),
            aim("most in a second, from 10 Mbit/s up", self.most, 100.5),
            aim("most in a second, 1 Mbit/s", self.most_at_one, 103.0),
            aim("most in a second, UDP offered at five times the line", self.datagrams, 100.5),
        ]
    }
}
