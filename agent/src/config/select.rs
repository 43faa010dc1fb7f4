//! Reads whom a policy is for, and refuses what can be for nobody.

use std::fmt::Display;

use super::{
    problem::Findings,
    table::{Entry, Kind, Table},
    text::Text,
};
use crate::{
    enforcer::{Glob, Keys, LabelPattern, Selector},
    inventory::MAX_BYTES,
    runtimes::Runtime,
};

pub(super) const SELECT: Kind = Kind {
    name: "select",
    keys: &["name", "image", "label", "runtime", "project", "service", "cgroup", "all"],
};

/// The selector; `None` where something is wrong with it, which is told.
pub(super) fn read(mut table: Table<'_>, findings: &mut Findings<'_>) -> Option<Selector> {
    let (at, path) = table.whereabouts();
    let all = table.take("all").map(|it| it.boolean(findings));
    let keyed = table.has_any(SELECT.keys);
    let keys = read_keys(&mut table, findings);
    let unknown = table.finish(findings);
    match all {
        Some(Some(true)) if keyed => {
            findings.error(&at, &path, "all = true selects every container; leave it out, or the other keys");
            None
        }
        Some(Some(true)) => Some(Selector::All),
        Some(None) => None,
        _ if keyed => keys.map(|keys| Selector::Keys(Box::new(keys))),
        _ if unknown => None,
        _ => {
            findings.error(&at, &path, "selects nothing; { all = true } is for every container");
            None
        }
    }
}

fn read_keys(table: &mut Table<'_>, findings: &mut Findings<'_>) -> Option<Keys> {
    let names = list(table.take("name"), name, findings);
    let images = list(table.take("image"), Glob::new, findings);
    let labels = table.take("label").map_or(Some(Vec::new()), |it| read_labels(it, findings));
    let runtimes = read_runtimes(table.take("runtime"), findings);
    let projects = list(table.take("project"), name, findings);
    let services = list(table.take("service"), name, findings);
    let cgroups = list(table.take("cgroup"), cgroup, findings);
    Some(Keys {
        names: names?,
        images: images?,
        labels: labels?,
        runtimes: runtimes?,
        projects: projects?,
        services: services?,
        cgroups: cgroups?,
    })
}

/// What `read` makes of a string or of each of a list; without the key, nothing.
fn list<T, E: Display>(
    entry: Option<Entry<'_>>,
    read: impl Fn(&str) -> Result<T, E>,
    findings: &mut Findings<'_>,
) -> Option<Vec<T>> {
    entry.map_or(Some(Vec::new()), |it| some(it, |text, findings| text.read(&read, findings), findings))
}

/// What `read` makes of a string or of each of a list that is not empty.
fn some<T>(
    entry: Entry<'_>,
    read: impl FnMut(&Text, &mut Findings<'_>) -> Option<T>,
    findings: &mut Findings<'_>,
) -> Option<Vec<T>> {
    let (at, path) = entry.whereabouts();
    let values = entry.each(true, read, findings)?;
    if values.is_empty() {
        findings.error(&at, &path, "an empty list selects nothing; leave the key out");
        return None;
    }
    Some(values)
}

/// A name of a container, or of a Compose project or service.
fn name(pattern: &str) -> Result<Glob, String> {
    if let Some(name) = pattern.strip_prefix('/').filter(|name| !name.is_empty() && !name.contains('/')) {
        return Err(format!("can never match, no name has a / in it; did you mean {name:?}?"));
    }
    if pattern.contains('/') {
        return Err("can never match, no name has a / in it".to_owned());
    }
    Glob::new(pattern).map_err(|error| error.to_string())
}

/// The path of a cgroup, from the hierarchy's root.
fn cgroup(pattern: &str) -> Result<Glob, String> {
    if pattern == "/" {
        return Err("the root cgroup has no limits".to_owned());
    }
    let glob = Glob::new(pattern).map_err(|error| error.to_string())?;
    if !pattern.starts_with(['/', '*', '?']) {
        return Err(format!("can never match, paths of cgroups begin with /; did you mean \"/{pattern}\"?"));
    }
    match pattern.strip_suffix('/') {
        Some(path) => Err(format!("can never match, no path ends with /; did you mean {path:?}?")),
        None => Ok(glob),
    }
}

fn read_runtimes(entry: Option<Entry<'_>>, findings: &mut Findings<'_>) -> Option<Vec<Runtime>> {
    let names = Runtime::ALL.map(|runtime| (runtime.as_str(), runtime));
    entry.map_or(Some(Vec::new()), |it| some(it, |text, findings| text.choice(&names, findings), findings))
}

/// `"key=pattern"` or `"key"`, or a list of them, of which one must match; or a table of keys, which all must.
fn read_labels(entry: Entry<'_>, findings: &mut Findings<'_>) -> Option<Vec<Vec<LabelPattern>>> {
    if !entry.is_table() {
        return Some(vec![list(Some(entry), label, findings)?]);
    }
    let (at, path) = entry.whereabouts();
    let pairs = entry.pairs();
    if pairs.is_empty() {
        findings.error(&at, &path, "an empty table selects nothing; leave the key out");
        return None;
    }
    let each = pairs.into_iter().map(|(key, values)| {
        let checked = key.read(label_key, findings);
        let values = list(Some(values), Glob::of_value, findings);
        let (key, values) = checked.zip(values)?;
        Some(values.into_iter().map(|value| LabelPattern { key: key.clone(), value: Some(value) }).collect())
    });
    each.collect::<Vec<_>>().into_iter().collect()
}

fn label(text: &str) -> Result<LabelPattern, String> {
    let Some((key, value)) = text.split_once('=') else {
        return Ok(LabelPattern { key: label_key(text)?, value: None });
    };
    let value = Glob::of_value(value).map_err(|error| error.to_string())?;
    Ok(LabelPattern { key: label_key(key)?, value: Some(value) })
}

fn label_key(key: &str) -> Result<String, String> {
    let wrong = if key.is_empty() {
        "a label has a key; write \"key=value\", or \"key\" for any value".to_owned()
    } else if key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "a label's key has no blanks; write \"key=value\"".to_owned()
    } else if key.contains(['*', '?']) {
        "a label's value may be a pattern, its key may not".to_owned()
    } else if key.len() > MAX_BYTES {
        format!("longer than {MAX_BYTES} bytes, and no label's key is")
    } else {
        return Ok(key.to_owned());
    };
    Err(wrong)
}
