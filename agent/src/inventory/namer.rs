//! Asks the runtimes' files who a container is, away from the task that owns the state. Never waits for a daemon.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Identity, Kind, bounded, place::ancestor};
use crate::{
    cgroup::printable,
    runtimes::{Metadata, Proposal, Roots, confirm},
};

/// Who a cgroup's container is, as its runtime's file says.
#[derive(Debug)]
pub struct Answer {
    /// The cgroup that was asked about.
    pub cgroup: u32,
    /// The container; as [`Kind::Unresolved`] where no runtime knows it.
    pub identity: Identity,
    /// The container's own path from the hierarchy's root.
    pub path: Vec<u8>,
    /// What kept a runtime's file from being read, in words.
    pub problem: Option<String>,
}

/// Asks and answers.
#[derive(Debug, Clone)]
pub struct Namer {
    roots: Arc<Roots>,
    labels: Arc<[String]>,
    answers: mpsc::UnboundedSender<Answer>,
}

impl Namer {
    /// Answers arrive at the receiver. `labels` are the keys of container labels to keep.
    #[must_use]
    pub fn new(roots: Roots, labels: Vec<String>) -> (Self, mpsc::UnboundedReceiver<Answer>) {
        let (answers, receiver) = mpsc::unbounded_channel();
        (Self { roots: Arc::new(roots), labels: labels.into(), answers }, receiver)
    }

    /// Asks who the container of the cgroup at `path` is. One answer will come. Inside a tokio runtime.
    pub fn ask(&self, cgroup: u32, path: Vec<u8>, proposals: Vec<Proposal>) {
        let namer = self.clone();
        tokio::task::spawn_blocking(move || {
            let answer = answer(&namer.roots, &namer.labels, cgroup, &path, &proposals);
            let _ = namer.answers.send(answer); // nobody listens any more: the agent ends
        });
    }
}

/// The innermost container that its runtime confirms; else the outermost that the path looks like.
fn answer(roots: &Roots, labels: &[String], cgroup: u32, path: &[u8], proposals: &[Proposal]) -> Answer {
    let mut problem = None;
    for proposal in proposals {
        match confirm(roots, proposal, labels) {
            Ok(Some(metadata)) => {
                let path = ancestor(path, proposal.depth).to_vec();
                return Answer { cgroup, identity: identity(&path, proposal, metadata), path, problem };
            }
            Ok(None) => {}
            Err(error) => problem = Some(error.to_string()),
        }
    }
    let depth = proposals.last().map_or(usize::MAX, |outermost| outermost.depth);
    let path = ancestor(path, depth).to_vec();
    let mut identity = Identity::cgroup(id(&path), Kind::Unresolved);
    if let Some(proposal) = proposals.last() {
        identity.container_id = bounded(&proposal.container_id).into_owned();
        identity.runtime = proposal.runtime.to_string();
    }
    Answer { cgroup, identity, path, problem }
}

/// The `id` label of the cgroup at `path`.
#[must_use]
pub fn id(path: &[u8]) -> String {
    bounded(&printable(path)).into_owned()
}

fn identity(path: &[u8], proposal: &Proposal, metadata: Metadata) -> Identity {
    let Metadata { runtime, name, image, labels, project, service, created, started } = metadata;
    let cut = |text: &str| bounded(text).into_owned();
    Identity {
        id: id(path),
        kind: Kind::Container,
        name: cut(&name),
        image: cut(&image),
        container_id: cut(&proposal.container_id),
        runtime: runtime.to_string(),
        project: cut(&project.unwrap_or_default()),
        service: cut(&service.unwrap_or_default()),
        labels: labels.iter().map(|(key, value)| (cut(key), cut(value))).collect(),
        created,
        started,
    }
}
