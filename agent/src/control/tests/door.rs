//! The socket in the file system, and who gets through it.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use super::*;
use crate::control::{Door, DoorError, unusable};

/// A group that nobody is in.
const GROUP: u32 = 424_242;
const NOBODY: u32 = 65_534;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn the_socket_is_its_owners_alone() {
    let folder = folder();
    let path = folder.path().join("made/control.sock");
    let door = Door::open(&path, None).expect("a door");
    let made = path.parent().expect("a directory");
    assert_eq!((mode(made), mode(&path)), (0o700, 0o600));
    assert_eq!(fs::read_dir(made).expect("a directory").count(), 1, "nothing else is left there");
    drop(door);
    assert!(!path.exists());
}

#[test]
fn a_directory_that_was_there_stays_as_it_is() {
    let folder = folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a mode");
    let _door = Door::open(&folder.path().join("control.sock"), None).expect("a door");
    assert_eq!(mode(folder.path()), 0o755);
}

#[test]
fn a_second_agent_is_refused_and_the_first_goes_on() {
    let folder = folder();
    let path = folder.path().join("control.sock");
    let _first = Door::open(&path, None).expect("a door");
    let error = Door::open(&path, None).expect_err("an agent is there");
    assert!(matches!(error, DoorError::Live(_)), "{error}");
    assert!(error.to_string().contains("stop it first, or choose another place with --control"), "{error}");
    assert!(Door::sweep(&path).is_err(), "nor is it swept away");
    UnixStream::connect(&path).expect("the first listens still");
}

#[tokio::test]
async fn an_agent_that_is_busy_is_there_too() {
    let folder = folder();
    let path = folder.path().join("control.sock");
    let socket = tokio::net::UnixSocket::new_stream().expect("a socket");
    socket.bind(&path).expect("a place");
    let _busy = socket.listen(1).expect("it listens");
    // As many as may wait, and more: these never come back.
    for _ in 0..4 {
        let path = path.clone();
        std::thread::spawn(move || UnixStream::connect(path).map(std::mem::forget));
    }
    sleep(Duration::from_millis(100)).await;
    assert!(matches!(Door::open(&path, None), Err(DoorError::Live(_))));
}

#[test]
fn what_a_dead_agent_left_is_replaced() {
    let folder = folder();
    let path = folder.path().join("control.sock");
    drop(UnixListener::bind(&path).expect("a socket")); // std leaves the file
    assert!(path.exists());
    let door = Door::open(&path, None).expect("a door");
    UnixStream::connect(&path).expect("it listens");
    drop(door);
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(Door::sweep(&path).expect("swept") && !path.exists());
    assert!(!Door::sweep(&path).expect("nothing is there"));
}

#[test]
fn the_socket_of_another_user_is_not_removed() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: giving a socket away takes root");
        return;
    }
    let folder = folder();
    let path = folder.path().join("control.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    std::os::unix::fs::lchown(&path, Some(NOBODY), None).expect("given away");
    let error = Door::open(&path, None).expect_err("another's socket").to_string();
    assert!(error.contains("a socket of another user is there: remove it"), "{error}");
    assert!(path.exists());
}

#[test]
fn an_end_leaves_the_socket_of_the_next_agent() {
    let folder = folder();
    let path = folder.path().join("control.sock");
    let first = Door::open(&path, None).expect("a door");
    fs::remove_file(&path).expect("removed by somebody");
    let _second = Door::open(&path, None).expect("a door");
    drop(first);
    UnixStream::connect(&path).expect("the second listens still");
}

#[test]
fn what_is_not_ours_is_left_and_told() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "precious").expect("a file");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    for path in [&file, &link] {
        let error = Door::open(path, None).expect_err("something is there");
        assert!(error.to_string().contains("no socket: remove it"), "{error}");
        assert!(Door::sweep(path).is_err());
    }
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "precious");
    let open = folder.path().join("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("a mode");
    let error = Door::open(&open.join("control.sock"), None).expect_err("anybody's directory");
    assert!(
        error.to_string().contains("may be changed by others (owner ") && error.to_string().contains("777"),
        "{error}"
    );
    let error = Door::open(&folder.path().join("no/such/control.sock"), None).expect_err("no directory");
    assert!(error.to_string().contains("create directory"), "{error}");
    let error = Door::open(&folder.path().join("x"), Some("no such group")).expect_err("no group");
    assert!(error.to_string().contains("no group \"no such group\" on this host"), "{error}");
}

