//! What the kernel programs could not do, or met that should not be, counted in one array.

macro_rules! tallies {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Place of a count in the map `TALLIES`.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Tally { $($(#[$doc])* $variant,)* }

        impl Tally {
            /// All of them, in the order of their places.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// Its name in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

tallies! {
    /// The next event's sequence number; no loss.
    Sequence = "events",
    /// The ring buffer had no room for an event.
    EventLost = "event_lost",
    /// `PROC` had no room for a process.
    ProcFull = "proc_full",
    /// `ROWS` had no room for a cgroup.
    RowsFull = "rows_full",
    /// A thread ended whose process was not in `PROC`.
    ExitUnknown = "exit_unknown",
    /// A thread was born to a process that was not in `PROC`.
    ThreadOfUnknown = "thread_of_unknown",
    /// A process was born over a stale entry of its id.
    StaleTaken = "stale_taken",
    /// A process moved that was not in `PROC`.
    MoveUnknown = "move_unknown",
    /// A move met eight changes of its word in a row and gave up.
    MoveContended = "move_contended",
    /// An entry program found no program in its slot.
    FellThrough = "fell_through",
    /// The OOM killer chose a process that is in no known cgroup.
    OomUnknown = "oom_unknown",
    /// A dead row still had a process or thread.
    FoldRemainder = "fold_remainder",
    /// Processes that the iterator entered.
    Seeded = "seeded",
    /// A packet passed an interface that has no row.
    LaneMissing = "lane_missing",
    /// `SOCKETS` had no room for a cgroup.
    SocketsFull = "sockets_full",
}

impl Tally {
    /// Whether it counts what went wrong. The others count work, or have a metric of their own.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        !matches!(self, Self::Sequence | Self::Seeded | Self::EventLost)
    }
}

/// Places in the map, some of them free for later.
pub const PLACES: u32 = 32;
const _: () = assert!(Tally::ALL.len() < PLACES as usize);
