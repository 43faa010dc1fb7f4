//! Finds Docker's data roots: as given, else from daemon.json, from the running daemons' command lines, and the
//! default. Never asks a daemon.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    RuntimeError, daemons,
    state_file::{Links, read_json},
};

const DEFAULT_ROOT: &str = "/var/lib/docker";
const DEFAULT_CONFIG: &str = "/etc/docker/daemon.json";
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A directory where dockerd keeps its containers, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerRoot {
    /// The data root, absolute.
    pub path: PathBuf,
    /// How it was found.
    pub source: Source,
}

/// Where the path of a Docker root was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `--docker-root`.
    Given,
    /// `data-root` or `graph` in this file.
    ConfigFile(PathBuf),
    /// `--data-root` or `--graph` of the dockerd with this pid.
    Daemon(u32),
    /// Nothing said otherwise.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("--docker-root"),
            Self::ConfigFile(path) => write!(f, "{}", path.display()),
            Self::Daemon(pid) => write!(f, "command line of dockerd, pid {pid}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl DockerRoot {
    /// All data roots of this host, each once, and the configuration files that could not be understood.
    /// A given root is the only one. The default is always among the others: its daemon may start later.
    #[must_use]
    pub fn find(given: Option<&Path>) -> (Vec<Self>, Vec<RuntimeError>) {
        match given {
            Some(path) => (vec![Self { path: path.to_owned(), source: Source::Given }], Vec::new()),
            None => collect(Path::new(DEFAULT_CONFIG), &running(), is_trusted),
        }
    }
}

/// A running dockerd.
#[derive(Debug)]
struct Daemon {
    pid: u32,
    arguments: Vec<OsString>,
    /// `None`: it may not be read.
    cwd: Option<PathBuf>,
}

/// `trusted`: whether a path that a daemon's command line names may be followed.
fn collect(
    default_config: &Path,
    daemons: &[Daemon],
    trusted: impl Fn(&Path) -> bool,
) -> (Vec<DockerRoot>, Vec<RuntimeError>) {
    let mut configs = vec![default_config.to_owned()];
    let given = daemons.iter().filter_map(|daemon| daemon.path_of(&["--config-file"]));
    configs.extend(given.filter(|path| trusted(path)));
    let (mut roots, mut problems) = (Vec::new(), Vec::new());
    for config in unique(configs, PathBuf::as_path) {
        match root_in(&config) {
            Ok(root) => {
                roots.extend(root.map(|path| DockerRoot { path, source: Source::ConfigFile(config) }));
            }
            Err(error) => problems.push(error),
        }
    }
    for daemon in daemons {
        let root = daemon.path_of(&["--data-root", "--graph", "-g"]).filter(|path| trusted(path));
        roots.extend(root.map(|path| DockerRoot { path, source: Source::Daemon(daemon.pid) }));
    }
    roots.push(DockerRoot { path: DEFAULT_ROOT.into(), source: Source::Default });
    (unique(roots, |root| &root.path), problems)
}

/// Keeps the first of those with the same path.
fn unique<T>(items: Vec<T>, path_of: impl Fn(&T) -> &Path) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for item in items {
        if !kept.iter().any(|known| path_of(known) == path_of(&item)) {
            kept.push(item);
        }
    }
    kept
}

#[derive(Deserialize)]
struct DaemonJson {
    #[serde(rename = "data-root")]
    data_root: Option<PathBuf>,
    /// What `data-root` was called before 17.05.
    graph: Option<PathBuf>,
}

fn root_in(config: &Path) -> Result<Option<PathBuf>, RuntimeError> {
    let json: Option<DaemonJson> = read_json(config, Links::Follow, MAX_CONFIG_BYTES)?;
    let root = json.and_then(|json| json.data_root.or(json.graph));
    // A service's working directory is the root.
    Ok(root.map(|path| Path::new("/").join(path)))
}

impl Daemon {
    /// The path that one of these flags has, the last one given; a relative one starts at the daemon's own place.
    fn path_of(&self, flags: &[&str]) -> Option<PathBuf> {
        let value = Path::new(value_of(&self.arguments, flags).filter(|value| !value.is_empty())?);
        if value.is_absolute() { Some(value.to_owned()) } else { Some(self.cwd.as_ref()?.join(value)) }
    }
}

