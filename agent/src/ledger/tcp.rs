//! What TCP did, as far as the programs that count it are attached. Data only.

use plimsoll_common::row::Row;

use super::snapshot::Program;

/// What TCP did since counting began, connections over loopback aside. `None`: nobody counts it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tcp {
    /// Connections opened, answered or not.
    pub opened: Option<u64>,
    /// Connections accepted.
    pub accepted: Option<u64>,
    /// Segments sent again.
    pub retransmitted: Option<u64>,
    /// Resets sent.
    pub resets_sent: Option<u64>,
    /// Resets received.
    pub resets_received: Option<u64>,
}

impl Tcp {
    /// Nothing, of what these programs count.
    #[must_use]
    pub fn nothing(programs: &[Program]) -> Self {
        let attached = |name| {
            programs.iter().any(|program| program.name == name && program.left_out.is_none()).then_some(0)
        };
        Self {
            opened: attached("tcp_state"),
            accepted: attached("tcp_state"),
            retransmitted: attached("tcp_retransmit"),
            resets_sent: attached("tcp_send_reset"),
            resets_received: attached("tcp_got_reset"),
        }
    }

    /// The same with what a row says.
    #[must_use]
    pub fn with(self, row: &Row) -> Self {
        self.plus(Self {
            opened: Some(row.tcp_opened),
            accepted: Some(row.tcp_accepted),
            retransmitted: Some(row.tcp_retransmitted),
            resets_sent: Some(row.tcp_resets_sent),
            resets_received: Some(row.tcp_resets_received),
        })
    }

    /// The sum of two; unknown where one is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
        Self {
            opened: sum(self.opened, other.opened),
            accepted: sum(self.accepted, other.accepted),
            retransmitted: sum(self.retransmitted, other.retransmitted),
            resets_sent: sum(self.resets_sent, other.resets_sent),
            resets_received: sum(self.resets_received, other.resets_received),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, Row, Tcp};

    fn program(name: &'static str, left_out: Option<&str>) -> Program {
        Program { name, hook: String::new(), left_out: left_out.map(str::to_owned), cost: None, misses: None }
    }

    #[test]
    fn what_no_attached_program_counts_is_unknown_and_not_zero() {
        let row = Row { tcp_opened: 1, tcp_retransmitted: 2, tcp_resets_sent: 3, ..Row::ZERO };
        let programs = [program("tcp_state", None), program("tcp_send_reset", Some("no such hook"))];
        let tcp = Tcp::nothing(&programs).with(&row);
        assert_eq!(tcp, Tcp { opened: Some(1), accepted: Some(0), ..Tcp::default() });
        assert_eq!(tcp.plus(tcp), Tcp { opened: Some(2), accepted: Some(0), ..Tcp::default() });
    }
}
