//! One process in one word: which cgroup it is in, and how many live threads it has.
//! Both change together, by one atomic operation, so no lock is needed.

/// The key of a cgroup: the low half of its kernfs id, unique among live cgroups of one hierarchy.
#[must_use]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
pub const fn cgroup_key(id: u64) -> u32 {
    id as u32
}

/// Cgroup (low 32 bits of its id) above, live threads below. 0 is no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// A process with `threads` live threads in `cgroup`.
    #[must_use]
    #[inline]
    pub const fn new(cgroup: u32, threads: u32) -> Self {
        Self((cgroup as u64) << 32 | threads as u64)
    }

    /// The key of its cgroup.
    #[must_use]
    #[inline]
    pub const fn cgroup(self) -> u32 {
        cgroup_key(self.0 >> 32)
    }

    /// Its live threads.
    #[must_use]
    #[inline]
    pub const fn threads(self) -> u32 {
        cgroup_key(self.0)
    }

    /// The same threads in another cgroup.
    #[must_use]
    #[inline]
    pub const fn moved_to(self, cgroup: u32) -> Self {
        Self::new(cgroup, self.threads())
    }
}

#[cfg(test)]
mod tests {
    use super::Word;

    #[test]
    fn both_halves_come_back() {
        for (cgroup, threads) in [(0, 0), (1, 1), (u32::MAX, u32::MAX), (7, 0), (u32::MAX, 1)] {
            let word = Word::new(cgroup, threads);
            assert_eq!((word.cgroup(), word.threads()), (cgroup, threads));
        }
    }

    #[test]
    fn a_thread_more_is_one_added_to_the_word() {
        assert_eq!(Word(Word::new(9, 3).0 + 1), Word::new(9, 4));
        assert_eq!(Word::new(9, 4).moved_to(2), Word::new(2, 4));
    }
}
