//! One row per way in which a runtime names its cgroups.

use super::{Proposal, proposals, propose};
use crate::runtimes::Runtime;

const ID: &str = "4f5e1c0ffee0123456789abcdef0123456789abcdef0123456789abcdef01234";
const OTHER: &str = "00000000000000000000000000000000000000000000000000000000000000ff";
const UUID: &str = "0a1b2c3d-1111-2222-3333-0123456789ab";
const UID_: &str = "0a1b2c3d_1111_2222_3333_0123456789ab";

/// `{ID}`, `{OTHER}`, `{UUID}` and `{UID_}` stand for the constants above.
fn filled(text: &str) -> String {
    text.replace("{ID}", ID).replace("{OTHER}", OTHER).replace("{UUID}", UUID).replace("{UID_}", UID_)
}

fn found(path: &str) -> Vec<(Runtime, String, usize)> {
    proposals(filled(path).as_bytes()).map(|p| (p.runtime, p.container_id, p.depth)).collect()
}

/// (path, runtime, id, depth) of paths that name one container.
const ROWS: &[(&str, Runtime, &str, usize)] = &[
    ("/docker/{ID}", Runtime::Docker, "{ID}", 2),
    ("/my/own/parent/{ID}", Runtime::Docker, "{ID}", 4),
    ("/{ID}", Runtime::Docker, "{ID}", 1),
    ("/docker/{ID}/init.scope", Runtime::Docker, "{ID}", 2),
    ("/docker/{ID}/system.slice/cron.service", Runtime::Docker, "{ID}", 2),
    ("/system.slice/docker-{ID}.scope", Runtime::Docker, "{ID}", 2),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope",
        Runtime::Docker,
        "{ID}",
        5,
    ),
    ("/system.slice:docker:{ID}", Runtime::Docker, "{ID}", 1),
    ("/system.slice/nerdctl-{ID}.scope", Runtime::Containerd, "{ID}", 2),
    ("/my.slice/my-own-{ID}.scope", Runtime::Containerd, "{ID}", 2),
    ("/kubepods/burstable/pod{UUID}/{ID}", Runtime::Kubernetes, "{ID}", 4),
    ("/kubepods/besteffort/pod{UUID}/{ID}", Runtime::Kubernetes, "{ID}", 4),
    ("/kubepods/pod0123456789abcdef0123456789abcdef/{ID}/sub", Runtime::Kubernetes, "{ID}", 3),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope",
        Runtime::Containerd,
        "{ID}",
        4,
    ),
    ("/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope", Runtime::Containerd, "{ID}", 3),
    ("/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{ID}", Runtime::Containerd, "{ID}", 1),
    ("/kubepods.slice/kubepods-pod{UID_}.slice/docker-{ID}.scope", Runtime::Docker, "{ID}", 3),
    ("/kubepods/burstable/pod{UUID}/crio-{ID}", Runtime::Crio, "{ID}", 4),
    ("/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope", Runtime::Crio, "{ID}", 3),
    ("/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope/container", Runtime::Crio, "{ID}", 3),
    (
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope",
        Runtime::Containerd,
        "{ID}",
        4,
    ),
    ("/libpod_parent/libpod-{ID}", Runtime::Podman, "{ID}", 2),
    ("/machine.slice/libpod-{ID}.scope", Runtime::Podman, "{ID}", 2),
    ("/machine.slice/libpod-{ID}.scope/container", Runtime::Podman, "{ID}", 2),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope",
        Runtime::Podman,
        "{ID}",
        5,
    ),
    ("/user.slice/podman-1234.scope/{ID}", Runtime::Podman, "{ID}", 3),
    ("/machine.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope", Runtime::Podman, "{ID}", 3),
    ("/libpod_parent/libpod_pod_{OTHER}/libpod-{ID}", Runtime::Podman, "{ID}", 3),
    ("/lxc.payload.web-1/init.scope", Runtime::Lxc, "web-1", 1),
    ("/lxc/101/ns", Runtime::Lxc, "101", 2),
    ("/lxc/web", Runtime::Lxc, "web", 2),
    (r"/machine.slice/systemd-nspawn@deb\x2d12.service/payload", Runtime::Nspawn, "deb-12", 2),
    (r"/machine.slice/machine-deb\x2d12.scope", Runtime::Nspawn, "deb-12", 2),
    (
        r"/machine.slice/machine-qemu\x2d3\x2dfed\x2dora.scope/libvirt/emulator",
        Runtime::Libvirt,
        "fed-ora",
        2,
    ),
    (r"/machine.slice/machine-lxc\x2d7\x2dbox.scope", Runtime::Libvirt, "box", 2),
    ("/mesos/{UUID}", Runtime::Mesos, "{UUID}", 2),
    ("/mesos/{UUID}/mesos/{UUID}", Runtime::Mesos, "{UUID}", 2),
    ("/ecs/mytask/{ID}", Runtime::Ecs, "{ID}", 3),
];

