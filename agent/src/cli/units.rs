//! Numbers as somebody reads them. Pure.

use std::time::UNIX_EPOCH;

use time::OffsetDateTime;

use crate::ledger::moment;

/// Bytes in decimal units, with one decimal above 999: `980 B`, `12.3 kB`, `4.0 GB`.
pub(super) fn bytes(bytes: f64) -> String {
    if bytes < 999.5 {
        return format!("{bytes:.0} B");
    }
    let (mut scaled, mut unit) = (bytes / 1_000.0, "kB");
    for larger in ["MB", "GB", "TB", "PB"] {
        // What would be written as 1000.0.
        if scaled < 999.95 {
            break;
        }
        (scaled, unit) = (scaled / 1_000.0, larger);
    }
    format!("{scaled:.1} {unit}")
}

/// Seconds in the largest unit that is not 0.
pub(super) fn age(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let found = units.iter().find(|(size, _)| seconds >= *size);
    let (size, unit) = found.copied().unwrap_or((1.0, "s"));
    format!("{:.0}{unit}", (seconds.max(0.0) / size).floor())
}

/// The time of day in UTC at so many seconds since 1970: `14:05:03`.
pub(super) fn time_of_day(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}")
}

/// A moment in UTC, so many seconds after 1970: `2026-11-25T14:05:03Z`.
pub(super) fn moment(seconds: f64) -> String {
    let whole = moment::moment(seconds).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let date = i64::try_from(whole).ok().and_then(|whole| OffsetDateTime::from_unix_timestamp(whole).ok());
    let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}T{}Z", time_of_day(whole))
}

/// Bits per second as tc spells them, exactly: `10mbit`, `1.5gbit`.
pub(super) fn rate(bits: u64) -> String {
    let units = ["bit", "kbit", "mbit", "gbit", "tbit"];
    let scaled = (0..).zip(units).map(|(thousands, unit)| (1_000_u64.pow(thousands), unit));
    let (scale, unit) = scaled.filter(|(scale, _)| bits >= *scale).last().unwrap_or((1, "bit"));
    let (whole, part) = (bits / scale, bits % scale);
    let digits = scale.ilog10() as usize;
    let part = format!("{part:0digits$}");
    let part = if scale == 1 { "" } else { part.trim_end_matches('0') };
    if part.is_empty() { format!("{whole}{unit}") } else { format!("{whole}.{part}{unit}") }
}

/// The number with its first three digits, the others 0.
pub(super) fn about(number: u64) -> u64 {
    let scale = 10_u64.pow(number.checked_ilog10().unwrap_or_default().saturating_sub(2));
    number.saturating_add(scale / 2) / scale * scale
}

#[cfg(test)]
mod tests {
    use super::{about, age, bytes, moment, rate, time_of_day};

    #[test]
    fn rates_are_exact_and_what_is_used_has_three_digits() {
        for (bits, exact, rounded) in [
            (0, "0bit", "0bit"),
            (999, "999bit", "999bit"),
            (8_000, "8kbit", "8kbit"),
            (10_000_000, "10mbit", "10mbit"),
            (1_500_000_000, "1.5gbit", "1.5gbit"),
            (1_234_567, "1.234567mbit", "1.23mbit"),
            (1_000_001, "1.000001mbit", "1mbit"),
            (9_999_999, "9.999999mbit", "10mbit"),
            (1_000_000_000_000, "1tbit", "1tbit"),
            (u64::MAX, "18446744.073709551615tbit", "18400000tbit"),
        ] {
            assert_eq!((rate(bits).as_str(), rate(about(bits)).as_str()), (exact, rounded), "{bits}");
        }
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        for (seconds, expected) in [
            (0.0, "1970-01-01T00:00:00Z"),
            (1_795_380_001.9, "2026-11-22T20:40:01Z"),
            (951_782_400.0, "2000-02-29T00:00:00Z"),
            (f64::NAN, "1970-01-01T00:00:00Z"),
            (1e19, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(moment(seconds), expected);
        }
    }

    #[test]
    fn bytes_have_three_digits_or_a_decimal() {
        let table = [
            (0.0, "0 B"),
            (0.4, "0 B"),
            (980.0, "980 B"),
            (999.4, "999 B"),
            (999.5, "1.0 kB"),
            (12_345.0, "12.3 kB"),
            (999_949.0, "999.9 kB"),
            (999_950.0, "1.0 MB"),
            (1_234_567.0, "1.2 MB"),
            (4e9, "4.0 GB"),
            (1.55e12, "1.6 TB"),
            (2e15, "2.0 PB"),
            (3e18, "3000.0 PB"),
        ];
        for (number, expected) in table {
            assert_eq!(bytes(number), expected, "{number}");
        }
    }

    #[test]
    fn an_age_has_one_unit() {
        let table =
            [(-1.0, "0s"), (0.4, "0s"), (59.9, "59s"), (60.0, "1m"), (7_300.0, "2h"), (200_000.0, "2d")];
        for (seconds, expected) in table {
            assert_eq!(age(seconds), expected);
        }
    }

    #[test]
    fn a_day_has_24_hours() {
        for (seconds, expected) in [(0, "00:00:00"), (86_399, "23:59:59"), (1_795_380_001, "20:40:01")] {
            assert_eq!(time_of_day(seconds), expected);
        }
    }
}
