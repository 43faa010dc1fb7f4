//! The configuration file: TOML, checked as a whole, every key optional. Flags override it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::{cgroup::Wish, control::unusable, exporter::hosts::Host};

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
    /// It is not what it should be; the source names line and column.
    #[error("configuration {path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: toml::de::Error,
    },
    /// A value that means nothing, of the file or of a flag.
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
    /// The socket that limits are set over.
    pub control: PathBuf,
    /// The group whose members may use it, beside root: a name or a number.
    pub control_group: Option<String>,
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

impl Config {
    /// The default configuration, with what the file at `path` says in its place.
    ///
    /// # Errors
    /// The file cannot be read, or says what cannot be: with line and column.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Self::parse("") };
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|error| match error {
            ConfigError::Parse { source, .. } => ConfigError::Parse { path: path.to_owned(), source },
            error => error,
        })
    }

    /// Keys of `text` over those of the default.
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let error = |source| ConfigError::Parse { path: "(built in)".into(), source };
        // Alone first: an error then names the line in the file that somebody wrote.
        toml::from_str::<Partial>(text).map_err(error)?;
        let mut table: toml::Table = DEFAULT.parse().map_err(error)?;
        table.extend(text.parse::<toml::Table>().map_err(error)?);
        table.try_into().map_err(error)
    }

    /// Holds what is set together, by the file and by flags, against what can be.
    ///
    /// # Errors
    /// A sentence that names the key and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some(host) = self.allowed_hosts.iter().find(|host| Host::parse(host).is_none()) {
            return Err(ConfigError::Value {
                key: "allowed-hosts",
                value: host.clone(),
                wanted: "a host name or an address",
            });
        }
        if let Some(label) = self.labels.iter().find(|label| label.trim().is_empty()) {
            return Err(ConfigError::Value {
                key: "labels",
                value: label.clone(),
                wanted: "the key of a label",
            });
        }
        if let Some(wanted) = unusable(&self.control) {
            let value = self.control.display().to_string();
            return Err(ConfigError::Value { key: "control", value, wanted });
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

/// The same keys, each optional.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "read by serde alone, to check a file by itself")]
struct Partial {
    listen: Option<SocketAddr>,
    allowed_hosts: Option<Vec<String>>,
    docker_root: Option<PathBuf>,
    labels: Option<Vec<String>>,
    retention_seconds: Option<u64>,
    hierarchy: Option<Hierarchy>,
    control: Option<PathBuf>,
    control_group: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{Config, Duration, Wish};
    use crate::control::SOCKET;

    #[test]
    fn the_default_is_whole() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:17546");
        assert_eq!((config.retention(), config.wish()), (Duration::from_mins(5), Wish::Auto));
        assert_eq!((config.control.to_str(), config.control_group.as_deref()), (Some(SOCKET), None));
        assert!(config.check().is_ok());
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listen = \"[::1]:9\"\nhierarchy = \"pids\"\n").unwrap();
        let config = Config::load(Some(file.path())).unwrap();
        assert_eq!((config.listen.port(), config.wish()), (9, Wish::Pids));
        assert_eq!(config.retention(), Duration::from_mins(5));
    }

    #[test]
    fn what_cannot_be_is_told_by_key_and_value() {
        let mut config = Config::load(None).unwrap();
        assert!(config.check().is_ok());
        config.allowed_hosts.push("http://x/".to_owned());
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("allowed-hosts") && error.contains("http://x/"), "{error}");
        config.allowed_hosts = vec!["node1".to_owned()];
        config.labels.push(String::new());
        assert!(config.check().unwrap_err().to_string().contains("labels"));
        config.labels.clear();
        config.control = "control.sock".into();
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, "control: \"control.sock\" is not an absolute path of a socket");
    }

    #[test]
    fn an_error_names_the_file_the_line_and_the_reason() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, word) in
            [("\nlisten = \"nowhere\"", "line 2"), ("\nlisen = 1", "lisen"), ("labels = 1", "line 1")]
        {
            std::fs::write(file.path(), text).unwrap();
            let error = Config::load(Some(file.path())).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains(file.path().to_str().unwrap()), "{error}");
        }
    }
}
