use super::{BitsPerSecond, RateError, decimal_form, is_in_bytes};
use crate::enforcer::random::Random;

fn bits(text: &str) -> Result<u64, RateError> {
    text.parse::<BitsPerSecond>().map(BitsPerSecond::bits)
}

#[test]
fn the_spellings_of_tc() {
    for (text, expected) in [
        ("8000bit", 8_000),
        ("100kbit", 100_000),
        ("10mbit", 10_000_000),
        ("1.5gbit", 1_500_000_000),
        ("1tbit", 1_000_000_000_000),
        ("10MBit", 10_000_000),
        ("10 mbit", 10_000_000),
        ("010mbit", 10_000_000),
        ("1e3mbit", 1_000_000_000),
        ("0.5mbit", 500_000),
        (".5mbit", 500_000),
        ("8kibit", 8_192),
        ("8Kibit", 8_192),
        ("1mibit", 1_048_576),
        ("1gibit", 1_073_741_824),
        ("0.5tibit", 549_755_813_888),
        ("1000bps", 8_000),
        ("10kbps", 80_000),
        ("10mbps", 80_000_000),
        ("10MBps", 80_000_000),
        ("1gbps", 8_000_000_000),
        ("0.1tbps", 800_000_000_000),
        ("1KiBps", 8_192),
        ("1mibps", 8_388_608),
        ("1gibps", 8_589_934_592),
        ("0.1tibps", 879_609_302_220),
        ("8.0005kbit", 8_000),
        ("1000000", 1_000_000),
    ] {
        assert_eq!(bits(text), Ok(expected), "{text}");
    }
}

