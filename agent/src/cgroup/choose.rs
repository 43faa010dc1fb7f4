//! Which hierarchy the kernel programs count in: the one that containers' tasks are in.

use std::path::Path;

use super::{
    CgroupError, Hierarchies, Hierarchy, Kind, directory,
    files::{first_pid, path_of_pid},
    walk::walk,
};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// cgroup2, unless a container's tasks are outside it.
    #[default]
    Auto,
    /// cgroup2 or nothing.
    Cgroup2,
    /// The v1 pids hierarchy or nothing.
    Pids,
}

/// Chooses the hierarchy to count in. `outside`: a container's tasks are in v1 only.
///
/// # Errors
/// What is wished for is not mounted.
pub fn choose(hierarchies: &Hierarchies, outside: bool, wish: Wish) -> Result<&Hierarchy, CgroupError> {
    let (cgroup2, pids_v1) = (hierarchies.cgroup2.as_ref(), hierarchies.pids_v1.as_ref());
    match wish {
        Wish::Cgroup2 => cgroup2.ok_or(CgroupError::NotMounted(Kind::Cgroup2)),
        Wish::Pids => pids_v1.ok_or(CgroupError::NotMounted(Kind::PidsV1)),
        Wish::Auto => pids_v1.filter(|_| outside).or(cgroup2).or(pids_v1).ok_or(CgroupError::NoneMounted),
    }
}

/// The v1 path of a container whose tasks are not in a container of cgroup2, if there is one now.
///
/// `is_container` tells by a cgroup's path whether it looks like a container's.
#[must_use]
pub fn container_outside_cgroup2(
    hierarchies: &Hierarchies,
    is_container: impl Fn(&[u8]) -> bool,
) -> Option<Vec<u8>> {
    let (cgroup2, pids_v1) = hierarchies.cgroup2.as_ref().zip(hierarchies.pids_v1.as_ref())?;
    let is_outside = |path: &[u8]| {
        // A task that ends meanwhile tells nothing.
        let task = first_pid(&directory(&pids_v1.mount, path)).and_then(|pid| path_of_pid(pid, cgroup2).ok());
        task.flatten().is_some_and(|path| !is_container(&path))
    };
    containers(&pids_v1.mount, &is_container).find(|path| is_outside(path))
}

fn containers(mount: &Path, is_container: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = Vec<u8>> {
    let paths = walk(mount).cgroups.into_iter().map(|(_, path)| path);
    paths.filter(move |path| is_container(path))
}

#[cfg(test)]
mod tests {
    use super::{Wish, choose};
    use crate::cgroup::{CgroupError, Hierarchies, Hierarchy, Kind, Mode};

    fn hierarchies(cgroup2: bool, pids_v1: bool) -> Hierarchies {
        let hierarchy = |kind| Hierarchy { mount: "/m".into(), kind, hierarchy_id: 0 };
        Hierarchies {
            cgroup2: cgroup2.then(|| hierarchy(Kind::Cgroup2)),
            pids_v1: pids_v1.then(|| hierarchy(Kind::PidsV1)),
            mode: Mode::Hybrid,
        }
    }

    #[test]
    fn cgroup2_is_chosen_unless_a_container_is_outside() {
        use Kind::{Cgroup2, PidsV1};
        // (cgroup2 mounted, v1 pids mounted, a container outside cgroup2, wish) -> chosen
        let rows = [
            (true, true, false, Wish::Auto, Some(Cgroup2)),
            (true, true, true, Wish::Auto, Some(PidsV1)),
            (true, false, true, Wish::Auto, Some(Cgroup2)),
            (false, true, false, Wish::Auto, Some(PidsV1)),
            (false, false, false, Wish::Auto, None),
            (true, true, true, Wish::Cgroup2, Some(Cgroup2)),
            (true, true, false, Wish::Pids, Some(PidsV1)),
            (false, true, false, Wish::Cgroup2, None),
            (true, false, true, Wish::Pids, None),
        ];
        for (cgroup2, pids_v1, outside, wish, kind) in rows {
            let hierarchies = hierarchies(cgroup2, pids_v1);
            let chosen = choose(&hierarchies, outside, wish).ok().map(|hierarchy| hierarchy.kind);
            assert_eq!(chosen, kind, "{cgroup2} {pids_v1} {outside} {wish:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = hierarchies(false, false);
        let text = |wish| choose(&none, false, wish).unwrap_err().to_string();
        assert!(text(Wish::Auto).starts_with("no cgroup hierarchy is mounted; mount one"));
        assert!(text(Wish::Pids).starts_with("no v1 pids hierarchy is mounted"));
        assert!(matches!(choose(&none, true, Wish::Cgroup2), Err(CgroupError::NotMounted(Kind::Cgroup2))));
    }
}
