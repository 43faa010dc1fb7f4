//! Imports of the agent only go down, and one module alone knows aya.

use std::collections::BTreeSet;
use std::path::Path;

use super::Source;

/// The modules of the agent, from the top. A module imports from lower rows only, never from its own.
const LAYERS: [&[&str]; 9] = [
    &["main"],
    &["cli"],
    &["app"],
    &["config"],
    &["control", "enforcer", "exporter", "top"],
    &["http"],
    &["ledger", "states"],
    &["inventory", "volumes"],
    &["cgroup", "kernel", "network", "privilege", "runtimes"],
];

/// The names under which a file can reach another module of the agent.
const ROOTS: [&str; 2] = ["crate::", "plimsoll::"];

/// The imports that go up or sideways, and aya outside its module.
pub fn broken(sources: &[Source]) -> Vec<String> {
    let agent = sources.iter().filter_map(|(path, text)| Some((path.strip_prefix("agent/src").ok()?, text)));
    agent.flat_map(|(path, text)| broken_in(path, text)).collect()
}

fn broken_in(path: &Path, text: &str) -> Vec<String> {
    let module = module(path);
    if module == "lib" {
        return Vec::new();
    }
    let told = |what: String| format!("agent/src/{}: {what}", path.display());
    let Some(from) = layer(&module) else {
        return vec![told(format!(
            "`{module}` has no place in the layers: give it one in xtask/src/check/layers.rs"
        ))];
    };
    let code: String = text.lines().map(without_comment).collect::<Vec<_>>().join("\n");
    let mut broken: Vec<String> = imports(&code)
        .into_iter()
        .filter(|import| *import != module && layer(import).is_some_and(|to| to <= from))
        .map(|import| told(format!("`{module}` imports from `{import}`, which is not below it")))
        .collect();
    if module != "kernel" && names_aya(&code) {
        broken.push(told("`aya` is for `kernel` only".to_owned()));
    }
    broken
}

/// The top module that a file belongs to.
fn module(path: &Path) -> String {
    let first = path.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn without_comment(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// The top modules named after `crate::`, groups in braces included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for root in ROOTS {
        for after in after_word(code, root) {
            match after.strip_prefix('{') {
                Some(group) => names.extend(group_members(group)),
                None => names.extend(identifier(after)),
            }
        }
    }
    names
}

/// What follows each place where `word` stands by itself.
fn after_word<'code>(code: &'code str, word: &'code str) -> impl Iterator<Item = &'code str> {
    code.match_indices(word).filter_map(move |(at, _)| {
        let before = code.get(..at)?.chars().next_back();
        let alone = !before.is_some_and(|before| before.is_alphanumeric() || before == '_');
        alone.then(|| code.get(at + word.len()..)).flatten()
    })
}

/// The first name of each member of a group, up to the brace that ends it.
fn group_members(group: &str) -> Vec<String> {
    let (mut depth, mut at_start, mut names) = (0_u32, true, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            character if at_start && !character.is_whitespace() => {
                names.extend(group.get(at..).and_then(identifier));
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> Option<String> {
    let name: String =
        text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect();
    (!name.is_empty()).then_some(name)
}

fn names_aya(code: &str) -> bool {
    ["aya::", "aya_log::", "aya_obj::"].iter().any(|name| after_word(code, name).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        broken(&[(Path::new("agent/src").join(path), text.to_owned())])
    }

    #[test]
    fn down_is_allowed() {
        assert_eq!(told("main.rs", "use plimsoll::cli::Cli;"), [""; 0]);
        assert_eq!(told("app.rs", "use crate::{exporter, ledger::{Ledger, Account}};"), [""; 0]);
        assert_eq!(told("ledger/mod.rs", "use crate::kernel::Maps;\nuse crate::ledger::row::Row;"), [""; 0]);
        assert_eq!(told("kernel/maps.rs", "use aya::maps::HashMap;"), [""; 0]);
        assert_eq!(told("lib.rs", "pub mod app;"), [""; 0]);
    }

    #[test]
    fn up_and_sideways_are_told() {
        let up = told("kernel/maps.rs", "use crate::ledger::Ledger;");
        assert_eq!(up, ["agent/src/kernel/maps.rs: `kernel` imports from `ledger`, which is not below it"]);
        assert_eq!(told("exporter/http.rs", "let x = crate::top::draw();").len(), 1);
        assert_eq!(
            told("cgroup/walk.rs", "use crate::{\n    runtimes::{Docker, self},\n    cgroup::Path,\n};")
                .len(),
            1
        );
        assert_eq!(told("cli/run.rs", "use plimsoll::main::x;").len(), 1);
    }

    #[test]
    fn aya_belongs_to_kernel() {
        assert_eq!(told("ledger.rs", "use aya::Ebpf;"), ["agent/src/ledger.rs: `aya` is for `kernel` only"]);
        assert_eq!(told("ledger.rs", "use malaya::Ebpf; // aya::Ebpf"), [""; 0]);
    }

    #[test]
    fn a_module_without_a_place_is_told() {
        assert_eq!(told("extra/x.rs", "").len(), 1);
    }

    #[test]
    fn other_crates_have_no_layers() {
        assert_eq!(broken(&[("tests/src/lib.rs".into(), "use crate::main::x;".into())]), [""; 0]);
    }
}
