//! Rates: read as tc and Kubernetes spell them, shown as tc does. Whole numbers only, nothing is rounded up.

use std::{borrow::Cow, fmt, str::FromStr};

use super::{decimal::Decimal, nearest::hint};

/// A rate on the wire, within what can be held: [`BitsPerSecond::LEAST`] to [`BitsPerSecond::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitsPerSecond(u64);

/// A text or a number that is no such rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// It does not begin with a number.
    #[error("no number in front; write a rate as in \"10mbit\"")]
    NoNumber,
    /// It has a comma.
    #[error("a fraction is written with a point, as in \"1.5mbit\"")]
    Comma,
    /// Less than nothing.
    #[error("a rate is not negative; leave it out where there shall be no limit")]
    Negative,
    /// Nothing at all.
    #[error("at rate 0 nothing passes; leave it out where there shall be no limit")]
    Zero,
    /// More digits than are read.
    #[error("more digits than a rate has")]
    Digits,
    /// Neither tc nor Kubernetes has that unit.
    #[error("no unit {unit:?}{hint}")]
    Unit {
        /// What stands behind the number.
        unit: String,
        /// What may have been meant, as the end of a sentence.
        hint: String,
    },
    /// A part of a link's speed, which tc takes and we do not.
    #[error("a percentage of what? write a rate as in \"10mbit\"")]
    Percentage,
    /// Kubernetes' thousandth and smaller.
    #[error("{unit:?} is a small part of a bit in Kubernetes' spelling{hint}")]
    Part {
        /// The suffix.
        unit: String,
        /// What may have been meant, as the end of a sentence.
        hint: String,
    },
    /// Below what can be held.
    #[error("less than {least}, which is the least that can be held{hint}", least = BitsPerSecond::LEAST)]
    TooSmall {
        /// What may have been meant, as the end of a sentence.
        hint: String,
    },
    /// Above what can be held.
    #[error("more than {most}, which is the most that can be held", most = BitsPerSecond::MOST)]
    TooLarge,
}

/// tc's units, in any case: bits that one stands for (tc(8), UNITS; iproute2 `lib/utils_math.c`).
const TC: [(&str, u64); 18] = [
    ("bit", 1),
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
    ("tbit", 1_000_000_000_000),
    ("kibit", 1 << 10),
    ("mibit", 1 << 20),
    ("gibit", 1 << 30),
    ("tibit", 1 << 40),
    ("bps", 8),
    ("kbps", 8_000),
    ("mbps", 8_000_000),
    ("gbps", 8_000_000_000),
    ("tbps", 8_000_000_000_000),
    ("kibps", 8 << 10),
    ("mibps", 8 << 20),
    ("gibps", 8 << 30),
    ("tibps", 8 << 40),
];

/// Kubernetes' suffixes, in this case only (apimachinery, `resource.Quantity`); a bandwidth is in bits.
const KUBERNETES: [(&str, u64); 13] = [
    ("", 1),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
];

/// Suffixes of Kubernetes that make a number smaller.
const PARTS: [&str; 3] = ["m", "u", "n"];

impl BitsPerSecond {
    /// The least that can be held: a packet of 1,500 bytes every 1.5 s.
    pub const LEAST: Self = Self(8_000);
    /// The most that is taken for meant.
    pub const MOST: Self = Self(1_000_000_000_000);

    /// That many bits per second.
    ///
    /// # Errors
    /// It cannot be held.
    pub fn new(bits: u64) -> Result<Self, RateError> {
        match bits {
            0 => Err(RateError::Zero),
            bits if bits < Self::LEAST.0 => Err(RateError::TooSmall { hint: String::new() }),
            bits if bits > Self::MOST.0 => Err(RateError::TooLarge),
            bits => Ok(Self(bits)),
        }
    }

    /// How many bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// How many whole bytes, as the kernel's shapers count.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 / 8
    }
}

/// Whether `text` gives its rate in bytes: `10mbps` is 80 Mbit/s to tc, which not everybody knows.
#[must_use]
pub fn is_in_bytes(text: &str) -> bool {
    text.get(text.len().saturating_sub(3)..).is_some_and(|end| end.eq_ignore_ascii_case("bps"))
}

