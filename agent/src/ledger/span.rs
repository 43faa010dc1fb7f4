//! Lengths of time as somebody types them: `90s`, `1h30m`, `2d`. Pure.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time: whole seconds, from 1 s to ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

/// A text that is no such length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It has no number where one should be.
    #[error("not a length of time: write it as in 90s, 1h30m or 2d")]
    NotOne,
    /// It is a number of what?
    #[error("{0} of what? write a unit, as in {0}s or {0}m")]
    NoUnit(String),
    /// There is no such unit.
    #[error("no unit {0:?}: there are d, h, m and s")]
    Unit(String),
    /// `30m1h`, `1h1h`.
    #[error("units go from the largest to the smallest, each once, as in 1h30m")]
    Order,
    /// Nothing at all.
    #[error("no time at all; the least is 1s")]
    Zero,
    /// More than ten years.
    #[error("longer than 3650d, which is the most")]
    TooLong,
}

/// Units with their seconds, the largest first.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
/// Seconds of the longest.
const MOST: u64 = 3_650 * 86_400;

impl Span {
    /// So many seconds; `None` where that is none, or more than ten years.
    #[must_use]
    pub fn of(seconds: u64) -> Option<Self> {
        (1..=MOST).contains(&seconds).then_some(Self(seconds))
    }

    /// How long it is.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        if text.is_empty() {
            return Err(SpanError::NotOne);
        }
        let (mut seconds, mut rest, mut units) = (0_u64, text, UNITS.as_slice());
        while !rest.is_empty() {
            let (number, after) = rest.split_at(length_of(rest, |c| c.is_ascii_digit()));
            if number.is_empty() {
                return Err(SpanError::NotOne);
            }
            let (unit, after) = after.split_at(length_of(after, |c| !c.is_ascii_digit()));
            let scale = scale(number, unit, &mut units)?;
            let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
            let sum = part.and_then(|part| seconds.checked_add(part)).filter(|sum| *sum <= MOST);
            seconds = sum.ok_or(SpanError::TooLong)?;
            rest = after;
        }
        if seconds == 0 { Err(SpanError::Zero) } else { Ok(Self(seconds)) }
    }
}

/// Seconds of that unit; `left` are the units that may still follow.
fn scale(number: &str, unit: &str, left: &mut &[(&str, u64)]) -> Result<u64, SpanError> {
    if unit.is_empty() {
        return Err(SpanError::NoUnit(number.chars().take(20).collect()));
    }
    if !UNITS.iter().any(|(name, _)| *name == unit) {
        return Err(SpanError::Unit(unit.chars().take(20).collect()));
    }
    let place = left.iter().position(|(name, _)| *name == unit).ok_or(SpanError::Order)?;
    let (before, after) = left.split_at(place + 1);
    *left = after;
    before.last().map(|(_, scale)| *scale).ok_or(SpanError::Order)
}

/// Bytes of the characters in front that are so.
fn length_of(text: &str, is_so: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_so(c)).unwrap_or(text.len())
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UNITS
            .iter()
            .try_fold(self.0, |left, (unit, scale)| {
                if left >= *scale {
                    write!(f, "{}{unit}", left / scale)?;
                }
                Ok(left % scale)
            })
            .map(|_| ())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("{text:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, SpanError};

    #[test]
    fn what_people_type_is_read_and_shown_again() {
        for (text, seconds, shown) in [
            ("90s", 90, "1m30s"),
            ("1h30m", 5_400, "1h30m"),
            ("2d", 172_800, "2d"),
            ("1d1h1m1s", 90_061, "1d1h1m1s"),
            ("0d5m", 300, "5m"),
            ("007s", 7, "7s"),
            ("1s", 1, "1s"),
            ("3650d", 315_360_000, "3650d"),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.duration().as_secs(), span.to_string()), (seconds, shown.to_owned()), "{text}");
            assert_eq!(shown.parse(), Ok(span));
        }
    }

    #[test]
    fn what_is_no_length_is_told_by_what_is_wrong() {
        let (unit, owned) = (|unit: &str| SpanError::Unit(unit.to_owned()), str::to_owned);
        for (text, error) in [
            ("", SpanError::NotOne),
            ("h", SpanError::NotOne),
            ("-1h", SpanError::NotOne),
            (" 1h", SpanError::NotOne),
            ("٣s", SpanError::NotOne),
            ("10", SpanError::NoUnit(owned("10"))),
            ("1h30", SpanError::NoUnit(owned("30"))),
            ("1H", unit("H")),
            ("1h ", unit("h ")),
            ("1.5h", unit(".")),
            ("5min", unit("min")),
            ("1w", unit("w")),
            ("1s1m", SpanError::Order),
            ("1m1m", SpanError::Order),
            ("0s", SpanError::Zero),
            ("0d0h", SpanError::Zero),
            ("3650d1s", SpanError::TooLong),
            ("18446744073709551615d", SpanError::TooLong),
            ("99999999999999999999999999s", SpanError::TooLong),
        ] {
            assert_eq!(text.parse::<Span>(), Err(error), "{text:?}");
        }
    }
}
