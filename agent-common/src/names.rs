//! Names of maps, programs and globals, once for both sides.

/// Maps: `HASH<u32 tgid, u64>`, see [`crate::word::Word`].
pub const PROC: &str = "PROC";
/// `HASH<u32 cgroup, Row>`.
pub const ROWS: &str = "ROWS";
/// `HASH<u64 account or workload, Row>`: sums of the dead.
pub const FOLDED: &str = "FOLDED";
/// `HASH<u64 account or workload, bytes>`: who a sum belongs to. The agent alone reads and writes it.
pub const NAMES: &str = "NAMES";
/// `HASH<u32 cgroup, u64 account>`. The agent alone reads and writes it.
pub const OWNERS: &str = "OWNERS";
/// `HASH<[u64; 2], u32>`: rows of older layouts that were imported, see [`crate::command::Import`].
pub const IMPORTED: &str = "IMPORTED";
/// `HASH<u64, Lane>`, see [`crate::traffic::lane_key`].
pub const LANES: &str = "LANES";
/// `HASH<u32 cgroup, [Traffic; 2]>`: received and transmitted.
pub const SOCKETS: &str = "SOCKETS";
/// `HASH<u32 ifindex, Veth>`, see [`crate::port::Veth`].
pub const VETHS: &str = "VETHS";
/// `HASH<u32 ifindex, [u64; SEEN_WORDS]>`: what an interface had counted when it was read last. The agent alone reads and
/// writes it.
pub const SEEN: &str = "SEEN";
/// Words of a value in `SEEN`: bytes and packets received and transmitted, errors and drops of both.
pub const SEEN_WORDS: usize = 8;
/// `HASH<u64, Port>`, see [`crate::port::port_key`].
pub const PORTS: &str = "PORTS";
/// `HASH<u32 ifindex, u32 ifindex>`: the host's end of a veth pair to the interface that what comes from it goes to.
pub const SHAPED: &str = "SHAPED";
/// `HASH<u64, bytes>`: how each act of a limit is undone. The agent alone reads and writes it.
pub const UNDO: &str = "UNDO";
/// `HASH<u64 account, bytes>`: limits that were set by hand. The agent alone reads and writes it.
pub const HANDS: &str = "HANDS";
/// `HASH<u64, [u64; SPENT_WORDS]>`: what a limit has held back until now. The agent alone reads and writes it.
pub const SPENT: &str = "SPENT";
/// `ARRAY<u64>`, see [`crate::tally::Tally`].
pub const TALLIES: &str = "TALLIES";
/// `RINGBUF`, see [`crate::event::Event`].
pub const EVENTS: &str = "EVENTS";
/// `ARRAY<u64>` of one: what a self-test of the exit program saw.
pub const PROBE: &str = "PROBE";
/// `ARRAY<[u64; META_WORDS]>` of one: what a set of pins is. Written last: without it nothing is adopted.
pub const META: &str = "META";
/// Words in `META`: magic, layout, digest of the object, hierarchy, rest 0.
pub const META_WORDS: usize = 8;
/// First word of `META`.
pub const META_MAGIC: u64 = 0x706c_696d_736f_6c6c;
/// aya-log's ring buffer.
pub const LOGS: &str = "AYA_LOGS";

/// Room in `ROWS`.
pub const ROWS_MAX: u32 = 32_768;
/// Room in `PROC` unless the agent sets it.
pub const PROC_MAX: u32 = 131_072;
/// Room in `FOLDED` and `NAMES`: 5,000 dead accounts, 2,000 workloads, and over 9,000 live accounts.
pub const FOLDED_MAX: u32 = 16_384;
/// See [`FOLDED_MAX`].
pub const NAMES_MAX: u32 = FOLDED_MAX;
/// Bytes of a value in `NAMES`: an entry with all that the kernel adds fits 2 KiB, and would take 4 if it did not.
pub const NAME_LEN: usize = 1_984;
/// Room in `OWNERS`: one per row, and more for cgroups in which nothing happened.
pub const OWNERS_MAX: u32 = ROWS_MAX + 8_192;
/// Room in `IMPORTED`: one per row and one per folded sum.
pub const IMPORTED_MAX: u32 = ROWS_MAX + FOLDED_MAX;
/// Room in `LANES`: 2,048 interfaces on a host with 8 CPUs or more, more where there are fewer.
pub const LANES_MAX: u32 = 2_048 * 2 * crate::traffic::MAX_LANES;
/// Room in `SOCKETS`: one per cgroup whose sockets had a packet.
pub const SOCKETS_MAX: u32 = 16_384;
/// Room in `VETHS`.
pub const VETHS_MAX: u32 = 4_096;
/// Room in `PORTS`: one or two each of accounts, live and dead, and one of each workload.
pub const PORTS_MAX: u32 = 12_288;
/// Room in `SHAPED`.
pub const SHAPED_MAX: u32 = VETHS_MAX;
/// Room in `UNDO`: some acts each of 2,000 containers.
pub const UNDO_MAX: u32 = 8_192;
/// Room in `HANDS`.
pub const HANDS_MAX: u32 = 1_024;
/// Bytes of a value in `UNDO` and `HANDS`: an entry with all that the kernel adds fits 512.
pub const RECORD_LEN: usize = 448;
/// Room in `SPENT`: three limits each of as many containers.
pub const SPENT_MAX: u32 = UNDO_MAX;
/// Words of a value in `SPENT`.
pub const SPENT_WORDS: usize = 14;
/// Bytes of aya-log's ring buffer, as that crate has it.
pub const LOGS_BYTES: u32 = 1 << 17;
/// Bytes of the ring buffer unless the agent sets them.
pub const EVENTS_BYTES: u32 = 4 << 20;

/// Globals beside the offsets of [`crate::kernel_fields`]: the hierarchy whose cgroups are counted, 0 for cgroup2.
pub const HIERARCHY_ID: &str = "HIERARCHY_ID";
/// Lanes per interface and direction, less one, see [`crate::traffic::lane_key`].
pub const LANE_MASK: &str = "LANE_MASK";
/// Offset in `css_set` of the pointer to the pids controller's state: used where `HIERARCHY_ID` is not 0.
pub const CSS_SET_PIDS: &str = "CSS_SET_PIDS";
/// 1 where `mark_victim` gives the task (6.8 and later), 0 where it gives a pid.
pub const OOM_HAS_TASK: &str = "OOM_HAS_TASK";
/// 1 where `tcp_retransmit_skb` tells whether it was sent (6.15 and later), 0 where it tells only of those that were.
pub const RETRANSMIT_HAS_ERROR: &str = "RETRANSMIT_HAS_ERROR";