#[test]
fn paths_that_no_socket_can_have_are_told() {
    for (path, usable) in [
        ("/run/plimsoll/control.sock", true),
        ("control.sock", false),
        ("", false),
        ("/", false),
        ("/run/..", false),
        (&format!("/{}", "x".repeat(95)), true),
        (&format!("/{}", "x".repeat(96)), false),
    ] {
        assert_eq!(unusable(Path::new(path)).is_none(), usable, "{path}");
    }
    assert!(matches!(Door::open(Path::new("control.sock"), None), Err(DoorError::Path { .. })));
}

/// Connects as another user with these groups, in a thread of its own that ends as such, and gives the answer.
#[expect(unsafe_code, reason = "credentials of one thread alone are changed by system calls")]
fn ask_as(path: &Path, uid: u32, group: u32, beside: &[u32]) -> std::io::Result<String> {
    use std::io::{Read as _, Write as _};
    let (path, beside) = (path.to_owned(), beside.to_vec());
    let asks = std::thread::spawn(move || {
        // SAFETY: the calls get integers and a list with its length, and change this thread alone, which ends here.
        let changed = unsafe {
            libc::syscall(libc::SYS_setgroups, beside.len(), beside.as_ptr()) == 0
                && libc::syscall(libc::SYS_setresgid, group, group, group) == 0
                && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
        };
        assert!(changed, "become {uid}: {}", std::io::Error::last_os_error());
        let mut stream = UnixStream::connect(path)?;
        stream.write_all(head("GET", "/v1/limits", "").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    asks.join().expect("no panic")
}

/// Answers of the server to another user, while it serves on this thread.
async fn asked_as(server: &Server, uid: u32, group: u32, beside: &'static [u32]) -> std::io::Result<String> {
    let path = server.path.clone();
    tokio::task::spawn_blocking(move || ask_as(&path, uid, group, beside)).await.expect("no panic")
}

#[tokio::test]
async fn a_stranger_who_reaches_the_socket_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: becoming another user takes root");
        return;
    }
    let server = Server::start(SLOW);
    open_to_all(&server.path);
    let error = asked_as(&server, NOBODY, NOBODY, &[]).await.expect_err("its mode keeps others out");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    fs::set_permissions(&server.path, Permissions::from_mode(0o666)).expect("a mode");
    for (uid, group, beside, expected) in [
        (NOBODY, NOBODY, &[][..], 403),
        (NOBODY, 0, &[0], 403),
        (NOBODY, GROUP, &[GROUP], 403),
        (0, NOBODY, &[], 200),
    ] {
        let answer = asked_as(&server, uid, group, beside).await.expect("an answer");
        assert_eq!(status(&answer), expected, "{uid} {group} {beside:?}: {answer}");
        if expected == 403 {
            assert_eq!(super::error(&answer).error, "user 65534 may not use the control socket");
        }
    }
}

#[tokio::test]
async fn members_of_the_group_may_ask_and_nobody_else() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: becoming another user takes root");
        return;
    }
    let server = Server::start_for(Some("424242"), SLOW);
    open_to_all(&server.path);
    let found = fs::symlink_metadata(&server.path).expect("it is there");
    assert_eq!((found.mode() & 0o7777, found.gid()), (0o660, GROUP));
    let made = server.path.with_file_name("made");
    let _door = Door::open(&made.join("control.sock"), Some("424242")).expect("a door");
    let found = fs::symlink_metadata(&made).expect("it is there");
    assert_eq!((found.mode() & 0o7777, found.gid()), (0o750, GROUP), "a directory of ours lets them through");
    for (group, beside) in [(GROUP, &[][..]), (NOBODY, &[1, GROUP, 2]), (NOBODY, &MANY)] {
        let answer = asked_as(&server, NOBODY, group, beside).await.expect("an answer");
        assert_eq!(status(&answer), 200, "{answer}");
    }
    asked_as(&server, NOBODY, NOBODY, &[]).await.expect_err("its mode keeps others out");
    fs::set_permissions(&server.path, Permissions::from_mode(0o666)).expect("a mode");
    assert_eq!(status(&asked_as(&server, NOBODY, NOBODY, &[1, 2]).await.expect("an answer")), 403);
}

/// More groups than one look has room for, the one that counts last.
static MANY: [u32; 300] = {
    let mut groups = [100_000; 300];
    groups[299] = GROUP;
    groups
};

/// The directory of a socket, so that only the socket itself keeps somebody out.
fn open_to_all(path: &Path) {
    let directory = path.parent().expect("a directory");
    fs::set_permissions(directory, Permissions::from_mode(0o755)).expect("a mode");
}
