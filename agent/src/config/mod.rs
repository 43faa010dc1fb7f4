//! The configuration file: TOML, checked as a whole, every key optional. Flags override it.

#![forbid(unsafe_code)]

mod file;
mod limits;
mod numbers;
mod policy;
mod problem;
mod select;
mod table;
mod text;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

pub use self::problem::{Place, Problem};
use self::{limits::LIMITS, table::Kind};
use crate::{cgroup::Wish, enforcer::Policies};

/// What is in force where neither a file nor a flag says otherwise.
pub const DEFAULT: &str = include_str!("default.toml");

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The built-in one is not what it should be.
    #[error("built-in configuration: {0}")]
    BuiltIn(toml::de::Error),
    /// It says what cannot be.
    #[error("the configuration cannot be used\n{}", listed(path, problems))]
    Refused {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it, in its order; one at least.
        problems: Vec<Problem>,
    },
    /// A value of a flag that means nothing.
    #[error("{key}: {value:?} is not {wanted}")]
    Value {
        /// The key, as in the file.
        key: &'static str,
        /// The value.
        value: String,
        /// What it must be.
        wanted: &'static str,
    },
}

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where metrics are served.
    pub listen: SocketAddr,
    /// Names that a request's Host may have, beside loopback and the listen address.
    pub allowed_hosts: Vec<String>,
    /// Docker's data root; `None`: found.
    pub docker_root: Option<PathBuf>,
    /// Labels of containers that become `container_label_*`.
    pub labels: Vec<String>,
    /// Seconds that series of a dead container stay once they were scraped.
    pub retention_seconds: u64,
    /// Which hierarchy is counted.
    pub hierarchy: Hierarchy,
    /// Where people ask for limits: the path of a unix socket.
    pub control: PathBuf,
    /// The group whose members may, beside root; a name or a number.
    pub control_group: Option<String>,
    /// Who gets which limits.
    #[serde(skip)]
    pub limits: Policies,
}

/// Which hierarchy is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Hierarchy {
    /// cgroup2, unless the tasks of containers are in v1 only.
    Auto,
    /// The unified hierarchy.
    Cgroup2,
    /// The pids controller's hierarchy of cgroup v1.
    Pids,
}

/// The keys of the file's top.
const TOP: Kind = Kind {
    name: "",
    keys: &[
        "listen",
        "allowed-hosts",
        "docker-root",
        "labels",
        "retention-seconds",
        "hierarchy",
        "control",
        "control-group",
        "limits",
    ],
};

/// Every kind of table, the likeliest place of a key first.
const KINDS: [&Kind; 5] = [&TOP, &LIMITS, &policy::POLICY, &select::SELECT, &limits::CAP];

/// Every problem with its file and place, a line each.
fn listed(path: &Path, problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| format!("{}:{problem}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

impl Config {
    /// The default configuration, with what the file at `path` says in its place; and what looks as if it were not meant.
    ///
    /// # Errors
    /// The file cannot be read, or says what cannot be: all of it, with line and column.
    pub fn load(path: Option<&Path>) -> Result<(Self, Vec<Problem>), ConfigError> {
        let mut config: Self = toml::from_str(DEFAULT).map_err(ConfigError::BuiltIn)?;
        let Some(path) = path else { return Ok((config, Vec::new())) };
        let text = fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let refused = |problems| ConfigError::Refused { path: path.to_owned(), problems };
        let warnings = file::read(&text, &mut config).map_err(refused)?;
        Ok((config, warnings))
    }

    /// Holds what is set together, by the file and by flags, against what can be.
    ///
    /// # Errors
    /// A sentence that names the key and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refused = |key, value: &str, wanted| ConfigError::Value { key, value: value.to_owned(), wanted };
        for host in &self.allowed_hosts {
            file::host(host).map_err(|wanted| refused("allowed-hosts", host, wanted))?;
        }
        for label in &self.labels {
            file::label(label).map_err(|wanted| refused("labels", label, wanted))?;
        }
        Ok(())
    }

    /// How long series of a dead container stay once they were scraped.
    #[must_use]
    pub const fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_seconds)
    }

    /// Which hierarchy is counted.
    #[must_use]
    pub const fn wish(&self) -> Wish {
        match self.hierarchy {
            Hierarchy::Auto => Wish::Auto,
            Hierarchy::Cgroup2 => Wish::Cgroup2,
            Hierarchy::Pids => Wish::Pids,
        }
    }
}

#[cfg(test)]
mod tests;