#[test]
fn each_runtimes_path_names_its_container() {
    for (path, runtime, id, depth) in ROWS {
        assert_eq!(found(path), [(*runtime, filled(id), *depth)], "{path}");
    }
}

#[test]
fn what_is_no_container_is_not_proposed() {
    let paths = [
        "",
        "/",
        "/init.scope",
        "/docker",
        "/system.slice/docker.service",
        "/system.slice/my.slice/ssh.service",
        "/default/free-name",
        "/docker/4f5e1c0ffee0",
        "/system.slice/{ID}.scope",
        "/system.slice/-{ID}.scope",
        "/system.slice/docker-{ID}",
        "/kubepods.slice/crio-conmon-{ID}.scope",
        "/machine.slice/libpod-conmon-{ID}.scope",
        "/libpod_parent/conmon",
        "/machine.slice/machine-libpod_pod_{OTHER}.slice",
        "/libpod_parent/libpod_pod_{OTHER}",
        "/lxc.monitor.web",
        "/lxc.pivot",
        "/lxc/lxc.monitor.web",
        "/lxc.payload.",
        "/machine.slice/systemd-nspawn@.service",
        r"/machine.slice/machine-a\xff.scope",
        r"/machine.slice/machine-a\x.scope",
        "/mesos/not-a-uuid",
    ];
    for path in paths {
        assert_eq!(found(path), [], "{path}");
    }
    assert_eq!(propose(format!("/docker/{}", ID.to_uppercase()).as_bytes()), None);
}

#[test]
fn nested_containers_are_proposed_innermost_first() {
    assert_eq!(
        found("/docker/{OTHER}/kubelet/kubepods/pod{UUID}/{ID}/deeper"),
        [(Runtime::Kubernetes, ID.to_owned(), 6), (Runtime::Docker, OTHER.to_owned(), 2)]
    );
    assert_eq!(
        found("/lxc.payload.c1/system.slice/docker-{ID}.scope/x"),
        [(Runtime::Docker, ID.to_owned(), 3), (Runtime::Lxc, "c1".to_owned(), 1)]
    );
    assert_eq!(found("/lxc.payload.c1/lxc.monitor.inner"), [(Runtime::Lxc, "c1".to_owned(), 1)]);
}

#[test]
fn bytes_that_are_no_text_hide_only_their_own_component() {
    let mut path = format!("/docker/{ID}/").into_bytes();
    path.extend_from_slice(b"\xff\xfe");
    let proposal = Proposal { runtime: Runtime::Docker, container_id: ID.to_owned(), depth: 2 };
    assert_eq!(propose(&path), Some(proposal));
    assert_eq!(propose(b"/lxc.payload.\xff"), None);
}

/// xorshift64: repeatable, and good enough to mix bytes.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state % 0x7fff_ffff).unwrap()
}

/// Random paths of true pieces, their broken halves and random bytes.
fn random_path(state: &mut u64) -> Vec<u8> {
    let pieces = filled(
        "docker|docker-{ID}.scope|{ID}|:docker:{ID}|crio-|-conmon-{ID}|.scope|machine.slice|machine-\\x|é{ID}|\\x2d|\
         systemd-nspawn@|.service|lxc.payload.|lxc|mesos|{UUID}|pod{UID_}|ecs|podman-1.scope|/|//|\\xzz",
    );
    let pieces: Vec<&str> = pieces.split('|').collect();
    let mut path = Vec::new();
    for _ in 0..next(state) % 12 {
        let piece = pieces[next(state) % pieces.len()].as_bytes();
        match next(state) % 4 {
            0 => path.extend_from_slice(&piece[next(state) % piece.len()..]),
            1 => path.push(next(state).to_le_bytes()[0]),
            _ => path.extend_from_slice(piece),
        }
        if next(state).is_multiple_of(2) {
            path.push(b'/');
        }
    }
    path
}

#[test]
fn any_bytes_give_a_bounded_answer_and_no_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut proposed = 0;
    for _ in 0..200_000 {
        let path = random_path(&mut state);
        let components = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).count();
        let depths: Vec<usize> = proposals(&path).map(|proposal| proposal.depth).collect();
        assert!(depths.iter().all(|depth| (1..=components).contains(depth)), "{path:?}");
        assert!(depths.is_sorted_by(|inner, outer| inner > outer), "{path:?}");
        proposed += depths.len();
    }
    assert!(proposed > 10_000, "the generator makes too few true paths: {proposed}");
}
