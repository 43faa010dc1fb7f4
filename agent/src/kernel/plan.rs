//! Facts about the host, and what follows from them: which programs are attached, which are left out and why. The plan itself is pure.

use std::collections::BTreeMap;

use super::{
    Error,
    programs::{HOOKS, Hook, Need},
};

/// Oldest kernel that the hooks are made for: 5.15 (atomic fetch, bpf links of tracepoints, ring buffer, iterators).
pub const OLDEST: (u32, u32) = (5, 15);

/// What the plan depends on.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `uname -r`.
    pub release: String,
    /// Whether the kernel tells its types; else why not.
    pub btf: Result<(), String>,
    /// Tracepoints that the kernel has, with the number of their arguments.
    pub tracepoints: BTreeMap<&'static str, usize>,
    /// Whether sockets are known by their containers; else why not.
    pub sockets: Result<(), String>,
}

/// What becomes of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The hook.
    pub hook: &'static Hook,
    /// `None`: attach. Else why it is left out.
    pub left_out: Option<String>,
}

/// The running kernel's release, as `uname -r` tells it; empty where /proc is not mounted.
#[must_use]
pub fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// Major and minor number of a release such as `6.1.0-47-cloud-amd64`.
#[must_use]
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Decides for every hook.
///
/// # Errors
/// A required program cannot run here: one sentence that says why and what to do.
pub fn plan(facts: &Facts) -> Result<Vec<Decision>, Error> {
    let Facts { release, btf, .. } = facts;
    if version(release).is_some_and(|found| found < OLDEST) {
        let (major, minor) = OLDEST;
        return Err(Error::Refused(format!(
            "kernel {release} is too old: {major}.{minor} or later is needed"
        )));
    }
    if let Err(reason) = btf {
        return Err(Error::Refused(format!(
            "this kernel does not tell its types ({reason}): boot one with CONFIG_DEBUG_INFO_BTF=y, as all current \
             distributions' are"
        )));
    }
    HOOKS.iter().map(|hook| decide(hook, facts)).collect()
}

fn decide(hook: &'static Hook, facts: &Facts) -> Result<Decision, Error> {
    let there = facts.tracepoints.contains_key(hook.tracepoint);
    let missing = (!there).then(|| format!("this kernel has no tracepoint {}", hook.tracepoint));
    let left_out = match (hook.need, missing) {
        (Need::Required, Some(reason)) => {
            return Err(Error::Refused(format!("{reason}: {} cannot be counted", hook.feature)));
        }
        (Need::Sockets, missing) => missing.or_else(|| facts.sockets.clone().err()),
        (_, missing) => missing,
    };
    Ok(Decision { hook, left_out })
}

#[cfg(test)]
mod tests {
    use super::{Facts, HOOKS, plan, version};

    fn facts() -> Facts {
        let tracepoints = HOOKS.iter().map(|hook| (hook.tracepoint, 2)).collect();
        Facts { release: "6.1.0-47-cloud-amd64".into(), btf: Ok(()), tracepoints, sockets: Ok(()) }
    }

    #[test]
    fn a_release_has_two_numbers() {
        let table = [("6.18.44", Some((6, 18))), ("5.4-rc1", Some((5, 4))), ("6", None), ("", None)];
        for (release, expected) in table {
            assert_eq!(version(release), expected, "{release}");
        }
    }

    #[test]
    fn a_whole_kernel_leaves_nothing_out() {
        assert!(plan(&facts()).unwrap().iter().all(|decision| decision.left_out.is_none()));
    }

    #[test]
    fn an_optional_tracepoint_is_left_out_with_its_reason() {
        let mut facts = facts();
        facts.tracepoints.remove("cgroup_transfer_tasks");
        let plan = plan(&facts).unwrap();
        let decision = plan.iter().find(|decision| decision.hook.program == "transfer").unwrap();
        assert!(decision.left_out.as_ref().unwrap().contains("cgroup_transfer_tasks"));
    }

    #[test]
    fn what_needs_sockets_is_left_out_where_they_are_nobodys() {
        let facts = Facts { sockets: Err("no cgroup2".into()), ..facts() };
        let plan = plan(&facts).unwrap();
        let left_out: Vec<_> = plan.iter().filter(|decision| decision.left_out.is_some()).collect();
        assert_eq!(left_out.len(), 5);
        assert!(left_out.iter().all(|decision| decision.hook.program.starts_with("tcp_")));
        assert_eq!(left_out[0].left_out.as_deref(), Some("no cgroup2"));
    }

    #[test]
    fn what_cannot_be_exact_is_refused_in_one_sentence() {
        let mut old = facts();
        old.release = "5.4.0".into();
        let mut blind = facts();
        blind.btf = Err("no file".into());
        let mut deaf = facts();
        deaf.tracepoints.remove("task_newtask");
        for (facts, word) in [(old, "5.15"), (blind, "CONFIG_DEBUG_INFO_BTF"), (deaf, "task_newtask")] {
            let error = plan(&facts).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
    }
}
