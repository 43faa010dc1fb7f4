//! Bad files, each beside a good one that differs as little as possible: what refuses everything is caught as well as
//! what refuses too little.
//!
//! A file of cases begins with a line for readers. `## top` says what stands above the following cases (`ABOVE`).
//! `# kind: words` begins a case: the words are in the one problem that is told, key and reason. Then come lines of the
//! two files: with `-` of the bad one, with `+` of the good one, with a blank or `!` of both. The problem is in the line
//! with `!`; where there is none, in the first with `-`.

use std::collections::BTreeMap;

use super::read;

const FILES: [&str; 6] = [
    include_str!("../bad/toml.txt"),
    include_str!("../bad/top.txt"),
    include_str!("../bad/limits.txt"),
    include_str!("../bad/numbers.txt"),
    include_str!("../bad/policy.txt"),
    include_str!("../bad/select.txt"),
];

/// What stands above the lines of a case.
const ABOVE: [(&str, &str); 4] = [
    ("top", ""),
    ("limits", "[limits]\n"),
    ("policy", "[[limits.policy]]\nname = \"web\"\nselect.name = \"web*\"\n"),
    ("select", "[[limits.policy]]\npids = 100\n"),
];

#[derive(Debug, Default)]
struct Case {
    kind: &'static str,
    words: &'static str,
    bad: String,
    good: String,
    /// Of the bad file.
    line: usize,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut above = "";
    for line in FILES.iter().flat_map(|file| file.lines().skip(1)) {
        if let Some(name) = line.strip_prefix("## ") {
            above = ABOVE.iter().find(|(known, _)| *known == name).expect(name).1;
        } else if let Some((kind, words)) = line.strip_prefix("# ").and_then(|head| head.split_once(": ")) {
            cases.push(Case { kind, words, bad: above.into(), good: above.into(), line: 0 });
        } else if let Some((mark, text)) = line.split_at_checked(1) {
            add(cases.last_mut().expect("a case before its lines"), mark, text);
        }
    }
    cases
}

fn add(case: &mut Case, mark: &str, text: &str) {
    let here = case.bad.lines().count() + 1;
    match mark {
        "!" => case.line = here,
        "-" if case.line == 0 => case.line = here,
        "-" | "+" | " " => {}
        mark => panic!("a line of {} begins with {mark:?}", case.kind),
    }
    if mark != "+" {
        case.bad.extend([text, "\n"]);
    }
    if mark != "-" {
        case.good.extend([text, "\n"]);
    }
}

#[test]
fn there_are_enough_cases_of_enough_kinds() {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let cases = cases();
    for case in &cases {
        *kinds.entry(case.kind).or_default() += 1;
    }
    assert!(
        cases.len() >= 250 && kinds.len() >= 30,
        "{} cases of {} kinds: {kinds:?}",
        cases.len(),
        kinds.len()
    );
}

#[test]
fn a_bad_file_is_refused_with_its_line_key_and_reason() {
    let mut wrong = Vec::new();
    for Case { kind, words, bad, line, .. } in cases() {
        match read(&bad) {
            Ok(_) => wrong.push(format!("{kind}: accepted:\n{bad}")),
            Err(problems) => {
                let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
                let right = problems.len() == 1
                    && problems.iter().all(|it| it.place.line == line)
                    && told.iter().all(|told| told.contains(words) && !words.is_empty());
                if !right {
                    wrong.push(format!(
                        "{kind}: not one problem in line {line} with {words:?}: {told:#?}\n{bad}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn its_good_twin_is_accepted() {
    let mut wrong = Vec::new();
    for Case { kind, bad, good, .. } in cases() {
        assert_ne!(bad, good, "{kind}");
        if let Err(problems) = read(&good) {
            wrong.push(format!("{kind}: {problems:#?}\n{good}"));
        }
    }
    assert!(wrong.is_empty(), "{} are refused:\n{}", wrong.len(), wrong.join("\n"));
}
