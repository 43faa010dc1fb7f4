//! Every map: who writes it, who reads it, how big it is, what happens when it is full.
//!
//! The agent pins all of them and knows them by the names of `plimsoll_common::names`; a test holds the two equal.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, RingBuf},
};
use plimsoll_common::{
    names::{
        EVENTS_BYTES, FOLDED_MAX, HANDS_MAX, IMPORTED_MAX, LANES_MAX, META_WORDS, NAME_LEN, NAMES_MAX,
        OWNERS_MAX, PORTS_MAX, PROC_MAX, RECORD_LEN, ROWS_MAX, SEEN_WORDS, SHAPED_MAX, SOCKETS_MAX,
        SPENT_MAX, SPENT_WORDS, UNDO_MAX, VETHS_MAX,
    },
    port::{Port, Veth},
    row::Row,
    tally::PLACES,
    traffic::{Lane, Traffic},
};

/// Process to its word. Task programs write, the agent reads in audits. Full: the birth is tallied and its row told
/// (`untracked`), an audit enters it later.
#[map]
pub static PROC: HashMap<u32, u64> = HashMap::with_max_entries(PROC_MAX, 0);

/// Cgroup to its counters. Task programs write, the agent reads and folds. Full: tallied.
#[map]
pub static ROWS: HashMap<u32, Row> = HashMap::with_max_entries(ROWS_MAX, 0);

/// Account or workload to the counters of its dead rows. `fold` and `retire` write, the agent reads. Full: the fold
/// answers so and the row stays.
#[map]
pub static FOLDED: HashMap<u64, Row> = HashMap::with_max_entries(FOLDED_MAX, 0);

/// Account or workload to who it is. The agent writes and reads; it lives here because it must live as long as the sums.
#[map]
pub static NAMES: HashMap<u64, [u8; NAME_LEN]> = HashMap::with_max_entries(NAMES_MAX, BPF_F_NO_PREALLOC);

/// Cgroup to its account. The agent writes and reads.
#[map]
pub static OWNERS: HashMap<u32, u64> = HashMap::with_max_entries(OWNERS_MAX, BPF_F_NO_PREALLOC);

/// Layout, target and key of rows that were imported from older layouts. `import` writes, the agent copies it to a newer
/// layout. Full: `import` answers so, and the older set stays.
#[map]
pub static IMPORTED: HashMap<[u64; 2], u32> = HashMap::with_max_entries(IMPORTED_MAX, BPF_F_NO_PREALLOC);

/// Interface, direction and lane (see `lane_key`) to what passed. The agent makes a row before it attaches the programs
/// that count in it, reads it, and deletes it. Full: that interface is read from its own counters.
#[map]
pub static LANES: HashMap<u64, Lane> = HashMap::with_max_entries(LANES_MAX, 0);

/// Cgroup to what its sockets received and transmitted. Socket programs write, the agent reads and deletes. Full: tallied.
#[map]
pub static SOCKETS: HashMap<u32, [Traffic; 2]> = HashMap::with_max_entries(SOCKETS_MAX, 0);

/// Interface to what is known of the veth pair whose host's end it is. The agent writes and reads, `settle` changes.
/// Full: that pair is nobody's.
#[map]
pub static VETHS: HashMap<u32, Veth> = HashMap::with_max_entries(VETHS_MAX, 0);

/// Interface to what it had counted when it was read last, where the programs do not count that. The agent writes and
/// reads. Full: those totals may fall over a restart of the agent.
#[map]
pub static SEEN: HashMap<u32, [u64; SEEN_WORDS]> = HashMap::with_max_entries(VETHS_MAX, BPF_F_NO_PREALLOC);

/// Port to the sum of what is not counted elsewhere any more. The agent makes and reads; `settle`, `fold_sockets` and
/// `retire_port` add. Full: what would be a new port's counts for the workload "other".
#[map]
pub static PORTS: HashMap<u64, Port> = HashMap::with_max_entries(PORTS_MAX, 0);

/// The host's end of a veth pair to the interface that holds back what comes from it. The agent writes, `veth_shape`
/// reads. Full: that container is not held at its line, and the agent says so.
#[map]
pub static SHAPED: HashMap<u32, u32> = HashMap::with_max_entries(SHAPED_MAX, BPF_F_NO_PREALLOC);

/// How each act of a limit is undone. The agent writes and reads; it lives here because it must live as long as what was
/// done. Full: nothing more is limited, and the agent says so.
#[map]
pub static UNDO: HashMap<u64, [u8; RECORD_LEN]> = HashMap::with_max_entries(UNDO_MAX, BPF_F_NO_PREALLOC);

/// Limits that were set by hand. The agent writes and reads. Full: it refuses another.
#[map]
pub static HANDS: HashMap<u64, [u8; RECORD_LEN]> = HashMap::with_max_entries(HANDS_MAX, BPF_F_NO_PREALLOC);

/// What each limit has held back. The agent writes and reads. Full: those totals begin anew with the agent.
#[map]
pub static SPENT: HashMap<u64, [u64; SPENT_WORDS]> = HashMap::with_max_entries(SPENT_MAX, BPF_F_NO_PREALLOC);

/// See `Tally`. All programs write, the agent reads.
#[map]
pub static TALLIES: Array<u64> = Array::with_max_entries(PLACES, 0);

/// What happened to cgroups. Full: new events are refused and tallied, the agent walks the hierarchy.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS_BYTES, 0);

/// What `probe_exit` saw of the agent's own child. The agent writes and reads, at its start only.
#[map]
pub static PROBE: Array<u64> = Array::with_max_entries(2, 0);

/// What this set of pins is: layout, digest, hierarchy. The agent writes it last.
#[map]
pub static META: Array<[u64; META_WORDS]> = Array::with_max_entries(1, 0);
