//! Names with `*` and `?`. A match takes at most as many steps as pattern and text have pairs of characters.

use std::{fmt, str::Chars};

use crate::inventory::MAX_BYTES;

/// A pattern that a whole name is held against: `*` stands for any characters, also none and also `/`, `?` for one.
/// Everything else, case included, stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(Box<str>);

/// A pattern that nothing can match, or that does not mean what it seems to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// No name is empty.
    #[error("an empty pattern matches nothing; \"*\" matches every name")]
    Empty,
    /// Names from outside are cut to [`MAX_BYTES`].
    #[error("longer than {MAX_BYTES} bytes, and no name is")]
    TooLong,
    /// A set or a choice, as shells have it.
    #[error("{0:?} has no meaning here: only * and ? have; write a list of patterns where several are meant")]
    Special(char),
    /// Not in any name.
    #[error("{0:?} is in no name")]
    Control(char),
}

impl Glob {
    /// A pattern for names, images and paths. Brackets and braces are refused: they look like a choice.
    ///
    /// # Errors
    /// It can match nothing, or does not mean what it seems to.
    pub fn new(pattern: &str) -> Result<Self, GlobError> {
        if pattern.is_empty() {
            return Err(GlobError::Empty);
        }
        if let Some(special) = pattern.chars().find(|c| matches!(c, '[' | ']' | '{' | '}')) {
            return Err(GlobError::Special(special));
        }
        if let Some(control) = pattern.chars().find(|c| c.is_control()) {
            return Err(GlobError::Control(control));
        }
        Self::of_value(pattern)
    }

    /// A pattern for values of labels, which may be empty and hold anything.
    ///
    /// # Errors
    /// It is too long.
    pub fn of_value(pattern: &str) -> Result<Self, GlobError> {
        if pattern.len() > MAX_BYTES {
            return Err(GlobError::TooLong);
        }
        Ok(Self(pattern.into()))
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` is what the pattern says.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut steps = 0;
        matches(self.0.chars(), text.chars(), &mut steps)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Only the last `*` is ever taken back: what an earlier one took is the least that it could.
fn matches(mut pattern: Chars<'_>, mut text: Chars<'_>, steps: &mut usize) -> bool {
    // Behind the last star, and where the text for that begins.
    let mut star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        *steps += 1;
        let (mut pattern_rest, mut text_rest) = (pattern.clone(), text.clone());
        match (pattern_rest.next(), text_rest.next()) {
            (Some('*'), _) => {
                pattern = pattern_rest;
                star = Some((pattern.clone(), text.clone()));
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                (pattern, text) = (pattern_rest, text_rest);
            }
            (None, None) => return true,
            _ => {
                // The last star takes one more.
                let Some((behind, from)) = &mut star else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, text) = (behind.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Glob, GlobError, matches};
    use crate::enforcer::random::Random;

    fn glob(pattern: &str) -> Glob {
        Glob::new(pattern).expect(pattern)
    }

    #[test]
    fn a_pattern_is_held_against_the_whole_name() {
        for (pattern, matching, others) in [
            ("web", vec!["web"], vec!["", "we", "webb", "aweb", "Web"]),
            ("web*", vec!["web", "web-1", "web/1"], vec!["", "we", "aweb"]),
            ("*web", vec!["web", "a-web", "webweb"], vec!["webs", "we"]),
            ("*", vec!["", "a", "é", "*"], vec![]),
            ("**", vec!["", "a"], vec![]),
            ("?", vec!["a", "é", "?", "*"], vec!["", "ab"]),
            ("?*", vec!["a", "ab"], vec![""]),
            ("a*b*c", vec!["abc", "aabbcc", "abcbc"], vec!["acb", "ab", "abcd"]),
            ("*ab?c*", vec!["abxc", "ababxc!", "xabxc"], vec!["abc", "abxxc"]),
            ("registry.example/*/nginx:1.?", vec!["registry.example/a/b/nginx:1.9"], vec!["nginx:1.9"]),
            ("a\\x2db*", vec!["a\\x2db.scope"], vec!["a-b.scope"]),
        ] {
            let glob = glob(pattern);
            for name in matching {
                assert!(glob.matches(name), "{pattern} should match {name:?}");
            }
            for name in others {
                assert!(!glob.matches(name), "{pattern} should not match {name:?}");
            }
        }
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        for (pattern, expected) in [
            (String::new(), GlobError::Empty),
            ("x".repeat(257), GlobError::TooLong),
            ("web-[0-9]".into(), GlobError::Special('[')),
            ("web-{a,b}".into(), GlobError::Special('{')),
            ("a]".into(), GlobError::Special(']')),
            ("a\nb".into(), GlobError::Control('\n')),
        ] {
            assert_eq!(Glob::new(&pattern), Err(expected), "{pattern:?}");
        }
        assert!(Glob::new(&"x".repeat(256)).is_ok());
        assert!(Glob::of_value("").expect("an empty value").matches(""));
        assert!(Glob::of_value("[{}]").expect("a value").matches("[{}]"));
        assert_eq!(Glob::of_value(&"x".repeat(257)), Err(GlobError::TooLong));
    }

    /// By the definition, as slow as it likes.
    fn oracle(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], text) => (0..=text.len()).any(|taken| oracle(rest, &text[taken..])),
            (['?', pattern @ ..], [_, text @ ..]) => oracle(pattern, text),
            ([wanted, pattern @ ..], [found, text @ ..]) => wanted == found && oracle(pattern, text),
            _ => false,
        }
    }

    #[test]
    fn it_matches_what_the_definition_matches() {
        let mut random = Random::new(0x61_0b);
        let mut matched = 0;
        for _ in 0..100_000 {
            let pattern: Vec<char> =
                (0..random.below(8)).map(|_| random.one_of(&['a', 'b', '*', '?'])).collect();
            let text: Vec<char> =
                (0..random.below(9)).map(|_| random.one_of(&['a', 'b', '*', 'é'])).collect();
            let glob = Glob::of_value(&pattern.iter().collect::<String>()).expect("short");
            let expected = oracle(&pattern, &text);
            matched += u32::from(expected);
            assert_eq!(glob.matches(&text.iter().collect::<String>()), expected, "{pattern:?} {text:?}");
        }
        assert!((5_000..95_000).contains(&matched), "{matched} of 100000 matched");
    }

    #[test]
    fn no_pattern_takes_more_steps_than_there_are_pairs() {
        for (pattern, text) in [
            ("*a".repeat(100) + "b", "a".repeat(256)),
            ("*".to_owned() + &"a".repeat(120) + "b", "a".repeat(256)),
            ("*?".repeat(100) + "b", "a".repeat(256)),
        ] {
            let mut steps = 0;
            assert!(!matches(pattern.chars(), text.chars(), &mut steps));
            assert!(steps <= (pattern.len() + 1) * (text.len() + 1), "{steps} steps for {pattern}");
        }
    }
}
