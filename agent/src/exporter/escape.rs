//! Makes strings from outside safe for a page of metrics: bounded, escaped. Never asks what they mean.

use crate::inventory::{MAX_BYTES, bounded};

/// Appends a label's value, bounded and escaped as the text format 0.0.4 asks: `\\`, `\"` and `\n`.
pub fn push_value(out: &mut String, raw: &str) {
    let text = bounded(raw);
    // Looks at every byte, so that the compiler looks at many at once; nearly all values end here.
    if !text.bytes().fold(false, |any, byte| any | needs_escape(byte)) {
        return out.push_str(&text);
    }
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' | '"' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
}

const fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'\\' | b'"' | b'\n')
}

/// Appends a container label's key as part of a metric label's name, as cAdvisor writes it: `[^a-zA-Z0-9_]` becomes `_`.
pub fn push_label_name(out: &mut String, key: &str) {
    out.extend(key.chars().take(MAX_BYTES).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(raw: &str) -> String {
        let mut out = String::new();
        push_value(&mut out, raw);
        out
    }

    #[test]
    fn quotes_backslashes_and_newlines_are_escaped() {
        assert_eq!(value("plain é \0 \r"), "plain é \0 \r");
        assert_eq!(value("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
        assert_eq!(value("\n\n\""), r#"\n\n\""#);
        assert_eq!(value(""), "");
    }

    #[test]
    fn no_value_is_longer_than_its_bound() {
        assert_eq!(value(&"x".repeat(MAX_BYTES)).len(), MAX_BYTES);
        assert_eq!(value(&"\"".repeat(MAX_BYTES)).len(), 2 * MAX_BYTES);
        for raw in ["x".repeat(257), "é".repeat(5_000), "\0".repeat(10_000)] {
            assert!(value(&raw).len() <= MAX_BYTES, "{raw}");
        }
    }

    #[test]
    fn label_names_are_those_of_cadvisor() {
        let name = |key: &str| {
            let mut name = String::from("container_label_");
            push_label_name(&mut name, key);
            name.split_off("container_label_".len())
        };
        assert_eq!(name("com.docker.compose/project-é"), "com_docker_compose_project__");
        assert_eq!(name("A_b9"), "A_b9");
        assert_eq!(name(&".".repeat(10_000)).len(), MAX_BYTES);
    }
}
