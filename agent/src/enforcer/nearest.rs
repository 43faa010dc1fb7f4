//! What somebody meant who wrote a word that does not exist.

/// Longer words are not compared: nobody mistypes one.
const MOST_CHARS: usize = 64;

/// The candidate that differs least from `word`, in any case; `None` where all differ too much.
///
/// Of several, one that begins alike, and of those the first.
/// Two letters exchanged are one difference, as are one too many, one missing and a wrong one.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = lower(word);
    if word.is_empty() || word.len() > MOST_CHARS {
        return None;
    }
    let most = (word.len() + 1) / 3;
    let compared = candidates.into_iter().filter_map(|candidate| {
        let letters = lower(candidate);
        let distance = distance(&word, &letters);
        let near = distance <= most && distance < letters.len();
        near.then(|| ((distance, letters.first() != word.first()), candidate))
    });
    compared.min_by_key(|(rank, _)| *rank).map(|(_, candidate)| candidate)
}

/// The end of a sentence that says so: `; did you mean "mbit"?`, or nothing.
#[must_use]
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |it| format!("; did you mean {it:?}?"))
}

fn lower(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment, row by row.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let mut last = None;
    for (done, char) in from.iter().enumerate() {
        let next = next_row(Step { done, char, last }, &before, &row, to);
        (before, row) = (row, next);
        last = Some(char);
    }
    row.last().copied().unwrap_or_default()
}

/// One more character of the first word.
#[derive(Clone, Copy)]
struct Step<'a> {
    /// How many there were before.
    done: usize,
    char: &'a char,
    /// The one before.
    last: Option<&'a char>,
}

fn next_row(step: Step<'_>, before: &[usize], row: &[usize], to: &[char]) -> Vec<usize> {
    let Step { done, char, last } = step;
    let mut next = vec![done + 1];
    let (mut left, mut above_left) = (done + 1, done);
    for (at, other) in to.iter().enumerate() {
        let above = row.get(at + 1).copied().unwrap_or(usize::MAX - 1);
        let mut least = (above_left + usize::from(char != other)).min(above + 1).min(left + 1);
        let exchanged = at > 0 && last == Some(other) && to.get(at - 1) == Some(char);
        if let Some(two_back) = at.checked_sub(1).and_then(|at| before.get(at)).filter(|_| exchanged) {
            least = least.min(two_back + 1);
        }
        next.push(least);
        (left, above_left) = (least, above);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::{distance, hint, lower, nearest};

    #[test]
    fn differences_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("mbit", "mbit", 0),
            ("mbti", "mbit", 1),
            ("egres", "egress", 1),
            ("egresss", "egress", 1),
            ("agress", "egress", 1),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
            ("abcd", "badc", 2),
        ] {
            assert_eq!(distance(&lower(from), &lower(to)), expected, "{from} {to}");
            assert_eq!(distance(&lower(to), &lower(from)), expected, "{to} {from}");
        }
    }

    #[test]
    fn the_least_different_is_meant_or_none() {
        let keys = ["pids", "egress", "ingress", "k"];
        for (word, expected) in [
            ("pid", Some("pids")),
            ("PIDS", Some("pids")),
            ("egerss", Some("egress")),
            ("igress", Some("ingress")),
            ("K", Some("k")),
            ("x", None),
            ("", None),
            ("bandwidth", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), keys), None);
        assert_eq!(hint("pdis", keys), "; did you mean \"pids\"?");
        assert_eq!(hint("xxxx", keys), "");
    }
}
