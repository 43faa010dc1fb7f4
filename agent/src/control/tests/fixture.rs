//! A server with a desk that answers by the container's name, and what tells of it.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    control::{Desk, Door, Refused, Set, Settled, Unset, Why, client::Agent, serve},
    inventory::{Identity, Kind},
    ledger::{
        journal::{Journal, JournalReader, Who},
        limits::{Counts, Limits, Line, What},
    },
};

/// What the desk was asked, and by whom.
pub type Asked = (Option<Set>, Option<Unset>, Who);

pub fn moment(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_380_000 + seconds)
}

pub fn identity(name: &str) -> Identity {
    let id = "4f2a11bc0d9e".to_owned() + &"0".repeat(52);
    let identity = Identity::cgroup(format!("/docker/{id}"), Kind::Container);
    Identity { name: name.to_owned(), container_id: id, ..identity }
}

fn lines() -> Vec<Line> {
    let line = |what, value, mode, method| Line {
        account: 7,
        identity: Arc::new(identity("web")),
        what,
        value,
        used: None,
        mode,
        origin: "by hand (uid 0)".to_owned(),
        until: Some(moment(60)),
        method,
        degraded: None,
        counts: Counts { hits: 5, ..Counts::default() },
    };
    vec![
        Line { used: Some(49), ..line(What::Tasks, 50, "enforce", "pids.max") },
        line(What::Egress, 10_000_000, "dry-run", ""),
        Line { degraded: Some("no tbf".to_owned()), ..line(What::Ingress, 1_500_000, "enforce", "") },
    ]
}

#[derive(Debug, Clone)]
struct Fake {
    journal: JournalReader,
    asked: mpsc::UnboundedSender<Asked>,
}

impl Fake {
    async fn settle(&self, container: &str) -> Result<Settled, Refused> {
        let why = match container {
            "web" => {
                let notes = vec!["the cap of 40 holds in its place".to_owned()];
                return Ok(Settled { container: (&identity("web")).into(), lines: lines(), notes });
            }
            "slow" => std::future::pending().await,
            "none" => Why::Unknown,
            "two" => Why::Ambiguous,
            "zero" => Why::Impossible,
            "runtime" => Why::Protected,
            "kernel" => Why::Failed,
            _ => Why::Away,
        };
        Err(Refused::new(why, container, "do x"))
    }
}

impl Desk for Fake {
    fn limits(&self) -> Arc<Limits> {
        let (loaded, problem) = (Some(moment(0)), Some("line 7".to_owned()));
        Arc::new(Limits {
            mode: "enforce",
            lines: lines(),
            drift: 3,
            loaded,
            problem,
            first: std::collections::HashMap::new(),
        })
    }

    async fn set(&self, set: Set, who: Who) -> Result<Settled, Refused> {
        let container = set.container.clone();
        let _ = self.asked.send((Some(set), None, who));
        self.settle(&container).await
    }

    async fn unset(&self, unset: Unset, who: Who) -> Result<Settled, Refused> {
        let container = unset.container.clone();
        let _ = self.asked.send((None, Some(unset), who));
        self.settle(&container).await
    }

    fn journal(&self) -> JournalReader {
        self.journal.clone()
    }
}

pub struct Server {
    pub path: PathBuf,
    pub journal: Journal,
    asked: mpsc::UnboundedReceiver<Asked>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

impl Server {
    pub fn start(deadline: Duration) -> Self {
        Self::start_for(None, deadline)
    }

    pub fn start_for(group: Option<&str>, deadline: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let door = Door::open(&path, group).expect("a door");
        let (journal, reader) = Journal::new(moment(0));
        let (asked, asks) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let desk = Fake { journal: reader, asked };
        let task = tokio::spawn(serve(door, desk, deadline, async {
            let _ = stopped.await;
        }));
        Self { path, journal, asked: asks, stop, task, _folder: folder }
    }

    pub fn agent(&self) -> Agent<'_> {
        Agent { socket: &self.path }
    }

    pub async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.expect("a connection")
    }

    /// Sends bytes and reads to the end of the connection.
    pub async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        // The server may close before it took all.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("an end");
        String::from_utf8(answer).expect("UTF-8")
    }

    pub async fn asked(&mut self) -> Asked {
        timeout(Duration::from_secs(5), self.asked.recv()).await.expect("in time").expect("a request")
    }

    pub fn nobody_asked(&mut self) -> bool {
        self.asked.try_recv().is_err()
    }

    pub async fn end(self) {
        self.stop.send(()).expect("it runs");
        let ended = timeout(Duration::from_secs(5), self.task).await.expect("an end");
        ended.expect("no panic").expect("no error");
    }
}

/// A request that is the last of its connection.
pub fn head(method: &str, target: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

pub fn status(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1).and_then(|word| word.get(..3)?.parse().ok());
    word.unwrap_or_else(|| panic!("no status: {answer:?}"))
}

pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map(|(_, body)| body).expect("a body")
}
