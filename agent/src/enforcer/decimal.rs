//! Decimal numbers as people write them, exactly: digits and a power of ten.

use super::RateError;

/// A number without a sign: `digits` times ten to the power of `exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u128,
    exponent: i32,
}

/// Digits that are read at most, zeros in front and behind a fraction aside: with every unit they fit 128 bits.
const MOST_DIGITS: usize = 20;

impl Decimal {
    /// The number that `text` begins with, as C's `strtod` reads it (`1`, `1.5`, `.5`, `1e6`, `+1`), and what follows.
    pub(super) fn split(text: &str) -> Result<(Self, &str), RateError> {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        let (whole, rest) = leading_digits(unsigned);
        let (part, rest) = rest.strip_prefix('.').map_or(("", rest), leading_digits);
        if whole.is_empty() && part.is_empty() {
            let numeric = |c: char| c.is_ascii_digit() || c == '.';
            let negative = text.strip_prefix('-').is_some_and(|number| number.starts_with(numeric));
            return Err(if negative { RateError::Negative } else { RateError::NoNumber });
        }
        let (power, rest) = exponent(rest)?;
        let whole = whole.trim_start_matches('0');
        let part = part.trim_end_matches('0');
        if whole.len() + part.len() > MOST_DIGITS {
            return Err(RateError::Digits);
        }
        let digits =
            whole.bytes().chain(part.bytes()).fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let behind_point = i32::try_from(part.len()).map_err(|_| RateError::Digits)?;
        Ok((Self { digits, exponent: power - behind_point }, rest))
    }

    /// Whether it is 0.
    pub(super) const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// So many times it, what is behind the point cut off; `None` where that is too much.
    pub(super) fn times(self, scale: u64) -> Option<u64> {
        if self.digits == 0 {
            return Some(0);
        }
        let product = self.digits.checked_mul(scale.into())?;
        let power = 10_u128.checked_pow(self.exponent.unsigned_abs());
        let exact = match power {
            Some(power) if self.exponent >= 0 => product.checked_mul(power)?,
            Some(power) => product / power,
            None if self.exponent < 0 => 0,
            None => return None,
        };
        exact.try_into().ok()
    }
}

fn leading_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// `e6`, `E-3`; an `e` that no number follows belongs to the unit.
fn exponent(text: &str) -> Result<(i32, &str), RateError> {
    let Some(after) = text.strip_prefix(['e', 'E']) else { return Ok((0, text)) };
    let (sign, after) = match after.strip_prefix('-') {
        Some(after) => (-1, after),
        None => (1, after.strip_prefix('+').unwrap_or(after)),
    };
    let (digits, rest) = leading_digits(after);
    if digits.is_empty() {
        return Ok((0, text));
    }
    match digits.parse::<i32>() {
        Ok(power) if power <= 99 => Ok((sign * power, rest)),
        _ => Err(RateError::Digits),
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, RateError};

    #[test]
    fn numbers_are_exact() {
        for (text, scale, expected) in [
            ("1", 1_000, Some(1_000)),
            ("007", 1, Some(7)),
            ("1.5", 1_000, Some(1_500)),
            (".5", 1_000, Some(500)),
            ("5.", 1_000, Some(5_000)),
            ("+5", 1, Some(5)),
            ("0.1", 1_000_000_000_000, Some(100_000_000_000)),
            ("1.0009", 1_000, Some(1_000)),
            ("0.3", 1_024, Some(307)),
            ("1e6", 1, Some(1_000_000)),
            ("1.5E+6", 1, Some(1_500_000)),
            ("15e-1", 10, Some(15)),
            ("1e-99", 1_000, Some(0)),
            ("0e99", 1_000, Some(0)),
            ("1e99", 1, None),
            ("18446744073709551615", 1, Some(u64::MAX)),
            ("18446744073709551616", 1, None),
            ("99999999999999999999", 1 << 60, None),
            ("1.000000000000000000000000000000000000000000000000000", 1, Some(1)),
            ("0.12345678901234567890", 1_000_000_000_000_000_000, Some(123_456_789_012_345_678)),
            ("9.9999999999999999999", 1 << 60, Some(11_529_215_046_068_469_759)),
        ] {
            let (number, rest) = Decimal::split(text).expect(text);
            assert_eq!((number.times(scale), rest), (expected, ""), "{text}");
        }
    }

    #[test]
    fn what_follows_is_left() {
        for (text, rest) in
            [("1e", "e"), ("1E", "E"), ("1Ei", "Ei"), ("1e+x", "e+x"), ("1..5", ".5"), ("1 k", " k")]
        {
            assert_eq!(Decimal::split(text).expect(text).1, rest);
        }
    }

    #[test]
    fn what_is_no_number_is_told() {
        for (text, expected) in [
            ("", RateError::NoNumber),
            (".", RateError::NoNumber),
            ("+", RateError::NoNumber),
            ("-", RateError::NoNumber),
            ("--1", RateError::NoNumber),
            ("-1", RateError::Negative),
            ("-.5k", RateError::Negative),
            ("x1", RateError::NoNumber),
            ("e6", RateError::NoNumber),
            ("inf", RateError::NoNumber),
            ("1e100", RateError::Digits),
            ("1e99999999999", RateError::Digits),
            ("123456789012345678901", RateError::Digits),
            ("0.123456789012345678901", RateError::Digits),
        ] {
            assert_eq!(Decimal::split(text), Err(expected), "{text}");
        }
    }
}
