//! Holds every process that we know against the kernel's own list. A difference counts only when three passes see the
//! same one: a process whose threads are just being born or ending differs for a moment, and may do so again. Pure.

use std::collections::{HashMap, HashSet};

use plimsoll_common::{seen::Seen, word::Word};

/// A word that is wrong: `from` is ours, `to` the kernel's; 0 is no process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Correction {
    /// The process.
    pub tgid: u32,
    /// Our word.
    pub from: u64,
    /// The kernel's.
    pub to: u64,
}

/// What one pass found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Differences that enough passes agree on.
    pub corrections: Vec<Correction>,
    /// Whether another pass should follow soon.
    pub suspects: bool,
    /// Cgroups with processes that found no room in the map.
    pub untracked: HashSet<u32>,
}

/// What is remembered from one pass to the next.
#[derive(Debug, Default)]
pub struct Audit {
    /// Differences, and how many passes in a row saw them.
    suspects: HashMap<Correction, u32>,
}

/// Passes that must agree.
const AGREE: u32 = 3;

impl Audit {
    /// One pass. `ours` was read before `seen`; `elsewhere` are processes that only /proc lists, with their words.
    pub fn pass(&mut self, ours: &[(u32, u64)], seen: &[Seen], elsewhere: &HashMap<u32, u64>) -> Findings {
        let listed: HashSet<u32> = seen.iter().map(|record| record.tgid).collect();
        let known: HashSet<u32> = ours.iter().map(|(tgid, _)| *tgid).collect();
        let wrong = seen.iter().filter(|record| record.ours != 0 && record.ours != record.kernel);
        let wrong =
            wrong.map(|record| Correction { tgid: record.tgid, from: record.ours, to: record.kernel });
        let stale = ours.iter().filter(|(tgid, _)| !listed.contains(tgid) && !elsewhere.contains_key(tgid));
        let stale = stale.map(|(tgid, word)| Correction { tgid: *tgid, from: *word, to: 0 });
        let holes = elsewhere.iter().filter(|(tgid, _)| !known.contains(tgid) && !listed.contains(tgid));
        let holes = holes.map(|(tgid, word)| Correction { tgid: *tgid, from: 0, to: *word });
        let found: HashSet<_> = wrong.chain(stale).chain(holes).collect();
        let times = |suspect: &Correction| 1 + self.suspects.get(suspect).copied().unwrap_or_default();
        let (sure, unsure): (Vec<_>, Vec<_>) = found
            .into_iter()
            .map(|suspect| (suspect, times(&suspect)))
            .partition(|(_, times)| *times >= AGREE);
        let corrections = sure.into_iter().map(|(correction, _)| correction).collect();
        self.suspects = unsure.into_iter().collect();
        let untracked = seen.iter().filter(|record| record.ours == 0 && record.kernel != 0);
        let untracked = untracked.map(|record| Word(record.kernel).cgroup());
        Findings { corrections, suspects: !self.suspects.is_empty(), untracked: untracked.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Audit, Correction, HashMap, Seen, Word};

    fn seen(tgid: u32, ours: u64, kernel: u64) -> Seen {
        Seen { kernel, ours, tgid, pad: 0 }
    }

    #[test]
    fn a_difference_is_corrected_when_three_passes_agree() {
        let (ours, kernel) = (Word::new(7, 2).0, Word::new(7, 1).0);
        let mut audit = Audit::default();
        let pass =
            |audit: &mut Audit, kernel| audit.pass(&[(1, ours)], &[seen(1, ours, kernel)], &HashMap::new());
        let first = pass(&mut audit, kernel);
        assert!(first.corrections.is_empty() && first.suspects);
        assert!(pass(&mut audit, Word::new(7, 3).0).corrections.is_empty(), "another difference");
        assert!(pass(&mut audit, Word::new(7, 3).0).corrections.is_empty(), "the second time");
        let last = pass(&mut audit, Word::new(7, 3).0);
        assert_eq!(last.corrections, [Correction { tgid: 1, from: ours, to: Word::new(7, 3).0 }]);
        assert!(!last.suspects);
    }

    #[test]
    fn what_only_we_know_is_deleted_and_what_only_proc_knows_is_entered() {
        let word = Word::new(7, 1).0;
        let mut audit = Audit::default();
        let hole = HashMap::from([(2, word)]);
        audit.pass(&[(1, word)], &[], &hole);
        audit.pass(&[(1, word)], &[], &hole);
        let mut corrections = audit.pass(&[(1, word)], &[], &hole).corrections;
        corrections.sort_unstable_by_key(|correction| correction.tgid);
        let expected = [Correction { tgid: 1, from: word, to: 0 }, Correction { tgid: 2, from: 0, to: word }];
        assert_eq!(corrections, expected);
    }

    #[test]
    fn a_process_that_the_iterator_skips_but_proc_lists_stays() {
        let word = Word::new(1, 13).0;
        let mut audit = Audit::default();
        for _ in 0..3 {
            assert_eq!(
                audit.pass(&[(1, word)], &[], &HashMap::from([(1, word)])),
                super::Findings::default()
            );
        }
    }

    #[test]
    fn a_zombie_is_known_and_has_no_entry() {
        let word = Word::new(7, 1).0;
        let mut audit = Audit::default();
        let findings = audit.pass(&[], &[seen(1, 0, 0)], &HashMap::new());
        assert_eq!(findings, super::Findings::default());
        audit.pass(&[(1, word)], &[seen(1, word, 0)], &HashMap::new());
        audit.pass(&[(1, word)], &[seen(1, word, 0)], &HashMap::new());
        let findings = audit.pass(&[(1, word)], &[seen(1, word, 0)], &HashMap::new());
        assert_eq!(findings.corrections, [Correction { tgid: 1, from: word, to: 0 }]);
    }

    #[test]
    fn processes_without_room_name_their_cgroups() {
        let findings = Audit::default().pass(&[], &[seen(1, 0, Word::new(7, 1).0)], &HashMap::new());
        assert_eq!(findings.untracked, [7].into());
    }
}
