//! No file is longer than a reader can hold. Functions are measured by clippy.

use super::Source;

const MOST_LINES: usize = 400;

/// The files that are too long.
pub fn broken(sources: &[Source]) -> Vec<String> {
    let too_long = |(path, text): &Source| {
        let lines = text.lines().count();
        (lines > MOST_LINES).then(|| format!("{}: {lines} lines, at most {MOST_LINES}", path.display()))
    };
    sources.iter().filter_map(too_long).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_told_with_its_length() {
        let sources = [("a.rs".into(), "\n".repeat(400)), ("b.rs".into(), "\n".repeat(401))];
        assert_eq!(broken(&sources), ["b.rs: 401 lines, at most 400"]);
    }
}
