use super::{Config, Problem, read};
use crate::{
    config::DEFAULT,
    enforcer::{
        Glob, Keys, LabelPattern, Mode, Numbers, OnPidsLimit, Policies, Policy, Selector, Subject,
        random::Random, resolve,
    },
    inventory::{Identity, Kind},
    runtimes::Runtime,
};

fn limits(text: &str) -> Policies {
    match read(text) {
        Ok((config, mut warnings)) => {
            warnings.retain(|warning| !warning.to_string().contains("has no effect yet"));
            assert_eq!(warnings, [], "{text}");
            config.limits
        }
        Err(problems) => panic!("{text}: {problems:#?}"),
    }
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().map(|pattern| Glob::new(pattern).expect(pattern)).collect()
}

fn told(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_without_limits_limits_nothing() {
    assert_eq!(limits(""), Policies::default());
    assert_eq!(limits("[limits]\n"), Policies::default());
    assert_eq!(limits(DEFAULT), Policies::default());
}

#[test]
fn everything_is_read() {
    let file = r#"
[limits]
mode = "dry-run"
labels = true
soft = 90
uplink = "eth0"
cap = { pids = 4096, egress = "1gbit", ingress = 2_000_000_000 }

[[limits.policy]]
name = "web"
pids = 200
egress = "10mbit"
ingress = "20M"
smooth = true
mode = "off"
on-pids-limit = "kill-newest"
above-runtime = true
select.name = ["web-*", "api"]
select.image = "nginx:*"
select.label = ["tier=w*", "canary"]
select.runtime = ["docker", "cri-o"]
select.project = "shop"
select.service = "ap?"
select.cgroup = "/docker/*"

[[limits.policy]]
name = "rest"
select = { all = true }
pids = 1000
"#;
    let tier = LabelPattern { key: "tier".into(), value: Some(Glob::new("w*").expect("a pattern")) };
    let keys = Keys {
        names: globs(&["web-*", "api"]),
        images: globs(&["nginx:*"]),
        labels: vec![vec![tier, LabelPattern { key: "canary".into(), value: None }]],
        runtimes: vec![Runtime::Docker, Runtime::Crio],
        projects: globs(&["shop"]),
        services: globs(&["ap?"]),
        cgroups: globs(&["/docker/*"]),
    };
    let numbers = |pids: u64, egress: &str, ingress: &str| Numbers {
        pids: pids.to_string().parse().ok(),
        egress: egress.parse().ok(),
        ingress: ingress.parse().ok(),
    };
    let web = Policy {
        name: "web".into(),
        line: 9,
        select: Selector::Keys(keys.into()),
        numbers: numbers(200, "10mbit", "20mbit"),
        mode: Some(Mode::Off),
        smooth: true,
        on_pids_limit: OnPidsLimit::KillNewest,
        above_runtime: true,
    };
    let rest = Policy {
        name: "rest".into(),
        line: 26,
        select: Selector::All,
        numbers: numbers(1_000, "", ""),
        mode: None,
        smooth: false,
        on_pids_limit: OnPidsLimit::Deny,
        above_runtime: false,
    };
    let expected = Policies {
        mode: Mode::DryRun,
        command_line: None,
        labels: true,
        soft_percent: 90,
        cap: numbers(4_096, "1gbit", "2gbit"),
        uplink: Some("eth0".into()),
        policies: vec![web, rest],
    };
    assert_eq!(limits(file), expected);
}

#[test]
fn labels_are_one_of_a_list_or_all_of_a_table() {
    let labels = |label: &str| {
        let file = format!("[[limits.policy]]\nname = \"a\"\npids = 100\nselect.label = {label}\n");
        match limits(&file).policies.remove(0).select {
            Selector::Keys(keys) => keys.labels,
            Selector::All => panic!("{file}"),
        }
    };
    let label = |key: &str, value: &str| LabelPattern { key: key.into(), value: Glob::of_value(value).ok() };
    assert_eq!(labels("\"a=b\""), [[label("a", "b")]]);
    assert_eq!(labels("\"a=b=c\""), [[label("a", "b=c")]], "a value may have =");
    assert_eq!(labels("[\"a=b\", \"c=\"]"), [[label("a", "b"), label("c", "")]]);
    assert_eq!(labels("{ \"a.b\" = \"[x]\" }"), [[label("a.b", "[x]")]]);
    assert_eq!(
        labels("{ a = [\"1\", \"2*\"], c = \"d\" }"),
        [vec![label("a", "1"), label("a", "2*")], vec![label("c", "d")]]
    );
}

#[test]
fn it_tells_which_labels_of_containers_matter() {
    let file = limits("[[limits.policy]]\nname = \"a\"\npids = 100\nselect.label = [\"a=b\", \"c\"]\n");
    let keys: Vec<_> = file.label_keys().collect();
    for key in ["plimsoll.pids", "plimsoll.egress", "kubernetes.io/ingress-bandwidth", "a", "c"] {
        assert!(keys.contains(&key), "{key}: {keys:?}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let file = r#"lables = []
[limits]
mode = "of"
soft = 0
[limits.cap]
egress = "1"
[[limits.policy]]
name = "a"
select = { name = ["/web", "", "a[", 7], runtime = "dokcer" }
pids = 0
egress = "10 mbti"
[[limits.policy]]
name = "b"
select = {}
smooth = true
"#;
    let told = told(&read(file).unwrap_err());
    let places: Vec<_> =
        told.iter().filter_map(|told| told.split_once(": ")).map(|(place, _)| place).collect();
    let expected = [
        "1:1", "3:8", "4:8", "6:10", "9:20", "9:28", "9:32", "9:38", "9:52", "10:8", "11:10", "12:1",
        "14:10", "15:1",
    ];
    assert_eq!(places, expected, "{told:#?}");
}

#[test]
fn what_is_hardly_meant_is_told_and_accepted() {
    let policy = |rest: &str| format!("[[limits.policy]]\nname = \"a\"\nselect = {{ all = true }}\n{rest}\n");
    let second = |rest: &str| policy("pids = 100") + &policy(rest).replace("\"a\"", "\"b\"");
    let named = "[[limits.policy]]\nname = \"b\"\nselect = { cgroup = \"/x\" }\npids = 50\n";
    for (file, line, words) in [
        (policy("egress = \"10mbps\""), 4, "bps is bytes per second, as tc has it: this is 80mbit"),
        (policy("ingress = \"1MBps\""), 4, "this is 8mbit"),
        (policy("pids = 9"), 4, "9: few containers run with so few tasks"),
        (policy("egress = \"1mbit\"\nsmooth = true"), 5, "limits.policy[0].smooth: has no effect yet"),
        (
            "[limits]\ncap.pids = 50\n".to_owned() + &policy("pids = 51"),
            6,
            "51 is above the cap, and 50 will",
        ),
        ("[limits.cap]\negress = \"1gbps\"\n".into(), 2, "this is 8gbit"),
        ("[limits]\n[limits.cap]\n".into(), 2, "an empty cap bounds nothing"),
        ("limits.mode = \"off\"\n".to_owned() + &policy("pids = 100"), 2, "no policy does anything"),
        (
            "limits.mode = \"dry-run\"\n".to_owned() + &policy("pids = 100\nmode = \"enforce\""),
            6,
            "the weaker holds",
        ),
        (second("pids = 50"), 5, "limits.policy[1]: never holds: all it sets is set for the same containers"),
        (
            second("egress = \"1mbit\"") + &policy("pids = 50\negress = \"2mbit\"").replace("\"a\"", "\"c\""),
            9,
            "at last by policy \"b\" in line 5",
        ),
    ] {
        let (_, warnings) = read(&file).unwrap_or_else(|problems| panic!("{file}: {problems:#?}"));
        let told = told(&warnings);
        assert!(
            told.len() == 1 && warnings[0].place.line == line && told[0].contains(words),
            "{file}: {told:#?}"
        );
    }
    // Near to these, and meant.
    for file in [
        policy("pids = 10"),
        policy("egress = \"1mbit\"\nsmooth = false"),
        "[limits]\ncap.pids = 50\n".to_owned() + &policy("pids = 50"),
        "limits.mode = \"dry-run\"\n".to_owned() + &policy("pids = 100\nmode = \"off\""),
        "limits.mode = \"off\"\n".into(),
        second("pids = 50\negress = \"1mbit\""),
        policy("pids = 100") + named,
    ] {
        assert_eq!(limits(&file).cap.is_empty(), !file.contains("cap"), "{file}");
    }
}

/// What the default file shows in comments must work as it stands there.
#[test]
fn the_documented_limits_can_be_used() {
    let from = DEFAULT.find("# [limits]").expect("the documentation of limits");
    let lines = DEFAULT[from..].lines().map(|line| match line.strip_prefix("# ") {
        Some(line) if !line.starts_with("# ") => line,
        _ => "",
    });
    let file: Vec<_> = lines.collect();
    let limits = limits(&file.join("\n"));
    assert!(limits.policies.len() >= 3 && !limits.cap.is_empty() && limits.uplink.is_some());
    let keys = [
        "mode",
        "labels",
        "soft",
        "uplink",
        "pids",
        "egress",
        "ingress",
        "name",
        "select",
        "smooth",
        "on-pids-limit",
        "above-runtime",
        "image",
        "label",
        "runtime",
        "project",
        "service",
        "cgroup",
        "all",
    ];
    for key in keys {
        assert!(file.iter().any(|line| line.contains(&format!("{key} ="))), "{key} is not documented");
    }
}

#[test]
fn a_file_decides_for_a_container() {
    let file = limits(
        "limits.labels = true\n[[limits.policy]]\nname = \"shop\"\nselect = { project = \"shop\" }\npids = 100\n",
    );
    let shop = Identity { project: "shop".into(), ..Identity::cgroup("/docker/4f".into(), Kind::Container) };
    let other = Identity::cgroup("/docker/5f".into(), Kind::Container);
    let labels = [("plimsoll.egress".to_owned(), "1mbit".to_owned())];
    let wanted = |identity| resolve(&file, &Subject::new(identity, &labels, None), None);
    assert_eq!(wanted(&shop).pids.map(|it| it.origin.to_string()), Some("policy \"shop\" (line 2)".into()));
    assert_eq!(
        (wanted(&other).pids, wanted(&other).egress.map(|it| it.value.bits())),
        (None, Some(1_000_000))
    );
}

/// Files made of pieces of files: none makes the reader panic, and what it accepts it accepts again.
#[test]
fn no_file_is_too_strange() {
    const PIECES: [&str; 42] = [
        "[limits]\n",
        "[limits.cap]\n",
        "[[limits.policy]]\n",
        "[limits.policy.select]\n",
        "name",
        "select",
        "pids",
        "egress",
        "ingress",
        "smooth",
        "mode",
        "labels",
        "soft",
        "uplink",
        "cap",
        "policy",
        "label",
        "all",
        "runtime",
        "cgroup",
        " = ",
        " = ",
        " = ",
        "\n",
        "\n",
        "\"10mbit\"",
        "\"*\"",
        "\"é\\n\"",
        "true",
        "100",
        "-1",
        "1e9",
        "{ ",
        " }",
        "[",
        "]",
        ", ",
        ".",
        "limits",
        "\"",
        "# \u{202e}",
        "1979-05-27",
    ];
    let (mut random, mut accepted) = (Random::new(0xf11e), 0);
    for _ in 0..30_000 {
        let text: String = (0..random.below(24)).map(|_| random.one_of(&PIECES)).collect();
        match read(&text) {
            Ok((config, _)) => {
                accepted += 1;
                assert_eq!(read(&text).map(|(config, _)| config), Ok::<Config, _>(config));
            }
            Err(problems) => {
                let lines = text.lines().count().max(1) + 1;
                assert!(!problems.is_empty() && problems.iter().all(|it| it.place.line <= lines), "{text}");
            }
        }
    }
    assert!(accepted > 100, "{accepted} were accepted");
}

/// Of a good file, every byte left out or changed in turn.
#[test]
fn a_damaged_file_is_read_or_refused() {
    let good = "[limits]\ncap.pids = 900\n[[limits.policy]]\nname = \"é\"\nselect = { name = [\"a\"] }\npids = 100\n";
    assert!(read(good).is_ok());
    for at in 0..good.len() {
        for byte in [None, Some(b'"'), Some(b'['), Some(b'\n'), Some(b'='), Some(0), Some(0xff)] {
            let mut bytes = good.as_bytes().to_vec();
            bytes.splice(at..=at, byte);
            let (mut config, _) = Config::load(None).expect("the default");
            if let Err(problems) = crate::config::file::read(&bytes, &mut config) {
                assert!(
                    !problems.is_empty() && problems.iter().all(|it| it.place.line <= 7),
                    "{problems:#?}"
                );
            }
        }
    }
}
