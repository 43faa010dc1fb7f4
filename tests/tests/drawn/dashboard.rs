//! A Grafana dashboard as far as its reader needs it: panels, their queries, variables.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use plimsoll_tests::prometheus::Prometheus;
use serde::Deserialize;

/// A dashboard.
#[derive(Debug, Deserialize)]
pub struct Dashboard {
    pub templating: Templating,
    pub panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
pub struct Templating {
    pub list: Vec<Variable>,
}

/// A variable that a reader chooses values of.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Variable {
    /// Where all queries go.
    Datasource { name: String, query: String },
    /// One of some values, one of them chosen beforehand.
    Custom { name: String, current: Current },
    /// Values of a label.
    Query {
        name: String,
        query: LabelValues,
        #[serde(rename = "allValue")]
        all_value: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
pub struct Current {
    pub value: String,
}

#[derive(Debug, Deserialize)]
pub struct LabelValues {
    pub query: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    pub id: u64,
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    #[serde(default)]
    pub description: String,
    pub grid_pos: GridPos,
    #[serde(default)]
    pub targets: Vec<Target>,
    #[serde(default)]
    pub field_config: FieldConfig,
}

/// Where a panel is, in 24 columns.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct GridPos {
    pub x: u64,
    pub y: u64,
    pub w: u64,
    pub h: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub ref_id: String,
    pub expr: String,
    #[serde(default)]
    pub legend_format: String,
}

#[derive(Debug, Default, Deserialize)]
pub struct FieldConfig {
    pub defaults: Defaults,
}

#[derive(Debug, Default, Deserialize)]
pub struct Defaults {
    #[serde(default)]
    pub unit: String,
}

impl Dashboard {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("read the dashboard")
    }

    /// Panels that draw something; rows only part them.
    pub fn drawing(&self) -> impl Iterator<Item = &Panel> {
        self.panels.iter().filter(|panel| panel.kind != "row")
    }
}

impl GridPos {
    /// Whether both cover a place.
    pub fn overlaps(self, other: Self) -> bool {
        let apart = |from: u64, size: u64, other: u64, its: u64| from + size <= other || other + its <= from;
        !apart(self.x, self.w, other.x, other.w) && !apart(self.y, self.h, other.y, other.h)
    }
}

/// What a reader chose, and what Grafana puts in its place.
#[derive(Debug)]
pub struct Choice(BTreeMap<String, String>);

impl Choice {
    /// All values of each variable; of those that have one of `wanted`, that alone.
    pub fn of(dashboard: &Dashboard, prometheus: &Prometheus, wanted: &[&str]) -> Result<Self> {
        let fixed = [("__rate_interval", "10s"), ("__range", "1m")];
        let mut choice = Self(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        for variable in &dashboard.templating.list {
            let (name, value) = match variable {
                Variable::Datasource { .. } => continue,
                Variable::Custom { name, current } => (name, current.value.clone()),
                Variable::Query { name, query, all_value } => {
                    let values = values(prometheus, &choice.fill(&query.query)?)?;
                    (name, chosen(&values, all_value.as_deref(), wanted))
                }
            };
            choice.0.insert(name.clone(), value);
        }
        Ok(choice)
    }

    /// The query as Grafana sends it.
    pub fn fill(&self, query: &str) -> Result<String> {
        let fill = |text: String, (name, value): (&String, &String)| text.replace(&format!("${name}"), value);
        let filled = self.0.iter().fold(query.to_owned(), fill);
        ensure!(!filled.contains('$'), "a variable that nobody knows: {filled}");
        Ok(filled)
    }
}

/// Answers `label_values(selector, label)`.
fn values(prometheus: &Prometheus, query: &str) -> Result<Vec<String>> {
    let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (selector, label) = inner.and_then(|inner| inner.rsplit_once(", ")).context("no label_values()")?;
    let series = prometheus.query(&format!("count by ({label}) ({selector})"))?;
    let values: Vec<String> = series.into_iter().filter_map(|mut one| one.labels.remove(label)).collect();
    ensure!(!values.is_empty(), "a variable without values: {query}");
    Ok(values)
}

fn chosen(values: &[String], all_value: Option<&str>, wanted: &[&str]) -> String {
    if let Some(one) = values.iter().find(|value| wanted.contains(&value.as_str())) {
        return escaped(one);
    }
    let all = || format!("({})", values.iter().map(|value| escaped(value)).collect::<Vec<_>>().join("|"));
    all_value.map_or_else(all, str::to_owned)
}

/// A regular expression for exactly this value, within a quoted string.
fn escaped(value: &str) -> String {
    let escape = |character| match character {
        '0'..='9' | 'A'..='Z' | 'a'..='z' | '_' | '-' | ':' | '/' => String::from(character),
        _ => format!("\\\\{character}"),
    };
    value.chars().map(escape).collect()
}
