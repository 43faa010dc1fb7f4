use std::{fs, time::Duration};

use super::{Config, ConfigError, Problem, file};
use crate::cgroup::Wish;

mod bad;
mod limits;

/// What the text of a file comes to.
fn read(text: &str) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
    let (mut config, _) = Config::load(None).expect("the default");
    let warnings = file::read(text.as_bytes(), &mut config)?;
    Ok((config, warnings))
}

#[test]
fn the_default_is_whole() {
    let (config, warnings) = Config::load(None).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:17546");
    assert_eq!((config.retention(), config.wish()), (Duration::from_mins(5), Wish::Auto));
    assert!(config.limits.is_empty() && warnings.is_empty());
}

#[test]
fn a_file_changes_what_it_names() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "listen = \"[::1]:9\"\nhierarchy = \"pids\"\ndocker-root = \"/d\"\nlabels = []\n")
        .unwrap();
    let (config, _) = Config::load(Some(file.path())).unwrap();
    assert_eq!((config.listen.port(), config.wish()), (9, Wish::Pids));
    assert_eq!(config.retention(), Duration::from_mins(5));
    assert_eq!((config.docker_root, config.labels.len()), (Some("/d".into()), 0));
}

#[test]
fn a_flag_that_cannot_be_is_told_by_key_and_value() {
    let (mut config, _) = Config::load(None).unwrap();
    assert!(config.check().is_ok());
    config.allowed_hosts.push("http://x/".to_owned());
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains("allowed-hosts") && error.contains("http://x/"), "{error}");
    config.allowed_hosts = vec!["node1".to_owned()];
    config.labels.push(String::new());
    assert!(config.check().unwrap_err().to_string().contains("labels"));
}

#[test]
fn an_error_names_the_file_the_place_and_the_reason() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    fs::write(file.path(), "\n  listen = \"nowhere\"\nlisen = 1\n[limits]\nmode = \"of\"\n").unwrap();
    let error = Config::load(Some(file.path())).unwrap_err().to_string();
    assert_eq!(
        error.lines().collect::<Vec<_>>(),
        [
            "the configuration cannot be used".to_owned(),
            format!(
                "{path}:2:12: listen: \"nowhere\": should be an address with a port, as in \"127.0.0.1:17546\""
            ),
            format!("{path}:3:1: lisen: there is no such key; did you mean \"listen\"?"),
            format!("{path}:5:8: limits.mode: \"of\": there is no such choice; did you mean \"off\"?"),
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let error = Config::load(Some("/nonexistent/plimsoll.toml".as_ref())).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), b"# fine\n# \xff\n").unwrap();
    let error = Config::load(Some(file.path())).unwrap_err().to_string();
    assert!(error.ends_with(":2:3: not text: here is a byte that is not UTF-8"), "{error}");
}
