//! A page in the Prometheus text format 0.0.4, read strictly: what a lenient reader forgives is an error here.

mod parse;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

/// Labels of a sample, by name.
pub type Labels = BTreeMap<String, String>;

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Whether it carries a time of its own.
    pub timed: bool,
}

/// What a page says about a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// Its HELP.
    pub help: Option<String>,
    /// Its TYPE.
    pub kind: Option<String>,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Metrics that have a HELP or TYPE.
    pub families: BTreeMap<String, Family>,
    /// Samples in the order of the page.
    pub samples: Vec<Sample>,
    /// Size of the page's text in bytes.
    pub size: usize,
}

impl Page {
    /// Reads a page.
    pub fn parse(text: &str) -> Result<Self> {
        parse::page(text)
    }

    /// Samples of a metric that have all these labels.
    pub fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let has = |sample: &Sample, (key, value): &(&str, &str)| {
            sample.labels.get(*key).is_some_and(|v| v == value)
        };
        let named = self.samples.iter().filter(move |sample| sample.name == name);
        named.filter(move |sample| labels.iter().all(|label| has(sample, label)))
    }

    /// The value of the one series of a metric that has all these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        self.one(name, labels)?.with_context(|| format!("{name}{labels:?} is not on the page"))
    }

    /// The same as a whole number.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        whole(self.value(name, labels)?).with_context(|| format!("{name}{labels:?}"))
    }

    /// The same, if the series is there.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Result<Option<u64>> {
        self.one(name, labels)?.map(whole).transpose().with_context(|| format!("{name}{labels:?}"))
    }

    fn one(&self, name: &str, labels: &[(&str, &str)]) -> Result<Option<f64>> {
        let mut found = self.all(name, labels);
        let first = found.next().map(|sample| sample.value);
        match found.next() {
            Some(second) => bail!("{name}{labels:?} is more than one series, {:?} among them", second.labels),
            None => Ok(first),
        }
    }

    /// The sum over all series of a metric that have all these labels; 0 without any.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        whole(self.all(name, labels).map(|sample| sample.value).sum())
            .with_context(|| format!("{name}{labels:?}"))
    }

    /// Series that occur more than once. Prometheus keeps one of them in silence.
    #[must_use]
    pub fn duplicates(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let twice = self.samples.iter().filter(|sample| !seen.insert((&sample.name, &sample.labels)));
        twice.map(|sample| format!("{}{:?}", sample.name, sample.labels)).collect()
    }
}

fn whole(value: f64) -> Result<u64> {
    if value < 0.0 || value.fract() != 0.0 || value > 9_007_199_254_740_992.0 {
        bail!("{value} is no count");
    }
    format!("{value:.0}").parse().context("count")
}

#[cfg(test)]
mod tests {
    use super::Page;

    const PAGE: &str =
        "# HELP a A thing.\n# TYPE a counter\na{id=\"/x\",name=\"n\"} 3\na{id=\"/y\",name=\"n\"} 4\nb 1.5\n";

    #[test]
    fn values_are_found_by_some_of_their_labels() {
        let page = Page::parse(PAGE).unwrap();
        assert_eq!(page.count("a", &[("id", "/x")]).unwrap(), 3);
        assert_eq!(page.sum("a", &[("name", "n")]).unwrap(), 7);
        assert_eq!(page.find("a", &[("id", "/z")]).unwrap(), None);
        assert!(page.value("a", &[("name", "n")]).is_err(), "two series");
        assert!(page.count("b", &[]).is_err(), "no whole number");
    }

    #[test]
    fn a_series_that_occurs_twice_is_found() {
        let page = Page::parse("a{x=\"1\",y=\"2\"} 3\na{y=\"2\",x=\"1\"} 3\na{x=\"1\"} 3\n").unwrap();
        assert_eq!(page.duplicates().len(), 1);
    }
}
