//! Writes the labels of a sample: its owner's in the order of their names, then its own; none of them twice.

use super::escape::{push_label_name, push_value};
use crate::ledger::snapshot::{Account, Identity, Workload};

/// What the names of a container's own labels begin with.
const LABEL: &str = "container_label_";

/// Whose a sample is: what its labels are made of.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// An account, with the labels that cAdvisor gives it, as [`push_account`] wrote them.
    Account(&'a str),
    /// An account, with all labels that we know; the text is the beginning of what [`push_account`] wrote: those of the
    /// container itself.
    Info(&'a Account, &'a str),
    /// A workload.
    Workload(&'a Workload),
    /// The host, which needs no label.
    Node,
}

/// Appends the labels that cAdvisor gives an account, open for more, and tells where those end that the container itself
/// has. They stand in most lines of a page, and are written once for all of them.
pub fn push_account(identity: &Identity, out: &mut String) -> usize {
    let mut labels = Labels { out, open: false };
    let Identity { id, image, name, .. } = identity;
    labels.container(identity);
    let end = labels.out.len();
    labels.pairs([("id", id), ("image", image), ("name", name)]);
    end
}

impl Owner<'_> {
    /// Appends `{name="value",...}`, `more` last, or nothing where there is no label.
    pub fn push_labels(self, more: &[(&str, &str)], out: &mut String) {
        let mut labels = Labels { out, open: false };
        match self {
            Self::Account(text) => {
                labels.out.push_str(text);
                labels.open = true;
            }
            Self::Info(account, container) => labels.info(account, container),
            Self::Workload(workload) => {
                labels.pair("kind", workload.kind.as_str());
                labels.pair("workload", &workload.name);
            }
            Self::Node => {}
        }
        for (name, value) in more {
            labels.pair(name, value);
        }
        labels.close();
    }
}

/// The labels of one sample, while they are written.
struct Labels<'a> {
    out: &'a mut String,
    open: bool,
}

impl Labels<'_> {
    fn pair(&mut self, name: &str, value: &str) {
        self.begin();
        self.out.push_str(name);
        self.value(value);
    }

    fn pairs<const N: usize>(&mut self, pairs: [(&str, &String); N]) {
        for (name, value) in pairs {
            self.pair(name, value);
        }
    }

    /// `container_label_*`. Of keys that become the same name the first counts, as in cAdvisor.
    fn container(&mut self, identity: &Identity) {
        if self.in_order(identity).is_none() {
            self.sorted(identity);
        }
    }

    /// Writes them as they come, which is the order of their names for nearly all; else nothing.
    fn in_order(&mut self, identity: &Identity) -> Option<()> {
        let (begin, open) = (self.out.len(), self.open);
        let mut last = begin..begin;
        for (key, value) in &identity.labels {
            self.begin();
            let name = self.out.len();
            self.out.push_str(LABEL);
            push_label_name(self.out, key);
            let end = self.out.len();
            if self.out.get(last.clone()) >= self.out.get(name..end) {
                self.out.truncate(begin);
                self.open = open;
                return None;
            }
            last = name..end;
            self.value(value);
        }
        Some(())
    }

    fn sorted(&mut self, identity: &Identity) {
        let clean = |(key, value): (&String, _)| {
            let mut name = String::from(LABEL);
            push_label_name(&mut name, key);
            (name, value)
        };
        let mut labels: Vec<(String, &String)> = identity.labels.iter().map(clean).collect();
        labels.sort_by(|(one, _), (other, _)| one.cmp(other));
        labels.dedup_by(|(later, _), (first, _)| later == first);
        for (name, value) in labels {
            self.pair(&name, value);
        }
    }

    fn info(&mut self, account: &Account, container: &str) {
        let identity = &account.identity;
        let Identity { id, kind, name, image, container_id, runtime, project, service, .. } =
            identity.as_ref();
        self.pair("container_id", container_id);
        if let Some(more) = container.strip_prefix('{') {
            self.begin();
            self.out.push_str(more);
        }
        self.pairs([("id", id), ("image", image)]);
        self.pair("kind", kind.as_str());
        self.pair("name", name);
        self.pair("network_source", account.network.source.as_str());
        self.pairs([("project", project), ("runtime", runtime), ("service", service)]);
    }

    fn begin(&mut self) {
        self.out.push(if self.open { ',' } else { '{' });
        self.open = true;
    }

    fn value(&mut self, value: &str) {
        self.out.push_str("=\"");
        push_value(self.out, value);
        self.out.push('"');
    }

    fn close(self) {
        if self.open {
            self.out.push('}');
        }
    }
}
