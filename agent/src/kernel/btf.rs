//! Kernel types by name: offsets of members, arguments of tracepoints. Nothing here is hard-coded but names.

use std::{collections::BTreeMap, path::Path};

use btf::btf::{Btf, FlattenedType, Type};
use plimsoll_common::{kernel_fields, names, socket_fields};

use super::{Error, programs::HOOKS};

/// Where the kernel tells its types (since 5.4, with `CONFIG_DEBUG_INFO_BTF`).
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// What the programs need to know of the running kernel's types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types {
    /// Value of each global of the programs.
    pub globals: Vec<(&'static str, u32)>,
    /// Tracepoints of the table that this kernel has, with the number of their arguments.
    pub tracepoints: BTreeMap<&'static str, usize>,
    /// Whether it has what programs read of sockets; else what is missing.
    pub sockets: Result<(), String>,
}

/// A global, and the member of a struct whose offset it holds.
type Field = (&'static str, &'static str, &'static str);

macro_rules! list {
    ($($global:ident: $structure:ident.$member:ident,)*) => {
        &[$((stringify!($global), stringify!($structure), stringify!($member)),)*]
    };
}
const FIELDS: &[Field] = kernel_fields!(list);
const SOCKET_FIELDS: &[Field] = socket_fields!(list);

impl Types {
    /// Reads what is needed from `path`.
    ///
    /// # Errors
    /// The file cannot be read, or a member is missing.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let error = |reason: String| Error::Btf { path: path.to_owned(), reason };
        let btf = Btf::from_file(path).map_err(|source| error(source.to_string()))?;
        let structures = Structures::of(&btf);
        let mut globals = structures.offsets(FIELDS).map_err(error)?;
        let tracepoints = tracepoints(&btf);
        let subsys =
            structures.offset("css_set", "subsys").ok_or_else(|| error("no css_set.subsys".into()))?;
        if let Some(pids) = enum_value(&btf, "pids_cgrp_id") {
            globals.push((names::CSS_SET_PIDS, subsys + 8 * pids));
        }
        let oom_has_task = tracepoints.get("mark_victim").is_some_and(|arguments| *arguments > 1);
        globals.push((names::OOM_HAS_TASK, u32::from(oom_has_task)));
        let tells_errors = tracepoints.get("tcp_retransmit_skb").is_some_and(|arguments| *arguments > 2);
        globals.push((names::RETRANSMIT_HAS_ERROR, u32::from(tells_errors)));
        let sockets = structures.offsets(SOCKET_FIELDS).map(|offsets| globals.extend(offsets));
        Ok(Self { globals, tracepoints, sockets })
    }
}

/// Structs by name. The same name may occur more than once (a kernel and a module's view): the first with the member.
struct Structures<'a> {
    btf: &'a Btf,
    named: BTreeMap<&'a str, Vec<&'a FlattenedType>>,
}

impl<'a> Structures<'a> {
    fn of(btf: &'a Btf) -> Self {
        let mut named: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for kind in btf.get_types() {
            if let (Some(name), Type::Struct(_), 0) = (&kind.name, &kind.base_type, kind.num_refs) {
                named.entry(name).or_default().push(kind);
            }
        }
        Self { btf, named }
    }

    /// The offset of each, or what is missing.
    fn offsets(&self, fields: &[Field]) -> Result<Vec<(&'static str, u32)>, String> {
        let offset = |&(global, structure, member): &Field| {
            let offset = self.offset(structure, member).ok_or_else(|| format!("no {structure}.{member}"));
            Ok((global, offset?))
        };
        fields.iter().map(offset).collect()
    }

    fn offset(&self, structure: &str, member: &str) -> Option<u32> {
        self.named.get(structure)?.iter().find_map(|kind| self.offset_in(kind, member))
    }

    /// Bytes from the start; members of anonymous structs and unions count as the outer one's.
    fn offset_in(&self, kind: &FlattenedType, member: &str) -> Option<u32> {
        let (Type::Struct(structure) | Type::Union(structure)) = &kind.base_type else { return None };
        structure.members.iter().find_map(|candidate| match candidate.name.as_deref() {
            Some(name) if name == member => Some(candidate.offset / 8),
            None | Some("") => {
                let inner = self.btf.get_type_by_id(candidate.type_id).ok()?;
                if inner.num_refs > 0 {
                    return None;
                }
                Some(candidate.offset / 8 + self.offset_in(inner, member)?)
            }
            Some(_) => None,
        })
    }
}

fn enum_value(btf: &Btf, name: &str) -> Option<u32> {
    btf.get_types().iter().find_map(|kind| {
        let Type::Enum32(values) = &kind.base_type else { return None };
        let entry = values.entries.iter().find(|entry| entry.name.as_deref() == Some(name))?;
        u32::try_from(entry.value).ok()
    })
}

/// Arguments of each tracepoint of the table, without the leading `void *__data`.
fn tracepoints(btf: &Btf) -> BTreeMap<&'static str, usize> {
    let mut found = BTreeMap::new();
    for kind in btf.get_types() {
        let Some(name) = kind.name.as_deref().and_then(|name| name.strip_prefix("btf_trace_")) else {
            continue;
        };
        let Some(hook) = HOOKS.iter().find(|hook| hook.tracepoint == name) else { continue };
        if let Type::FunctionProto(prototype) = &kind.base_type {
            found.insert(hook.tracepoint, prototype.params.len().saturating_sub(1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Path, Types, VMLINUX};

    #[test]
    fn the_running_kernel_has_every_field_and_tracepoint() {
        if !Path::new(VMLINUX).exists() {
            println!("skipped: this kernel has no BTF");
            return;
        }
        let types = Types::read(Path::new(VMLINUX)).unwrap();
        let value = |name| types.globals.iter().find(|(global, _)| *global == name).map(|(_, value)| *value);
        assert!(value("TASK_TGID") > Some(0) && value("TASK_TGID") != value("TASK_PID"));
        assert!(value("CSS_SET_PIDS") > Some(0));
        assert!(types.tracepoints.contains_key("task_newtask"));
        assert_eq!(types.sockets, Ok(()));
        assert_ne!(value("COMMON_REMOTE4"), value("COMMON_LOCAL4"));
    }

    #[test]
    fn a_file_that_is_no_btf_is_refused_with_its_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"no btf at all").unwrap();
        let error = Types::read(file.path()).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
}