#[test]
fn the_spellings_of_kubernetes() {
    for (text, expected) in [
        ("8000", 8_000),
        ("100k", 100_000),
        ("10M", 10_000_000),
        ("1G", 1_000_000_000),
        ("1T", 1_000_000_000_000),
        ("8Ki", 8_192),
        ("1Mi", 1_048_576),
        ("1.5Gi", 1_610_612_736),
        ("0.5Ti", 549_755_813_888),
        ("0.001P", 1_000_000_000_000),
        ("0.000001E", 1_000_000_000_000),
        ("1e6", 1_000_000),
        ("12E6", 12_000_000),
        ("+5M", 5_000_000),
    ] {
        assert_eq!(bits(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_rate_says_what_is_wrong_and_what_may_be_meant() {
    for (text, words) in [
        ("", "no number in front"),
        ("mbit", "no number in front"),
        (" 10mbit", "no number in front"),
        ("unlimited", "no number in front"),
        ("-10mbit", "not negative"),
        ("-1", "not negative"),
        ("0", "at rate 0 nothing passes"),
        ("0mbit", "at rate 0 nothing passes"),
        ("10 mbti", "no unit \"mbti\"; did you mean \"mbit\"?"),
        ("10mbits", "no unit \"mbits\"; did you mean \"mbit\"?"),
        ("10mbit/s", "did you mean \"mbit\"?"),
        ("10Mb", "did you mean \"mbit\"?"),
        ("10MB/s", "did you mean \"mbit\"?"),
        ("10K", "no unit \"K\"; did you mean \"k\"?"),
        ("10g", "no unit \"g\"; did you mean \"G\"?"),
        ("10mi", "no unit \"mi\"; did you mean \"Mi\"?"),
        ("10KI", "no unit \"KI\"; did you mean \"Ki\"?"),
        ("10mbit ", "no unit \"mbit \"; did you mean \"mbit\"?"),
        ("10m", "\"m\" is a small part of a bit in Kubernetes' spelling; did you mean \"M\"?"),
        ("10u", "\"u\" is a small part"),
        ("10bananas", "no unit \"bananas\""),
        ("10%", "a percentage of what?"),
        ("1,5gbit", "written with a point"),
        ("0x10mbit", "no unit \"x10mbit\""),
        ("1_000kbit", "no unit \"_000kbit\""),
        ("10", "less than 8kbit, which is the least that can be held (without a unit"),
        ("10", "did you mean \"10mbit\"?"),
        ("7999bit", "less than 8kbit"),
        ("7.9999kbit", "less than 8kbit"),
        ("0.1bit", "less than 8kbit"),
        ("1e-99", "less than 8kbit"),
        ("1001gbit", "more than 1tbit"),
        ("1tibit", "more than 1tbit"),
        ("1P", "more than 1tbit"),
        ("20E", "more than 1tbit"),
        ("99999999999999999999mbit", "more than 1tbit"),
        ("1e99", "more than 1tbit"),
        ("1e1000", "more digits"),
        ("9999999999999999999999999", "more digits"),
    ] {
        let error = bits(text).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
        assert!(error.len() < 200, "{text}: {error}");
    }
}

#[test]
fn bounds_hold_for_numbers_too() {
    for (number, expected) in [
        (0, Err(RateError::Zero)),
        (7_999, Err(RateError::TooSmall { hint: String::new() })),
        (8_000, Ok(8_000)),
        (1_000_000_000_000, Ok(1_000_000_000_000)),
        (1_000_000_000_001, Err(RateError::TooLarge)),
        (u64::MAX, Err(RateError::TooLarge)),
    ] {
        assert_eq!(BitsPerSecond::new(number).map(BitsPerSecond::bits), expected, "{number}");
    }
    assert_eq!(BitsPerSecond::new(8_015).map(BitsPerSecond::bytes), Ok(1_001));
}

#[test]
fn a_rate_is_shown_in_the_shortest_exact_spelling() {
    for (number, expected) in [
        (8_000, "8kbit"),
        (8_001, "8001bit"),
        (8_192, "8kibit"),
        (12_500, "12500bit"),
        (100_000, "100kbit"),
        (1_000_000, "1mbit"),
        (1_048_576, "1mibit"),
        (1_500_000, "1.5mbit"),
        (10_000_000, "10mbit"),
        (1_000_000_001, "1000000001bit"),
        (1_500_000_000, "1.5gbit"),
        (999_999_000_000, "999999mbit"),
        (1_000_000_000_000, "1tbit"),
    ] {
        assert_eq!(BitsPerSecond(number).to_string(), expected);
    }
    assert_eq!(format!("{:>8}|", BitsPerSecond(10_000_000)), "  10mbit|");
}

#[test]
fn a_fraction_keeps_its_zeros_in_front() {
    for (number, thousands, expected) in
        [(1_050, 1, Some("1.05x")), (1_000_500, 2, Some("1.0005x")), (2_000, 1, Some("2x")), (999, 1, None)]
    {
        assert_eq!(decimal_form(number, thousands, "x").as_deref(), expected);
    }
}

#[test]
fn bytes_per_second_are_noticed() {
    for (text, expected) in
        [("10mbps", true), ("10MBps", true), ("bps", true), ("ps", false), ("", false), ("10mbit", false)]
    {
        assert_eq!(is_in_bytes(text), expected, "{text}");
    }
    assert!(!is_in_bytes("ébp"));
}

#[test]
fn what_is_shown_is_read_as_the_same() {
    let mut random = Random::new(0x9a7e);
    for round in 0..200_000_u64 {
        // As many small ones as large ones, and round ones.
        let number = random.next() >> random.below(64);
        let number = if round.is_multiple_of(2) { number } else { number / 1_000_000 * 1_000_000 };
        let Ok(rate) = BitsPerSecond::new(number) else { continue };
        let text = rate.to_string();
        assert_eq!(text.parse(), Ok(rate), "{text}");
        assert!(text.len() <= format!("{number}bit").len(), "{text}");
    }
}

#[test]
fn no_text_is_too_strange_and_no_rate_is_out_of_bounds() {
    let pieces = [
        "0",
        "1",
        "9",
        "99999999999",
        ".",
        ",",
        "-",
        "+",
        "e",
        "E",
        " ",
        "%",
        "k",
        "K",
        "M",
        "i",
        "bit",
        "bps",
        "m",
        "é",
        "\0",
        "\u{202e}",
        "inf",
        "nan",
        "x",
    ];
    let (mut random, mut read) = (Random::new(7), 0);
    for _ in 0..200_000 {
        let text: String = (0..random.below(8)).map(|_| random.one_of(&pieces)).collect();
        match text.parse::<BitsPerSecond>() {
            Ok(rate) => {
                read += 1;
                assert!((BitsPerSecond::LEAST..=BitsPerSecond::MOST).contains(&rate), "{text}");
                assert_eq!(rate.to_string().parse(), Ok(rate), "{text}");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(read > 1_000, "{read} were rates");
    for long in ["-".repeat(1_000_000), "9".repeat(1_000_000), "1".to_owned() + &"x".repeat(1_000_000)] {
        let error = long.parse::<BitsPerSecond>().expect_err("no rate").to_string();
        assert!(error.len() < 200, "{error}");
    }
}
