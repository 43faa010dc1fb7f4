//! A real Prometheus that scrapes what it is told.

use std::{fmt::Write as _, fs, net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::{http, page::Labels, process::Daemon, wait};

/// A running server. Its end kills it and removes its data.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    // Before the folder: it ends before its files go.
    daemon: Daemon,
    _folder: TempDir,
}

/// One series of an answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Series {
    /// Its labels, `__name__` among them.
    #[serde(rename = "metric")]
    pub labels: Labels,
    /// Its samples, oldest first; one for an instant query of an instant vector.
    #[serde(alias = "value", alias = "values", deserialize_with = "samples")]
    pub samples: Vec<Point>,
}

/// One sample: seconds since 1970, and the value.
pub type Point = (f64, f64);

impl Prometheus {
    /// Starts one that scrapes `targets`, each a job of the given name, every `interval`.
    pub fn start(targets: &[(&str, SocketAddr)], interval: Duration) -> Result<Self> {
        let folder = TempDir::with_prefix("plimsoll-test-prometheus").context("make a folder")?;
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, configuration(targets, interval)?).context("configure Prometheus")?;
        let address = http::free_port()?;
        let mut command = Command::new("prometheus");
        command.arg("--config.file").arg(&config).arg("--storage.tsdb.path").arg(folder.path().join("data"));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
        let daemon = Daemon::start(&mut command, folder.path().join("prometheus.log"))?;
        let mut prometheus = Self { address, daemon, _folder: folder };
        prometheus.wait_until_ready()?;
        Ok(prometheus)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let address = self.address;
        wait::until_true("Prometheus is ready", || {
            if let Some(status) = self.daemon.ended()? {
                bail!("Prometheus ended with {status}: {}", self.daemon.log());
            }
            Ok(http::get(address, "/-/ready").is_ok_and(|answer| answer.status == 200))
        })
    }

    /// Waits until a job's newest scrape succeeded; fails with Prometheus' own reason where one failed.
    pub fn wait_until_up(&self, job: &str) -> Result<()> {
        wait::until_true("Prometheus scraped its target", || {
            match self.number(&format!("up{{job=\"{job}\"}}"))? {
                Some(up) if up > 0.0 => Ok(true),
                Some(_) => bail!("Prometheus cannot scrape {job}: {}", self.last_errors()?),
                None => Ok(false),
            }
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has scraped a job once more than now, successfully.
    pub fn wait_for_a_scrape(&self, job: &str) -> Result<()> {
        let newest = || -> Result<Option<f64>> { self.number(&format!("timestamp(up{{job=\"{job}\"}})")) };
        let before = newest()?;
        wait::until_true("Prometheus scrapes again", || Ok(newest()? > before))?;
        self.wait_until_up(job)
    }

    /// Answers a query that gives a vector, or `metric[10m]` for all samples of that time.
    pub fn query(&self, promql: &str) -> Result<Vec<Series>> {
        let answer = http::get(self.address, &format!("/api/v1/query?query={}", percent(promql)))?;
        let mut body: Value = serde_json::from_str(answer.text()?).context("Prometheus' answer")?;
        ensure!(answer.status == 200, "query {promql}: {}", body["error"]);
        serde_json::from_value(body["data"]["result"].take()).with_context(|| format!("answer to {promql}"))
    }

    /// The value of a query with at most one series.
    pub fn number(&self, promql: &str) -> Result<Option<f64>> {
        let series = self.query(promql)?;
        ensure!(series.len() <= 1, "query {promql} gives {} series", series.len());
        Ok(series.first().and_then(|only| only.samples.first()).map(|(_, value)| *value))
    }

    fn last_errors(&self) -> Result<String> {
        let answer = http::get(self.address, "/api/v1/targets")?;
        let body: Value = serde_json::from_str(answer.text()?).context("Prometheus' answer")?;
        let targets = body["data"]["activeTargets"].as_array().into_iter().flatten();
        Ok(targets.map(|target| target["lastError"].to_string()).collect())
    }
}

/// Whether a Prometheus takes the page of this target; its own reason, if it does not.
pub fn takes(target: SocketAddr) -> Result<bool> {
    Prometheus::start(&[("target", target)], Duration::from_secs(2))?.wait_until_up("target")?;
    Ok(true)
}

fn configuration(targets: &[(&str, SocketAddr)], interval: Duration) -> Result<String> {
    let ms = interval.as_millis();
    let mut text = format!("global: {{scrape_interval: {ms}ms, scrape_timeout: {ms}ms}}\nscrape_configs:\n");
    for (job, address) in targets {
        writeln!(text, "- {{job_name: {job}, static_configs: [{{targets: ['{address}']}}]}}")?;
    }
    Ok(text)
}

/// Everything but letters and digits as `%XX`.
fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// `[time, "value"]` or a list of such.
fn samples<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Point>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        One((f64, String)),
        Many(Vec<(f64, String)>),
    }
    let told = match Told::deserialize(from)? {
        Told::One(one) => vec![one],
        Told::Many(many) => many,
    };
    let point = |(time, value): (f64, String)| Ok((time, value.parse().map_err(serde::de::Error::custom)?));
    told.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::{Series, percent};

    #[test]
    fn queries_travel_whole() {
        assert_eq!(percent("up{job=\"a b\"}"), "up%7Bjob%3D%22a%20b%22%7D");
    }

    #[test]
    fn vectors_and_ranges_are_read_alike() {
        let instant = r#"{"metric": {"job": "a"}, "value": [1.5, "2"]}"#;
        let range = r#"{"metric": {"job": "a"}, "values": [[1.5, "2"], [2.5, "+Inf"]]}"#;
        let read = |text| serde_json::from_str::<Series>(text).unwrap();
        assert_eq!(read(instant).samples, [(1.5, 2.0)]);
        assert_eq!(read(range).samples, [(1.5, 2.0), (2.5, f64::INFINITY)]);
        assert_eq!(read(range).labels["job"], "a");
    }
}
