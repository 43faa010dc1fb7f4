//! The socket: where it is, whose it is, and that there is one agent behind it.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{
                DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
                PermissionsExt as _, chown,
            },
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::mpsc,
    thread::{self, sleep},
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg, OFlag},
    unistd::{Group, geteuid},
};

use super::peer::Guests;

/// Bytes that a path may have: `sun_path` has 108, and the name that the socket is made under may be longer than its own.
const MOST_PATH: usize = 96;
/// The directory that is the agent's alone, with mode and group as the socket needs them.
const OWN_DIRECTORY: &str = "/run/plimsoll";
/// How often it is tried to lock the directory, every 20 ms.
const TRIES: usize = 100;
/// How long an agent may take to have room for one more connection.
const BUSY: Duration = Duration::from_secs(1);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Such a path cannot be.
    #[error("control socket {path}: it is not {why}; choose another with --control")]
    Path {
        /// The path.
        path: PathBuf,
        /// What it must be.
        why: &'static str,
    },
    /// There is no such group.
    #[error("control-group: there is no group {0:?} on this host")]
    Group(String),
    /// An agent listens there.
    #[error(
        "an agent answers on control socket {0} already: stop it first, or choose another place with --control"
    )]
    Live(PathBuf),
    /// Something is in the place that is not ours to remove.
    #[error("control socket {path}: {why}: remove it, or choose another place with --control")]
    Taken {
        /// The path.
        path: PathBuf,
        /// What is there.
        why: &'static str,
    },
    /// Others could put a socket of theirs in its place.
    #[error(
        "control socket: directory {path} may be changed by others (owner {uid}, mode {mode:o}): choose one of root's with --control"
    )]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its mode.
        mode: u32,
    },
    /// Another process holds the directory's lock.
    #[error(
        "control socket: directory {0} stays locked by another process: choose another place with --control"
    )]
    Locked(PathBuf),
    /// The system refuses.
    #[error("{action} {path}: {source}; another place for the control socket can be chosen with --control")]
    System {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A socket that listens. Its end removes it.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    guests: Guests,
    place: Place,
}

/// The socket's name in the file system, as long as it is ours.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

/// What that path is not, where no socket can be at it; `None`: one can.
#[must_use]
pub fn unusable(path: &Path) -> Option<&'static str> {
    if !path.is_absolute() || path.file_name().is_none() {
        Some("an absolute path of a socket")
    } else if path.as_os_str().len() > MOST_PATH {
        Some("at most 96 bytes long, as a socket's path must be")
    } else {
        None
    }
}

impl Door {
    /// Listens at that path, in the place of a socket that an agent left. Members of `group`, a name or a number, may come in
    /// beside root. Call it while this process may still change owners.
    ///
    /// # Errors
    /// An agent listens there, something else is there, others could replace it, or the system refuses.
    pub fn open(path: &Path, group: Option<&str>) -> Result<Self, DoorError> {
        let refused = |why| DoorError::Path { path: path.to_owned(), why };
        unusable(path).map_or(Ok(()), |why| Err(refused(why)))?;
        let directory = path.parent().ok_or_else(|| refused("a path in a directory"))?;
        let group = group.map(group_id).transpose()?;
        let opened = open_directory(directory, group)?;
        // Whoever looks and puts a socket there at the same time waits, and finds ours.
        let _lock = lock(opened, directory)?;
        make_room(path)?;
        let listener = listen(path, directory, group)?;
        let file = fs::symlink_metadata(path).map_err(failed("look at", path))?;
        let place = Place { path: path.to_owned(), file: (file.dev(), file.ino()) };
        Ok(Self { listener, guests: Guests { owner: geteuid().as_raw(), group }, place })
    }

    /// Whether an agent listens at that path.
    ///
    /// # Errors
    /// No agent could: something else is there, or the system refuses.
    pub fn is_taken(path: &Path) -> Result<bool, DoorError> {
        unusable(path).map_or(Ok(()), |why| Err(DoorError::Path { path: path.to_owned(), why }))?;
        Ok(is_there(path)? && is_live(path)?)
    }

    /// Removes what an agent left at that path; gives whether there was something.
    ///
    /// # Errors
    /// An agent listens there, something else is there, or the system refuses.
    pub fn sweep(path: &Path) -> Result<bool, DoorError> {
        let swept = make_room(path)?;
        if let Some(directory) = path.parent().filter(|directory| *directory == Path::new(OWN_DIRECTORY)) {
            let _ = fs::remove_dir(directory); // it is not there, or not empty
        }
        Ok(swept)
    }

