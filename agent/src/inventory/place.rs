//! From a cgroup's path to whose it may be. Pure: a path only proposes.

use crate::runtimes::{Proposal, proposals};

/// Cgroups that are no container have an account of their own down to this depth; units at any depth.
const NEAR: usize = 2;

/// What systemd gives a cgroup to.
const UNITS: [&[u8]; 6] = [b".service", b".scope", b".slice", b".socket", b".mount", b".swap"];

/// Whose a cgroup may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Within one of these containers, the innermost that its runtime confirms.
    Container(Vec<Proposal>),
    /// A systemd unit, or near the root.
    Cgroup,
    /// Summed up with others.
    Other,
}

/// Whose the cgroup at `path` (from the hierarchy's root) may be.
#[must_use]
pub fn place(path: &[u8]) -> Place {
    let proposals: Vec<_> = proposals(path).collect();
    if !proposals.is_empty() {
        return Place::Container(proposals);
    }
    // A cgroup that is named like the sum is in it: an id occurs once.
    if path == b"/other" {
        return Place::Other;
    }
    if depth(path) <= NEAR || UNITS.iter().any(|unit| path.ends_with(unit)) {
        Place::Cgroup
    } else {
        Place::Other
    }
}

/// Components of a path; 0 is the root.
#[must_use]
pub fn depth(path: &[u8]) -> usize {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty()).count()
}

/// The first `depth` components of a path: of a container's sub-cgroup, the container's own.
#[must_use]
pub fn ancestor(path: &[u8], depth: usize) -> &[u8] {
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    slashes.nth(depth).map_or(path, |end| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::{Place, ancestor, depth, place};

    #[test]
    fn units_and_cgroups_near_the_root_have_accounts_the_rest_is_summed() {
        let table: [(&[u8], Place); 7] = [
            (b"/other", Place::Other),
            (b"/", Place::Cgroup),
            (b"/a", Place::Cgroup),
            (b"/a/b", Place::Cgroup),
            (b"/a/b/c", Place::Other),
            (b"/system.slice/x.slice/y.service", Place::Cgroup),
            (b"/system.slice/x.slice/y.service/sub", Place::Other),
        ];
        for (path, expected) in table {
            assert_eq!(place(path), expected, "{path:?}");
        }
    }

    #[test]
    fn a_containers_sub_cgroup_is_the_containers() {
        let id = "4f".repeat(32);
        let path = format!("/docker/{id}/init.scope");
        let Place::Container(proposals) = place(path.as_bytes()) else { panic!("no container") };
        assert_eq!(ancestor(path.as_bytes(), proposals[0].depth), format!("/docker/{id}").as_bytes());
    }

    #[test]
    fn ancestors_end_at_whole_components() {
        assert_eq!((depth(b"/"), depth(b"/a/b")), (0, 2));
        let table: [(usize, &[u8]); 4] = [(0, b""), (1, b"/a"), (2, b"/a/bc"), (9, b"/a/bc/d")];
        for (depth, expected) in table {
            assert_eq!(ancestor(b"/a/bc/d", depth), expected);
        }
    }
}
