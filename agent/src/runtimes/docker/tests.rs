//! Files as dockerd writes them, and files that it never would.

use std::{fs, os::unix::fs::symlink, path::PathBuf, time::Duration};

use super::{DockerContainer, SystemTime, config_path, confirm, read};
use crate::runtimes::{DockerRoot, RuntimeError, docker_root::Source};

const ID: &str = "4f5e1c0ffee0123456789abcdef0123456789abcdef0123456789abcdef01234";

/// What docker 20.10 writes, less the fields that are not read.
const TRUE_FILE: &str = r#"{"StreamConfig":{},"State":{"Running":true,"Paused":false,"Pid":4711,"ExitCode":0,
"StartedAt":"2026-11-22T21:54:07.123456789Z","FinishedAt":"0001-01-01T00:00:00Z","Health":null},
"ID":"{ID}","Created":"2026-11-22T22:54:06.5+01:00","Path":"sleep","Args":["9"],
"Config":{"Hostname":"h","Env":["A=b"],"Image":"bb:1","Labels":{"com.docker.compose.project":"shop",
"com.docker.compose.service":"web","a\"b\n":"\u00e9\u0000","secret":"x"}},
"Image":"sha256:00","NetworkSettings":{"Networks":{}},"Name":"/web-1","RestartCount":0,"Driver":"overlay2"}"#;

struct Root(tempfile::TempDir);

impl Root {
    fn empty() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(root.file().parent().unwrap()).unwrap();
        root
    }

    fn with(text: &str) -> Self {
        let root = Self::empty();
        fs::write(root.file(), text.replace("{ID}", ID)).unwrap();
        root
    }

    fn file(&self) -> PathBuf {
        config_path(self.0.path(), ID)
    }

    fn read(&self) -> Result<Option<DockerContainer>, RuntimeError> {
        read(self.0.path(), ID)
    }

    fn docker(&self) -> DockerRoot {
        DockerRoot { path: self.0.path().to_owned(), source: Source::Default }
    }
}

fn at(seconds: u64, nanos: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}

#[test]
fn a_file_of_dockerd_gives_the_container() {
    let container = Root::with(TRUE_FILE).read().unwrap().unwrap();
    assert_eq!(container.id, ID);
    assert_eq!(container.name, "web-1");
    assert_eq!((container.image.as_str(), container.image_id.as_str()), ("bb:1", "sha256:00"));
    assert_eq!(container.labels.get("a\"b\n").map(String::as_str), Some("é\0"));
    assert_eq!(container.created, Some(at(1_795_384_446, 500_000_000)));
    assert_eq!(container.started, Some(at(1_795_384_447, 123_456_789)));
    assert_eq!(container.pid, Some(4711));
}

#[test]
fn a_container_that_never_ran_has_no_start_and_no_pid() {
    let text = TRUE_FILE
        .replace("2026-11-22T21:54:07.123456789Z", "0001-01-01T00:00:00Z")
        .replace("4711", "0")
        .replace("2026-11-22T22:54:06.5+01:00", "yesterday");
    let container = Root::with(&text).read().unwrap().unwrap();
    assert_eq!((container.created, container.started, container.pid), (None, None, None));
}

#[test]
fn the_start_of_the_run_before_is_not_this_runs() {
    let text = TRUE_FILE.replace("4711", "0");
    let container = Root::with(&text).read().unwrap().unwrap();
    assert_eq!((container.started, container.pid), (None, None));
}

#[test]
fn only_the_labels_asked_for_are_kept_and_compose_is_lifted() {
    let root = Root::with(TRUE_FILE);
    let wanted = ["a\"b\n".to_owned(), "absent".to_owned()];
    let metadata = confirm(&[root.docker()], ID, &wanted).unwrap().unwrap();
    assert_eq!((metadata.project.as_deref(), metadata.service.as_deref()), (Some("shop"), Some("web")));
    assert_eq!(metadata.labels.into_iter().collect::<Vec<_>>(), [("a\"b\n".to_owned(), "é\0".to_owned())]);
}

#[test]
fn no_labels_and_no_image_name_are_fine() {
    let start = TRUE_FILE.find("{\"com.docker").unwrap();
    let end = TRUE_FILE.find("},\n\"Image\"").unwrap();
    let mut text = TRUE_FILE.to_owned();
    text.replace_range(start..end, "null");
    let root = Root::with(&text.replace("bb:1", ""));
    let metadata = confirm(&[root.docker()], ID, &[]).unwrap().unwrap();
    assert_eq!((metadata.image.as_str(), metadata.project), ("sha256:00", None));
}

#[test]
fn a_root_with_a_broken_file_does_not_hide_another() {
    let (absent, broken, good) = (Root::empty(), Root::with("{"), Root::with(TRUE_FILE));
    let roots = [absent.docker(), broken.docker(), good.docker()];
    assert_eq!(confirm(&roots, ID, &[]).unwrap().unwrap().name, "web-1");
    assert!(matches!(confirm(&roots[..2], ID, &[]), Err(RuntimeError::Json { .. })));
    assert_eq!(confirm(&roots[..1], ID, &[]).unwrap(), None);
}

#[test]
fn an_id_that_is_no_id_never_reaches_the_disk() {
    let root = Root::with(TRUE_FILE);
    for id in ["", "..", "4f5e", "/etc", &"g".repeat(64), &"../".repeat(22)[..64], &ID.to_uppercase()] {
        assert!(matches!(read(root.0.path(), id), Err(RuntimeError::NotAnId(_))), "{id}");
    }
}

#[test]
fn broken_json_is_told_with_path_and_place() {
    let lone_surrogate = TRUE_FILE.replace("bb:1", "\\ud800");
    let deep = TRUE_FILE.replace("[\"9\"]", &"[".repeat(100_000));
    for text in ["", "{", "[]", "null", "{\"ID\":5}", &lone_surrogate, &deep] {
        let root = Root::with(text);
        let error = root.read().unwrap_err();
        let RuntimeError::Json { path, source } = &error else { panic!("{error:?}") };
        assert_eq!(*path, root.file());
        assert!(source.to_string().contains("column"), "{source}");
    }
}

#[test]
fn a_file_about_another_container_is_refused() {
    let root = Root::with(&TRUE_FILE.replace("{ID}", "0000"));
    let error = root.read().unwrap_err();
    assert_eq!(error.to_string(), format!("{} is about container \"0000\"", root.file().display()));
}

#[test]
fn the_largest_file_is_read_and_one_byte_more_refused() {
    let max = usize::try_from(super::MAX_BYTES).unwrap();
    let padding = max - TRUE_FILE.replace("{ID}", ID).len();
    let root = Root::with(&format!("{TRUE_FILE}{}", " ".repeat(padding)));
    assert!(root.read().unwrap().is_some());
    let root = Root::with(&format!("{TRUE_FILE}{}", " ".repeat(padding + 1)));
    assert!(matches!(root.read(), Err(RuntimeError::TooBig { .. })));
}

#[test]
fn links_directories_and_pipes_are_refused_without_waiting() {
    let root = Root::empty();
    symlink("/proc/self/environ", root.file()).unwrap();
    assert!(matches!(root.read(), Err(RuntimeError::Read { .. })));

    let root = Root::empty();
    fs::create_dir(root.file()).unwrap();
    assert!(matches!(root.read(), Err(RuntimeError::NotRegular { .. })));

    let root = Root::empty();
    nix::unistd::mkfifo(&root.file(), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(matches!(root.read(), Err(RuntimeError::NotRegular { .. })));
}