/// The last value of `--flag VALUE`, `--flag=VALUE`, and for one letter also `-fVALUE`.
fn value_of<'a>(arguments: &'a [OsString], flags: &[&str]) -> Option<&'a OsStr> {
    arguments.iter().enumerate().rev().find_map(|(position, argument)| {
        flags.iter().find_map(|flag| {
            let rest = argument.as_encoded_bytes().strip_prefix(flag.as_bytes())?;
            match rest {
                [] => arguments.get(position + 1).map(OsString::as_os_str),
                [b'=', value @ ..] => Some(bytes_as_os_str(value)),
                value if !flag.starts_with("--") => Some(bytes_as_os_str(value)),
                _ => None,
            }
        })
    })
}

fn bytes_as_os_str(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// The running daemons of the host.
fn running() -> Vec<Daemon> {
    daemons::running(&[daemons::DOCKERD]).filter_map(daemon).collect()
}

fn daemon(pid: u32) -> Option<Daemon> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let cmdline = fs::read(proc.join("cmdline")).ok()?;
    let arguments = cmdline.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_vec())).collect();
    Some(Daemon { pid, arguments, cwd: fs::read_link(proc.join("cwd")).ok() })
}

/// Whether root alone decides what stands at `path`, its links followed: it and all directories above it are root's, and
/// nobody else's to write (or like `/tmp`, where nobody can move what is another's).
fn is_trusted(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().all(|place| {
        fs::metadata(place).is_ok_and(|found| {
            let sticky = found.mode() & 0o1000 != 0 && place != path;
            found.uid() == 0 && (found.mode() & 0o022 == 0 || sticky)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsString,
        fs,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
        path::Path,
    };

    use super::{Daemon, DockerRoot, Source, collect, is_trusted, value_of};

    const FLAGS: &[&str] = &["--data-root", "--graph", "-g"];

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn every_spelling_of_the_root_is_understood() {
        let rows = [
            ("dockerd", None),
            ("dockerd --data-root /a -D", Some("/a")),
            ("dockerd --data-root=/a", Some("/a")),
            ("dockerd -g /a", Some("/a")),
            ("dockerd -g=/a", Some("/a")),
            ("dockerd -g/a", Some("/a")),
            ("dockerd --graph /a", Some("/a")),
            ("dockerd --graph=/a --data-root=/b", Some("/b")),
            ("dockerd --data-root=", Some("")),
            ("dockerd --data-root", None),
            ("dockerd --data-rooted=/a --graphics=/b", None),
        ];
        for (line, wanted) in rows {
            assert_eq!(value_of(&arguments(line), FLAGS), wanted.map(AsRef::as_ref), "{line}");
        }
    }

    #[test]
    fn roots_come_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let config = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let default = config("daemon.json", r#"{"data-root": "/json", "debug": true}"#);
        let second = config("second.json", r#"{"graph": "old"}"#);
        let broken = config("broken.json", "{");
        let daemon = |pid, line: &str| Daemon { pid, arguments: arguments(line), cwd: Some("/cwd".into()) };
        let daemons = [
            daemon(1, &format!("dockerd --config-file={} --data-root=rel", second.display())),
            daemon(2, &format!("dockerd --config-file {} -g /json", broken.display())),
            daemon(3, "dockerd --data-root="),
            daemon(4, &format!("dockerd --config-file {} -g /var/lib/docker", second.display())),
        ];
        let (roots, problems) = collect(&default, &daemons, |_| true);
        let found: Vec<_> = roots.iter().map(|root| (root.path.to_str().unwrap(), &root.source)).collect();
        let wanted = [
            ("/json", &Source::ConfigFile(default)),
            ("/old", &Source::ConfigFile(second)),
            ("/cwd/rel", &Source::Daemon(1)),
            ("/var/lib/docker", &Source::Daemon(4)),
        ];
        assert_eq!(found, wanted);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), format!("parse {}", broken.display()));
    }

    #[test]
    fn a_place_that_others_may_write_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        fs::create_dir(open.join("below")).unwrap();
        let is_root = fs::metadata(&open).unwrap().uid() == 0;
        assert_eq!(is_trusted(dir.path()), is_root);
        for place in ["open", "open/below", "missing"] {
            assert!(!is_trusted(&dir.path().join(place)), "{place}");
        }
    }

    #[test]
    fn without_any_sign_the_default_is_left() {
        let (roots, problems) = collect(Path::new("/nonexistent/daemon.json"), &[], |_| true);
        assert_eq!(roots, [DockerRoot { path: "/var/lib/docker".into(), source: Source::Default }]);
        assert!(problems.is_empty());
    }

    #[test]
    fn a_given_root_is_the_only_one() {
        let (roots, _) = DockerRoot::find(Some(Path::new("/x")));
        assert_eq!(roots, [DockerRoot { path: "/x".into(), source: Source::Given }]);
    }
}
