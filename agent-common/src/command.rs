//! Orders to the programs that the agent runs itself (`BPF_PROG_TEST_RUN`). Such a run is atomic against SIGKILL:
//! it happens whole or not at all.

use crate::{
    port::{Flow, Flows},
    row::Row,
};

/// Bytes that the kernel wants before the order: an empty Ethernet header.
pub const HEADER: usize = 14;

/// What every order carries.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Fold, import: the cgroup's key. Retire, import: the account. Repair: the process. Settle: the interface.
    pub key: u64,
    /// Fold: the account, or its port. Retire: the workload, or its port. Repair: the word as it must be now, 0 for none.
    /// Import: the layout. Settle: the port.
    pub from: u64,
    /// Repair: the word as it shall be, 0 for none. Import: a [`Target`]. Settle: the port from now on, or [`GONE`].
    /// Retire of a port: the host's port.
    pub to: u64,
}

/// Where an imported row belongs.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a cgroup.
    Rows = 0,
    /// To the sums of the dead.
    Folded = 1,
}

/// The order to import a row of an older layout, once: what was done is noted in the same run.
#[derive(Clone, Copy, Debug)]
pub struct Import {
    /// Key, layout, target.
    pub command: Command,
    /// The row; words that the older layout lacks are 0.
    pub row: [u64; Row::WORDS],
}

/// The order to add what passed a veth pair to its port, once.
#[derive(Clone, Copy, Debug)]
pub struct Settle {
    /// Interface, port, the port from now on.
    pub command: Command,
    /// What passed.
    pub flows: Flows,
}

/// In place of the next port: the interface is gone, nothing is counted there any more.
pub const GONE: u64 = u64::MAX;

/// Bytes of a settlement with its header.
pub const SETTLE_SIZE: usize = SIZE + size_of::<Flows>();

impl Settle {
    /// The order as the kernel takes it.
    #[must_use]
    pub fn packet(&self) -> [u8; SETTLE_SIZE] {
        let mut packet = [0; SETTLE_SIZE];
        packet[..SIZE].copy_from_slice(&self.command.packet());
        let words = self.flows.iter().flat_map(Flow::words);
        for (place, word) in packet[SIZE..].as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_ne_bytes();
        }
        packet
    }
}

/// Bytes of an import with its header.
pub const IMPORT_SIZE: usize = SIZE + 8 * Row::WORDS;

impl Import {
    /// The order as the kernel takes it.
    #[must_use]
    pub fn packet(&self) -> [u8; IMPORT_SIZE] {
        let mut packet = [0; IMPORT_SIZE];
        packet[..SIZE].copy_from_slice(&self.command.packet());
        for (place, word) in packet[SIZE..].as_chunks_mut::<8>().0.iter_mut().zip(self.row) {
            *place = word.to_ne_bytes();
        }
        packet
    }
}

/// Bytes of an order with its header.
pub const SIZE: usize = HEADER + size_of::<Command>();

/// What a run answers.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, whole.
    Done = 0,
    /// The order could not be read.
    Malformed = 1,
    /// There is no such row, account or process any more: nothing was done.
    Absent = 2,
    /// No room for the sum: nothing was done.
    Full = 3,
    /// The process changed meanwhile: nothing was done.
    Changed = 4,
}

impl Answer {
    /// The answer that a return value stands for.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Done,
            1 => Self::Malformed,
            2 => Self::Absent,
            3 => Self::Full,
            4 => Self::Changed,
            _ => return None,
        })
    }
}

impl Command {
    /// The order as the kernel takes it: an empty header, then the fields in the machine's byte order.
    #[must_use]
    pub fn packet(&self) -> [u8; SIZE] {
        let mut packet = [0; SIZE];
        let Self { key, from, to } = *self;
        for (place, field) in packet[HEADER..].as_chunks_mut::<8>().0.iter_mut().zip([key, from, to]) {
            *place = field.to_ne_bytes();
        }
        packet
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::{Command, HEADER, IMPORT_SIZE, Import, SIZE, Settle};
    use crate::{port::Flow, row::Row};

    #[test]
    fn an_order_keeps_its_fields() {
        let packet = Command { key: 1, from: 2, to: u64::MAX }.packet();
        assert_eq!((packet.len(), packet[..HEADER].iter().sum::<u8>()), (SIZE, 0));
        assert_eq!(packet[HEADER + 8..HEADER + 16], 2_u64.to_ne_bytes());
        assert_eq!(packet[HEADER + 16..], u64::MAX.to_ne_bytes());
    }

    #[test]
    fn an_import_carries_the_whole_row() {
        let command = Command { key: 1, from: 2, to: 3 };
        let packet = Import { command, row: [7; Row::WORDS] }.packet();
        assert_eq!(packet[..SIZE], command.packet());
        assert_eq!(
            (packet[SIZE..].len(), packet[IMPORT_SIZE - 8..].to_vec()),
            (8 * Row::WORDS, 7_u64.to_ne_bytes().to_vec())
        );
    }

    #[test]
    fn a_settlement_carries_both_directions() {
        let transmit = Flow { dropped: 9, ..Flow::ZERO };
        let command = Command { key: 1, from: 2, to: 3 };
        let packet = Settle { command, flows: [Flow::ZERO, transmit] }.packet();
        let words: Vec<u64> = packet[SIZE..].as_chunks().0.iter().copied().map(u64::from_ne_bytes).collect();
        assert_eq!((words.len(), words.iter().sum::<u64>()), (2 * Flow::WORDS, 9));
        assert_eq!(words.last(), Some(&9));
    }
}
