//! What the kernel programs count per cgroup, and what is kept of the dead.

/// The counters of one cgroup. Gauges are signed: old and new halves of a sum may be negative by themselves.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Live thread groups now.
    pub processes: i64,
    /// Live threads now.
    pub threads: i64,
    /// Processes born here.
    pub forks: u64,
    /// Threads born here, beside the first of a process.
    pub thread_creations: u64,
    /// Programs executed here.
    pub execs: u64,
    /// Processes that ended with status 0.
    pub exits_ok: u64,
    /// Processes that ended with another status.
    pub exits_error: u64,
    /// Processes that a signal ended.
    pub exits_signal: u64,
    /// Threads that ended before their process did.
    pub thread_exits: u64,
    /// Processes that the OOM killer chose.
    pub oom_kills: u64,
    /// Processes moved in from another cgroup.
    pub moved_in: u64,
    /// Processes moved out to another cgroup.
    pub moved_out: u64,
    /// Processes born here that `PROC` had no room for.
    pub untracked: u64,
    /// 1 where the row was made when `ROWS` had once had no room: what happened before is lost.
    pub late: u64,
    /// TCP connections opened: those that left CLOSE for SYN-SENT. No TCP word counts connections over loopback.
    pub tcp_opened: u64,
    /// TCP connections accepted: those that left SYN-RECEIVED for ESTABLISHED.
    pub tcp_accepted: u64,
    /// TCP segments sent again.
    pub tcp_retransmitted: u64,
    /// TCP resets sent.
    pub tcp_resets_sent: u64,
    /// TCP resets received.
    pub tcp_resets_received: u64,
    /// Counts nothing: what a layout to come appends.
    #[cfg(feature = "next-layout")]
    pub appended: u64,
}

const _: () = assert!(size_of::<Row>() == 8 * Row::WORDS);

// SAFETY: integers only, no padding (its size is asserted above).
#[cfg(feature = "user")]
unsafe impl aya::Pod for Row {}

impl Row {
    /// 64-bit words in a row. A new layout appends words and never moves one: rows of older layouts are read as they are.
    pub const WORDS: usize = 19 + cfg!(feature = "next-layout") as usize;
    /// The first word that is a counter and goes into a fold; those before are gauges.
    pub const FIRST_COUNTER: usize = 2;
    /// A cgroup in which nothing has happened.
    pub const ZERO: Self = Self {
        processes: 0,
        threads: 0,
        forks: 0,
        thread_creations: 0,
        execs: 0,
        exits_ok: 0,
        exits_error: 0,
        exits_signal: 0,
        thread_exits: 0,
        oom_kills: 0,
        moved_in: 0,
        moved_out: 0,
        untracked: 0,
        late: 0,
        tcp_opened: 0,
        tcp_accepted: 0,
        tcp_retransmitted: 0,
        tcp_resets_sent: 0,
        tcp_resets_received: 0,
        #[cfg(feature = "next-layout")]
        appended: 0,
    };

    /// The sum of two rows, field by field.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            processes: self.processes + other.processes,
            threads: self.threads + other.threads,
            forks: self.forks + other.forks,
            thread_creations: self.thread_creations + other.thread_creations,
            execs: self.execs + other.execs,
            exits_ok: self.exits_ok + other.exits_ok,
            exits_error: self.exits_error + other.exits_error,
            exits_signal: self.exits_signal + other.exits_signal,
            thread_exits: self.thread_exits + other.thread_exits,
            oom_kills: self.oom_kills + other.oom_kills,
            moved_in: self.moved_in + other.moved_in,
            moved_out: self.moved_out + other.moved_out,
            untracked: self.untracked + other.untracked,
            late: self.late + other.late,
            tcp_opened: self.tcp_opened + other.tcp_opened,
            tcp_accepted: self.tcp_accepted + other.tcp_accepted,
            tcp_retransmitted: self.tcp_retransmitted + other.tcp_retransmitted,
            tcp_resets_sent: self.tcp_resets_sent + other.tcp_resets_sent,
            tcp_resets_received: self.tcp_resets_received + other.tcp_resets_received,
            #[cfg(feature = "next-layout")]
            appended: self.appended + other.appended,
        }
    }
}

/// How a process ended, from what `wait` would report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Status 0.
    Ok,
    /// Another status.
    Error,
    /// Killed by a signal, with or without a core.
    Signal,
}

impl Exit {
    /// Reads a wait status: signal in the low 7 bits, status in bits 8 to 15 (kernel: `wait_task_zombie`).
    #[must_use]
    #[inline]
    pub const fn from_wait_status(code: u32) -> Self {
        if code & 0x7f != 0 {
            Self::Signal
        } else if code & 0xff00 != 0 {
            Self::Error
        } else {
            Self::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Row};

    #[test]
    fn a_wait_status_has_one_meaning() {
        let table = [(0, Exit::Ok), (7 << 8, Exit::Error), (9, Exit::Signal), (0x80 | 0x0b, Exit::Signal)];
        for (code, exit) in table {
            assert_eq!(Exit::from_wait_status(code), exit, "{code:#x}");
        }
    }

    #[test]
    fn a_sum_adds_every_field() {
        let one = Row { processes: 1, forks: 2, untracked: 3, ..Row::ZERO };
        assert_eq!(one.plus(one), Row { processes: 2, forks: 4, untracked: 6, ..Row::ZERO });
    }
}
