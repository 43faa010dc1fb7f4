//! What the running kernel's BTF says of tracepoints and tasks.

use std::path::Path;

use anyhow::{Context as _, Result};
use btf::{Btf, btf::Type};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's types.
pub struct Types(Btf);

impl Types {
    /// Reads them.
    pub fn read() -> Result<Self> {
        Btf::from_file(Path::new(VMLINUX)).map(Self).with_context(|| format!("read {VMLINUX}"))
    }

    /// The id of a tracepoint's type, which names what a program is attached to.
    pub fn tracepoint(&self, name: &str) -> Result<u32> {
        let wanted = format!("btf_trace_{name}");
        let found = self.0.get_types().iter().position(|kind| kind.name.as_deref() == Some(wanted.as_str()));
        Ok(found.with_context(|| format!("no tracepoint {name} in {VMLINUX}"))?.try_into()?)
    }

    /// Where a task has the id of its process, in bytes.
    pub fn tgid(&self) -> Result<i16> {
        let task = self.0.get_types().iter().filter(|kind| kind.name.as_deref() == Some("task_struct"));
        let members = task.filter_map(|kind| match &kind.base_type {
            Type::Struct(task) => Some(&task.members),
            _ => None,
        });
        let tgid = members.flatten().find(|member| member.name.as_deref() == Some("tgid"));
        Ok((tgid.with_context(|| format!("no task_struct.tgid in {VMLINUX}"))?.offset / 8).try_into()?)
    }
}
