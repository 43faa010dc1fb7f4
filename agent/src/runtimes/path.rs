//! Proposes whose container a cgroup path is, by the path alone. Reads no file: the runtime's own file confirms.

use super::Runtime;

/// Digits of a container id, as docker, containerd, CRI-O and podman make them.
const ID_DIGITS: usize = 64;

/// What a path looks like: a container of that runtime, until a file of the runtime confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Whose container it looks like.
    pub runtime: Runtime,
    /// The runtime's own id: 64 hex digits, or a name (LXC, nspawn, libvirt) or UUID (Mesos).
    pub container_id: String,
    /// Components of the path up to and including the container's own; deeper cgroups belong to it.
    pub depth: usize,
}

/// The innermost container that `path` (from the hierarchy's root) looks like.
#[must_use]
pub fn propose(path: &[u8]) -> Option<Proposal> {
    proposals(path).next()
}

/// All containers that `path` looks like, innermost first: more than one where containers are nested.
pub fn proposals(path: &[u8]) -> impl Iterator<Item = Proposal> + use<'_> {
    let components: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    (1..=components.len()).rev().filter_map(move |depth| {
        let mut inner_first =
            components.iter().take(depth).rev().map(|part| str::from_utf8(part).unwrap_or(""));
        let [own, parent, grandparent] = std::array::from_fn(|_| inner_first.next().unwrap_or(""));
        let (runtime, container_id) = recognise(own, parent, grandparent)?;
        Some(Proposal { runtime, container_id, depth })
    })
}

fn recognise(own: &str, parent: &str, grandparent: &str) -> Option<(Runtime, String)> {
    bare_id(own, parent, grandparent)
        .or_else(|| prefixed_id(own))
        .or_else(|| lxc(own, parent))
        .or_else(|| machine(own, parent))
        .or_else(|| mesos(own, parent, grandparent))
}

/// `<id>`: a cgroupfs driver; the parent tells whose. Docker's parent is free (`--cgroup-parent`).
fn bare_id(own: &str, parent: &str, grandparent: &str) -> Option<(Runtime, String)> {
    if !is_container_id(own) {
        return None;
    }
    let runtime = if parent.strip_prefix("pod").is_some_and(is_pod_uid) {
        Runtime::Kubernetes
    } else if parent.strip_prefix("podman-").is_some_and(|rest| rest.strip_suffix(".scope").is_some()) {
        Runtime::Podman
    } else if grandparent == "ecs" {
        Runtime::Ecs
    } else {
        Runtime::Docker
    };
    Some((runtime, own.to_owned()))
}

/// `<prefix>-<id>.scope` (systemd driver), `<prefix>-<id>` (cgroupfs) or `<slice>:<prefix>:<id>` (a systemd
/// path given to a cgroupfs driver). Monitors (`crio-conmon-<id>`, `libpod-conmon-<id>`) are no containers.
fn prefixed_id(own: &str) -> Option<(Runtime, String)> {
    let unit = own.strip_suffix(".scope").unwrap_or(own);
    let is_scope = unit.len() < own.len();
    let (prefix, id) = unit.split_at_checked(unit.len().checked_sub(ID_DIGITS)?)?;
    if !is_container_id(id) {
        return None;
    }
    let runtime = match prefix {
        "crio-" => Runtime::Crio,
        "libpod-" => Runtime::Podman,
        _ if prefix.ends_with(":docker:") => Runtime::Docker,
        _ if prefix.ends_with(":cri-containerd:") => Runtime::Containerd,
        _ if prefix.ends_with(":crio:") => Runtime::Crio,
        _ if !is_scope || prefix.ends_with("conmon-") => return None,
        "docker-" => Runtime::Docker,
        // cri-containerd, nerdctl and whatever else uses containerd under a name of its own.
        _ if prefix.len() > 1 && prefix.ends_with('-') => Runtime::Containerd,
        _ => return None,
    };
    Some((runtime, id.to_owned()))
}

/// `lxc.payload.<name>` since LXC 4, `lxc/<name>` before. LXC adds `-1` where that cgroup existed; since a name
/// may end so too, it stays. `lxc.monitor.<name>` and `lxc.pivot` are no containers.
fn lxc(own: &str, parent: &str) -> Option<(Runtime, String)> {
    let name = match own.strip_prefix("lxc.payload.") {
        Some(name) => name,
        None if parent == "lxc" && !own.starts_with("lxc.") => own,
        None => return None,
    };
    (!name.is_empty()).then(|| (Runtime::Lxc, name.to_owned()))
}

/// `systemd-nspawn@<name>.service`, `machine-<name>.scope`, and libvirt's `machine-qemu\x2d<n>\x2d<name>.scope`.
fn machine(own: &str, parent: &str) -> Option<(Runtime, String)> {
    if parent != "machine.slice" {
        return None;
    }
    if let Some(unit) = own.strip_prefix("systemd-nspawn@") {
        return Some((Runtime::Nspawn, unescape_unit(unit.strip_suffix(".service")?)?));
    }
    let name = unescape_unit(own.strip_prefix("machine-")?.strip_suffix(".scope")?)?;
    Some(match libvirt_domain(&name) {
        Some(domain) => (Runtime::Libvirt, domain.to_owned()),
        None => (Runtime::Nspawn, name),
    })
}

/// The domain of `qemu-<n>-<domain>` or `lxc-<n>-<domain>`.
fn libvirt_domain(machine: &str) -> Option<&str> {
    let (number, domain) =
        machine.strip_prefix("qemu-").or_else(|| machine.strip_prefix("lxc-"))?.split_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !domain.is_empty()).then_some(domain)
}

/// `mesos/<uuid>`; containers nested in it (`mesos/<uuid>/mesos/<uuid>`) belong to it.
fn mesos(own: &str, parent: &str, grandparent: &str) -> Option<(Runtime, String)> {
    (parent == "mesos" && is_uuid(own) && !is_uuid(grandparent)).then(|| (Runtime::Mesos, own.to_owned()))
}

/// Whether `text` is 64 lower-case hex digits: safe to put into a path.
#[must_use]
pub fn is_container_id(text: &str) -> bool {
    text.len() == ID_DIGITS && is_hex(text)
}

/// `8-4-4-4-12` hex digits with `-` or (systemd) `_`, or 32 digits for a static pod.
fn is_pod_uid(text: &str) -> bool {
    (text.len() == 32 && is_hex(text)) || is_uuid(&text.replace('_', "-"))
}

fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(is_hex)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Undoes systemd's `\xNN` in the name of a unit; `None` where the result is empty or not UTF-8.
fn unescape_unit(unit: &str) -> Option<String> {
    let mut parts = unit.split("\\x");
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok())?;
        bytes.push(byte);
        bytes.extend_from_slice(part.as_bytes().get(2..)?);
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
