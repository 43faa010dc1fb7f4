//! The parameters of a request's target: `?since=10m&container=web`. Pure.

use std::fmt::Write as _;

/// A query that says what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such parameter.
    #[error("no parameter {name:?}: there are {known}")]
    Unknown {
        /// Its name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It says something twice.
    #[error("parameter {0:?} is there twice")]
    Twice(&'static str),
    /// It holds a `%` that no two hexadecimal digits follow, or bytes that are not UTF-8.
    #[error("{0:?} is not percent-encoded UTF-8")]
    Encoding(String),
}

/// The values of those parameters, each there once at most, and no others. `&name&` has the value `""`.
///
/// # Errors
/// See [`QueryError`].
pub fn parameters<const N: usize>(
    query: Option<&str>,
    known: [&'static str; N],
) -> Result<[Option<String>; N], QueryError> {
    let mut values = [const { None }; N];
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name)?;
        let places = known.iter().zip(&mut values);
        let Some((name, place)) = places.into_iter().find(|(known, _)| **known == name) else {
            return Err(QueryError::Unknown { name, known: known.join(", ") });
        };
        if place.replace(decoded(value)?).is_some() {
            return Err(QueryError::Twice(name));
        }
    }
    Ok(values)
}

fn decoded(text: &str) -> Result<String, QueryError> {
    let wrong = || QueryError::Encoding(text.to_owned());
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        (bytes, rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let both = digit(high).zip(digit(low)).ok_or_else(wrong)?;
                bytes.push(u8::try_from(both.0 << 4 | both.1).map_err(|_| wrong())?);
                (bytes, after)
            }
            (b'%', _) => return Err(wrong()),
            (b'+', after) => {
                bytes.push(b' ');
                (bytes, after)
            }
            (byte, after) => {
                bytes.push(*byte);
                (bytes, after)
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Text as the value of a parameter.
#[must_use]
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}"); // to a String: cannot fail
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::{QueryError, encoded, parameters};

    #[test]
    fn known_parameters_are_found_in_any_order() {
        let [a, b, c] = parameters(Some("c=%C3%A9+x&a=&&b"), ["a", "b", "c"]).expect("a query");
        assert_eq!(
            (a.as_deref(), b.as_deref(), c.as_deref()),
            (Some(""), Some(""), Some("é x")),
            "an absent value is an empty one"
        );
        assert_eq!(parameters(None, ["a"]), Ok([None]));
        assert_eq!(parameters(Some(""), ["a"]), Ok([None]));
    }

    #[test]
    fn what_cannot_be_is_told() {
        let unknown = QueryError::Unknown { name: "x".to_owned(), known: "a, b".to_owned() };
        for (query, expected) in [
            ("a=1&x=2", unknown),
            ("a=1&a=1", QueryError::Twice("a")),
            ("a=%", QueryError::Encoding("%".to_owned())),
            ("a=%4", QueryError::Encoding("%4".to_owned())),
            ("a=%zz", QueryError::Encoding("%zz".to_owned())),
            ("a=%+1", QueryError::Encoding("%+1".to_owned())),
            ("a=%ff", QueryError::Encoding("%ff".to_owned())),
        ] {
            assert_eq!(parameters(Some(query), ["a", "b"]), Err(expected), "{query}");
        }
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        for text in ["web", "a b&c=d%", "é\u{202e}\n\0", ""] {
            let query = format!("a={}", encoded(text));
            assert!(query.bytes().all(|byte| byte.is_ascii_graphic()), "{query}");
            assert_eq!(parameters(Some(&query), ["a"]), Ok([Some(text.to_owned())]));
        }
    }
}