impl FromStr for BitsPerSecond {
    type Err = RateError;

    /// A number, with a fraction or an exponent if need be, and a unit, blanks between them or not. Without a unit, bits per
    /// second. A fraction of a bit is cut off, as tc does.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let (number, rest) = Decimal::split(text)?;
        let unit = rest.trim_start_matches(' ');
        let scale = scale(unit)?;
        match number.times(scale).map_or(Err(RateError::TooLarge), Self::new) {
            Err(RateError::TooSmall { .. }) => Err(RateError::TooSmall { hint: missing_unit(text, unit) }),
            Err(RateError::Zero) if !number.is_zero() => {
                Err(RateError::TooSmall { hint: missing_unit(text, unit) })
            }
            result => result,
        }
    }
}

/// Bits that one of that unit stands for.
fn scale(unit: &str) -> Result<u64, RateError> {
    let of_tc = TC.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    if let Some((_, scale)) = of_tc.or_else(|| KUBERNETES.iter().find(|(name, _)| *name == unit)) {
        return Ok(*scale);
    }
    Err(match unit {
        unit if unit.starts_with('%') => RateError::Percentage,
        unit if unit.starts_with(',') => RateError::Comma,
        unit if PARTS.contains(&unit) => {
            RateError::Part { unit: unit.to_owned(), hint: hint(unit, names(&KUBERNETES)) }
        }
        unit => RateError::Unit {
            unit: shortened(unit).into_owned(),
            hint: hint(&likely(unit), names(&TC).chain(names(&KUBERNETES))),
        },
    })
}

fn names<'a>(units: &'a [(&'a str, u64)]) -> impl Iterator<Item = &'a str> {
    units.iter().map(|(name, _)| *name).filter(|name| !name.is_empty())
}

/// `mbit/s` as `mbit`, and `Mb` too: no unit is near enough to it to be found.
fn likely(unit: &str) -> String {
    let lower = unit.to_ascii_lowercase();
    let bare = lower.strip_suffix("/s").unwrap_or(&lower);
    match bare {
        "kb" | "mb" | "gb" | "tb" => format!("{bare}it"),
        _ => bare.to_owned(),
    }
}

/// A unit as an error may show it.
fn shortened(unit: &str) -> Cow<'_, str> {
    const MOST: usize = 32;
    match unit.char_indices().nth(MOST) {
        None => Cow::Borrowed(unit),
        Some((end, _)) => Cow::Owned(format!("{}…", unit.split_at(end).0)),
    }
}

/// Whoever writes 10 means 10 of something.
fn missing_unit(text: &str, unit: &str) -> String {
    if unit.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!(" (without a unit, it is bits per second); did you mean \"{text}mbit\"?");
    }
    String::new()
}

impl fmt::Display for BitsPerSecond {
    /// The shortest spelling of tc that says exactly this rate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = (0..=4_u32).zip(["bit", "kbit", "mbit", "gbit", "tbit"]);
        let decimal = decimal.filter_map(|(thousands, unit)| decimal_form(self.0, thousands, unit));
        let binary = (1..=4_u32).zip(["kibit", "mibit", "gibit", "tibit"]);
        let binary = binary.filter_map(|(kibis, unit)| {
            let scale = 1_u64 << (10 * kibis);
            self.0.is_multiple_of(scale).then(|| format!("{}{unit}", self.0 / scale))
        });
        f.pad(&decimal.chain(binary).min_by_key(String::len).unwrap_or_default())
    }
}

/// `bits` in thousands to that power, with a fraction if need be; `None` below 1 of it.
fn decimal_form(bits: u64, thousands: u32, unit: &str) -> Option<String> {
    let scale = 1_000_u64.pow(thousands);
    let (whole, part) = (bits / scale, bits % scale);
    if whole == 0 {
        return None;
    }
    if part == 0 {
        return Some(format!("{whole}{unit}"));
    }
    let width = usize::try_from(3 * thousands).ok()?;
    let digits = format!("{part:0width$}");
    Some(format!("{whole}.{}{unit}", digits.trim_end_matches('0')))
}

#[cfg(test)]
mod tests;
