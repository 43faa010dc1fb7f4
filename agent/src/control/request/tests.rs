//! Bodies of requests: what is read, what is refused, and that no bytes at all do harm.

use std::time::Duration;

use super::*;

#[test]
fn everything_that_can_be_set_is_read() {
    let body = br#"{"container":"web","pids":200,"egress":"10mbit","ingress":"20 Mbit","for":"1h30m","dry_run":true}"#;
    let set = Set::parse(body).expect("a request");
    let expected = Set {
        container: "web".to_owned(),
        pids: Some(200),
        egress: Some("10mbit".to_owned()),
        ingress: Some("20 Mbit".to_owned()),
        lasts: "90m".parse().ok(),
        dry_run: true,
    };
    assert_eq!(set, expected);
    assert_eq!(set.lasts.map(Span::duration), Some(Duration::from_mins(90)));
    let written = serde_json::to_vec(&set).expect("JSON");
    assert_eq!(Set::parse(&written).expect("a request"), set);
    let least = Set::parse(br#"{"container":"web","pids":null,"egress":"1"}"#).expect("a request");
    assert_eq!((least.pids, least.lasts, least.dry_run), (None, None, false));
    let unset =
        Unset::parse(br#"{"container":"web","what":["egress","tasks","egress"]}"#).expect("a request");
    assert_eq!(unset.what, [What::Tasks, What::Egress]);
    assert_eq!(Unset::parse(br#"{"container":"web"}"#).expect("a request").what, []);
}

#[test]
fn what_cannot_be_is_told() {
    let long = format!(r#"{{"container":"{}","pids":1}}"#, "x".repeat(257));
    let rate = format!(r#"{{"container":"x","egress":"{}"}}"#, "1".repeat(65));
    let deep = "[".repeat(60_000);
    let deeper = format!(r#"{{"container":{deep}"#);
    for (body, word) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "a list, not an object"),
        (r#" ["web",200,null,null,null,false]"#, "a list, not an object"),
        ("null", "invalid type: null"),
        ("{}", "missing field `container`"),
        (r#"{"container":"web"}"#, "no limit to set"),
        (r#"{"container":"","pids":1}"#, "names no container"),
        (r#"{"container":"web","pid":1}"#, "unknown field `pid`, expected one of `container`, `pids`"),
        (r#"{"container":"web","pids":1,"pids":2}"#, "duplicate field `pids`"),
        (r#"{"container":"web","pids":-1}"#, "invalid value: integer `-1`"),
        (r#"{"container":"web","pids":1.5}"#, "invalid type: floating point"),
        (r#"{"container":"web","pids":"1"}"#, "invalid type: string"),
        (r#"{"container":"web","pids":18446744073709551616}"#, "expected u64"),
        (r#"{"container":"web","egress":10}"#, "invalid type: integer `10`"),
        (r#"{"container":"web","pids":1,"for":"1w"}"#, r#""1w": no unit "w""#),
        (r#"{"container":"web","pids":1,"for":60}"#, "invalid type: integer `60`"),
        (r#"{"container":"web","pids":1,"dry_run":"yes"}"#, "invalid type: string"),
        (r#"{"container":"web","pids":1} x"#, "trailing characters"),
        (&long, "container has 257 bytes, at most 256"),
        (&rate, "egress has 65 bytes, at most 64"),
        (&deep, "a list, not an object"),
        (&deeper, "expected a string"),
        ("{\"container\":\"\u{1}\",\"pids\":1}", "control character"),
    ] {
        let error = Set::parse(body.as_bytes()).expect_err(body).to_string();
        assert!(error.contains(word), "{body:.80}: {error}");
    }
    for (body, word) in [
        (r#"{"container":"web","what":["pids"]}"#, "unknown variant `pids`, expected one of `tasks`"),
        (r#"{"container":"web","what":"tasks"}"#, "expected a sequence"),
        (r#"{"container":"web","pids":1}"#, "unknown field `pids`"),
        (r#"{"what":[]}"#, "missing field `container`"),
    ] {
        let error = Unset::parse(body.as_bytes()).expect_err(body).to_string();
        assert!(error.contains(word), "{body}: {error}");
    }
    assert!(Set::parse(b"{\"container\":\"\xff\",\"pids\":1}").is_err());
}

/// xorshift64*: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }
}

#[test]
fn whatever_the_bytes_are_nothing_panics_and_what_is_read_is_within_bounds() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let seeds: [&[u8]; 4] = [
        br#"{"container":"web","pids":200,"egress":"10mbit","ingress":"20mbit","for":"1h30m","dry_run":true}"#,
        br#"{"container":"4f2a11bc","what":["tasks","egress","ingress"]}"#,
        br#"{"container":"\u00e9\ud83d\ude00\\\"","pids":0,"for":"3650d"}"#,
        b"",
    ];
    let pieces: [&[u8]; 12] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\u",
        b"1e999",
        b"-0",
        b"null",
        b"\xff\xfe",
        b"\"pids\":",
        b"9999999999999999999999",
    ];
    let (mut read, mut refused) = (0_u32, 0_u32);
    for _ in 0..60_000 {
        let mut body = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..random.below(6) {
            let at = random.below(body.len() + 1);
            match random.below(4) {
                0 => body.truncate(at),
                1 => {
                    body.splice(at..at, pieces[random.below(pieces.len())].iter().copied());
                }
                2 if at < body.len() => body[at] = random.next().to_le_bytes()[0],
                _ if at < body.len() => {
                    body.remove(at);
                }
                _ => {}
            }
        }
        match Set::parse(&body) {
            Ok(Set { container, pids, egress, ingress, lasts, .. }) => {
                read += 1;
                assert!((1..=NAME_BYTES).contains(&container.len()));
                assert!(pids.is_some() || egress.is_some() || ingress.is_some());
                assert!(egress.iter().chain(&ingress).all(|rate| rate.len() <= RATE_BYTES));
                assert!(lasts.is_none_or(|lasts| !lasts.duration().is_zero()));
            }
            Err(_) => refused += 1,
        }
        if let Ok(Unset { container, what }) = Unset::parse(&body) {
            assert!((1..=NAME_BYTES).contains(&container.len()) && what.len() <= What::ALL.len());
        }
    }
    assert!(read > 1_000 && refused > 10_000, "{read} read, {refused} refused: the bytes prove little");
}