    /// What listens, who may come in, and what removes the socket when it is dropped.
    pub(super) fn parts(self) -> io::Result<(tokio::net::UnixListener, Guests, impl Drop)> {
        let Self { listener, guests, place } = self;
        Ok((tokio::net::UnixListener::from_std(listener)?, guests, place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self { path, file } = self;
        // Another agent may have put its own there once ours did not listen any more.
        if fs::symlink_metadata(&*path).is_ok_and(|found| (found.dev(), found.ino()) == *file) {
            let _ = fs::remove_file(path); // the next agent replaces it
        }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DoorError {
    let path = path.to_owned();
    move |source| DoorError::System { action, path, source }
}

fn group_id(group: &str) -> Result<u32, DoorError> {
    let unknown = || DoorError::Group(group.to_owned());
    let named = || Group::from_name(group).ok().flatten().map(|group| group.gid.as_raw());
    group.parse().ok().or_else(named).ok_or_else(unknown)
}

/// The directory, made where it is missing. One that is ours gets the mode and the group that it needs.
fn open_directory(path: &Path, group: Option<u32>) -> Result<File, DoorError> {
    let is_ours = match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => path == Path::new(OWN_DIRECTORY),
        Err(error) => return Err(failed("create directory", path)(error)),
    };
    let flags = OFlag::O_DIRECTORY | if is_ours { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    let directory = File::options().read(true).custom_flags(flags.bits()).open(path);
    let directory = directory.map_err(failed("open directory", path))?;
    let found = directory.metadata().map_err(failed("look at", path))?;
    let (uid, mode) = (found.uid(), found.mode() & 0o7777);
    let is_open = mode & 0o022 != 0 && mode & 0o1000 == 0;
    if is_open || uid != 0 && uid != geteuid().as_raw() {
        return Err(DoorError::Open { path: path.to_owned(), uid, mode });
    }
    if is_ours {
        if group.is_some() {
            let by_descriptor = format!("/proc/self/fd/{}", directory.as_raw_fd());
            chown(by_descriptor, None, group).map_err(failed("change the group of", path))?;
        }
        let mode = if group.is_some() { 0o750 } else { 0o700 };
        directory
            .set_permissions(Permissions::from_mode(mode))
            .map_err(failed("change the mode of", path))?;
    }
    Ok(directory)
}

fn lock(mut directory: File, path: &Path) -> Result<Flock<File>, DoorError> {
    for _ in 0..TRIES {
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((same, Errno::EWOULDBLOCK)) => directory = same,
            Err((_, errno)) => return Err(failed("lock directory", path)(errno.into())),
        }
        sleep(Duration::from_millis(20));
    }
    Err(DoorError::Locked(path.to_owned()))
}

/// Whether there is a socket of ours; nothing else may be.
fn is_there(path: &Path) -> Result<bool, DoorError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(failed("look at", path))?,
    };
    let taken = |why| DoorError::Taken { path: path.to_owned(), why };
    if !found.file_type().is_socket() {
        return Err(taken("what is there is no socket"));
    }
    if found.uid() != geteuid().as_raw() {
        return Err(taken("a socket of another user is there"));
    }
    Ok(true)
}

/// Removes the socket that an agent left, and nothing else; gives whether there was one.
fn make_room(path: &Path) -> Result<bool, DoorError> {
    if !is_there(path)? {
        return Ok(false);
    }
    if is_live(path)? {
        return Err(DoorError::Live(path.to_owned()));
    }
    fs::remove_file(path).map_err(failed("remove", path))?;
    Ok(true)
}

/// Whether somebody listens there.
fn is_live(path: &Path) -> Result<bool, DoorError> {
    let (tell, told) = mpsc::channel();
    let to = path.to_owned();
    let asks = thread::spawn(move || tell.send(UnixStream::connect(to)));
    let Ok(answer) = told.recv_timeout(BUSY) else {
        return Ok(true); // more wait for it already than it has room for
    };
    let _ = asks.join(); // it has told
    match answer.map_err(|error| (error.kind(), error)) {
        Ok(_) => Ok(true),
        Err((io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound, _)) => Ok(false),
        // Another kind of socket, of which nobody knows whether it is used.
        Err((_, error)) => Err(failed("connect to", path)(error)),
    }
}

/// Listens, under another name until mode and group are as they shall be.
fn listen(path: &Path, directory: &Path, group: Option<u32>) -> Result<UnixListener, DoorError> {
    let draft = directory.join(format!(".{}", std::process::id()));
    let listener = UnixListener::bind(&draft).map_err(failed("listen at", path))?;
    let finish = || {
        if group.is_some() {
            chown(&draft, None, group)?;
        }
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        fs::set_permissions(&draft, Permissions::from_mode(mode))?;
        listener.set_nonblocking(true)?;
        fs::rename(&draft, path)
    };
    if let Err(error) = finish() {
        let _ = fs::remove_file(&draft); // what failed is told
        return Err(failed("make", path)(error));
    }
    Ok(listener)
}
