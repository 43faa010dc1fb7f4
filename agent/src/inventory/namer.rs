//! Asks the runtimes' files who a container is, away from the task that owns the state. Never waits for a daemon.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{Identity, Kind, bounded, place::ancestor};
use crate::{
    cgroup::{directory, printable},
    runtimes::{Metadata, Proposal, Roots, confirm, sentence},
};

/// Who a cgroup's container is, as its runtime's file says.
#[derive(Debug)]
pub struct Answer {
    /// The cgroup that was asked about.
    pub cgroup: u32,
    /// The container; as [`Kind::Unresolved`] where no runtime knows it, as [`Kind::Cgroup`] where it is none.
    pub identity: Identity,
    /// The container's own path from the hierarchy's root.
    pub path: Vec<u8>,
    /// What kept a runtime's file from being read, in words.
    pub problem: Option<String>,
}

/// Labels of a container that are kept for whoever selects by them.
const MOST_LABELS: usize = 256;
/// How often the runtimes' roots are looked for again at most.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Asks and answers.
#[derive(Debug, Clone)]
pub struct Namer {
    known: Arc<Mutex<Known>>,
    labels: Arc<[String]>,
    mount: Arc<Path>,
    answers: mpsc::UnboundedSender<Answer>,
}

/// Where the runtimes' files are, and when that was looked for.
#[derive(Debug)]
struct Known {
    roots: Arc<Roots>,
    looked: Option<Instant>,
}

impl Namer {
    /// Answers arrive at the receiver. `labels` are the keys of container labels to keep, `mount` is the directory of the
    /// hierarchy that cgroups are asked about in.
    #[must_use]
    pub fn new(roots: Roots, labels: Vec<String>, mount: PathBuf) -> (Self, mpsc::UnboundedReceiver<Answer>) {
        let (answers, receiver) = mpsc::unbounded_channel();
        let known = Known { roots: Arc::new(roots), looked: None };
        let namer =
            Self { known: Arc::new(Mutex::new(known)), labels: labels.into(), mount: mount.into(), answers };
        (namer, receiver)
    }

    /// Asks who the container of the cgroup at `path` is. One answer will come. Inside a tokio runtime.
    pub fn ask(&self, cgroup: u32, path: Vec<u8>, proposals: Vec<Proposal>) {
        let namer = self.clone();
        tokio::task::spawn_blocking(move || {
            let ask = |roots: &Roots| namer.answer(roots, cgroup, &path, &proposals);
            let mut answer = ask(&namer.roots());
            if answer.identity.kind == Kind::Unresolved
                && let Some(roots) = namer.more_roots()
            {
                answer = ask(&roots);
            }
            let _ = namer.answers.send(answer); // nobody listens any more: the agent ends
        });
    }
}

impl Namer {
    fn roots(&self) -> Arc<Roots> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).roots.clone()
    }

    /// Looks for daemons that were started since; `None` where there are none, or if that was looked for just now.
    fn more_roots(&self) -> Option<Arc<Roots>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.is_some_and(|last| last.elapsed() < LOOK_AGAIN) {
            return None;
        }
        known.looked = Some(Instant::now());
        let before = known.roots.docker.len();
        let more = Arc::new(known.roots.find_more()?);
        for root in more.docker.iter().skip(before) {
            tracing::info!("containers are looked for in {} ({}), too", root.path.display(), root.source);
        }
        known.roots.clone_from(&more);
        Some(more)
    }
}

impl Namer {
    /// The outermost container that its runtime confirms: what a container names the cgroups in it is its own affair. Else
    /// the outermost that the path looks like.
    fn answer(&self, roots: &Roots, cgroup: u32, path: &[u8], proposals: &[Proposal]) -> Answer {
        let mut problem = None;
        for proposal in proposals.iter().rev() {
            let own = ancestor(path, proposal.depth);
            match confirm(roots, proposal, &self.labels) {
                Ok(Some(metadata)) if self.is_made_by(metadata.owner, own) => {
                    let path = own.to_vec();
                    return Answer { cgroup, identity: identity(&path, proposal, metadata), path, problem };
                }
                // It has the name of a container, and was made by somebody else.
                Ok(Some(_)) => {
                    let path = path.to_vec();
                    return Answer {
                        cgroup,
                        identity: Identity::cgroup(id(&path), Kind::Cgroup),
                        path,
                        problem,
                    };
                }
                Ok(None) => {}
                Err(error) => problem = Some(sentence(&error)),
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

    /// Whether that user may make cgroups where this one is: who may, may give one any container's name.
    fn is_made_by(&self, user: u32, path: &[u8]) -> bool {
        let parent = path.iter().rposition(|byte| *byte == b'/').map_or(path, |end| &path[..end]);
        fs::metadata(directory(&self.mount, parent)).is_ok_and(|parent| parent.uid() == user)
    }
}

/// The `id` label of the cgroup at `path`.
#[must_use]
pub fn id(path: &[u8]) -> String {
    bounded(&printable(path)).into_owned()
}

fn identity(path: &[u8], proposal: &Proposal, metadata: Metadata) -> Identity {
    let Metadata { runtime, owner: _, name, image, labels, every_label, project, service, created, started } =
        metadata;
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
        every_label: every_label
            .iter()
            .take(MOST_LABELS)
            .map(|(key, value)| (cut(key), cut(value)))
            .collect(),
        created,
        started,
    }
}
