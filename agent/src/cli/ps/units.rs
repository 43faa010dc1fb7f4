//! Numbers as somebody reads them. Pure.

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

#[cfg(test)]
mod tests {
    use super::{age, bytes, time_of_day};

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
