//! Asks the agent of this host over its control socket.

use std::{
    error::Error,
    io, iter,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HOST},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};

use super::{DEADLINE, document::ErrorDocument};
use crate::http::{
    answer::JSON,
    client::{Failure, send, whole},
};

/// How long an answer may take: the agent gives up earlier, and says why.
const PATIENCE: Duration = DEADLINE.saturating_add(Duration::from_secs(5));
/// Bytes that a line of a stream may have: an entry has about 1 kB.
const MOST_LINE: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no socket.
    #[error(
        "there is no control socket {0}: start an agent with `plimsoll run`, or name its socket with --control"
    )]
    NoSocket(PathBuf),
    /// Nobody listens.
    #[error("no agent answers on {0}: the one that made it has ended; start one with `plimsoll run`")]
    NoAgent(PathBuf),
    /// The socket is not for this user.
    #[error(
        "control socket {0} is not for this user: run it with sudo, or as a member of the group that control-group names in the agent's configuration"
    )]
    Denied(PathBuf),
    /// The socket cannot be reached.
    #[error("reach the agent on {path}: {source}; name its socket with --control")]
    Connect {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It hung up before it answered.
    #[error(
        "the agent on {path} hung up before it answered {target}: it ends, or serves as many as it can; try again"
    )]
    HungUp {
        /// Who was asked.
        path: PathBuf,
        /// For what.
        target: String,
    },
    /// What answers does not speak HTTP, or stopped in the middle.
    #[error("ask {path} for {target}: {source}; is it a Plimsoll agent?")]
    Http {
        /// Who was asked.
        path: PathBuf,
        /// For what.
        target: String,
        /// What went wrong.
        source: Failure,
    },
    /// It says what is wrong with what was asked.
    #[error("{error}{}{hint}", if hint.is_empty() { "" } else { "; " })]
    Refused {
        /// The status of its answer.
        status: StatusCode,
        /// What is wrong.
        error: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// It answers, but not as an agent of this version does.
    #[error(
        "ask {path} for {target}: it answers {status}: {said}; is it a Plimsoll agent, and of this command's version?"
    )]
    Strange {
        /// Who was asked.
        path: PathBuf,
        /// For what.
        target: String,
        /// The status of its answer.
        status: StatusCode,
        /// What cannot be read, or why.
        said: String,
    },
    /// It took too long.
    #[error("ask {path} for {target}: no whole answer in {PATIENCE:?}; is the agent well? See its log")]
    Timeout {
        /// Who was asked.
        path: PathBuf,
        /// For what.
        target: String,
    },
}

/// The agent behind a control socket.
#[derive(Debug, Clone, Copy)]
pub struct Agent<'a> {
    /// The socket.
    pub socket: &'a Path,
}

impl Agent<'_> {
    /// Gets a document.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(self, target: &str) -> Result<T, ClientError> {
        self.exchange(Method::GET, target, Bytes::new()).await
    }

    /// Asks for a change.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        self,
        target: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(target)(error.into()))?;
        self.exchange(Method::POST, target, body.into()).await
    }

    /// Gets a stream of documents, a line each.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn lines(self, target: &str) -> Result<Lines, ClientError> {
        let answer = self.in_time(target, self.ask(Method::GET, target, Bytes::new())).await?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(Lines { body: answer.into_body(), rest: BytesMut::new() });
        }
        Err(self.refused(target, status, &whole(answer).await.map_err(self.broken(target))?))
    }

    async fn exchange<T: DeserializeOwned>(
        self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let exchange = async {
            let answer = self.ask(method, target, body).await?;
            let status = answer.status();
            Ok((status, whole(answer).await.map_err(self.broken(target))?))
        };
        let (status, body) = self.in_time(target, exchange).await?;
        if status != StatusCode::OK {
            return Err(self.refused(target, status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| self.strange(target, status, error.to_string()))
    }

    async fn ask(self, method: Method, target: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let path = || self.socket.to_owned();
        let stream = UnixStream::connect(self.socket).await.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ClientError::NoSocket(path()),
            io::ErrorKind::ConnectionRefused => ClientError::NoAgent(path()),
            io::ErrorKind::PermissionDenied => ClientError::Denied(path()),
            _ => ClientError::Connect { path: path(), source },
        })?;
        let request = Request::builder().method(method).uri(target);
        let request = request.header(HOST, "localhost").header(CONTENT_TYPE, JSON).body(Full::new(body));
        let request = request.map_err(|error| self.broken(target)(error.into()))?;
        send(stream, request).await.map_err(|failure| {
            if hung_up(failure.as_ref()) {
                return ClientError::HungUp { path: path(), target: target.to_owned() };
            }
            self.broken(target)(failure)
        })
    }

    async fn in_time<T>(
        self,
        target: &str,
        asking: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let late = |_| ClientError::Timeout { path: self.socket.to_owned(), target: target.to_owned() };
        timeout(PATIENCE, asking).await.map_err(late)?
    }

    fn refused(self, target: &str, status: StatusCode, body: &[u8]) -> ClientError {
        if let Ok(ErrorDocument { error, hint }) = serde_json::from_slice(body) {
            return ClientError::Refused { status, error: error.into_owned(), hint: hint.into_owned() };
        }
        let said = String::from_utf8_lossy(body);
        self.strange(target, status, said.lines().next().unwrap_or_default().chars().take(200).collect())
    }

    fn strange(self, target: &str, status: StatusCode, said: String) -> ClientError {
        ClientError::Strange { path: self.socket.to_owned(), target: target.to_owned(), status, said }
    }

    fn broken(self, target: &str) -> impl Fn(Failure) -> ClientError {
        let (path, target) = (self.socket.to_owned(), target.to_owned());
        move |source| ClientError::Http { path: path.clone(), target: target.clone(), source }
    }
}

/// Whether an exchange ended as the other end was closed, with nothing said.
fn hung_up(failure: &(dyn Error + 'static)) -> bool {
    let closed =
        |error: &hyper::Error| error.is_closed() || error.is_canceled() || error.is_incomplete_message();
    let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
    iter::successors(Some(failure), |error: &&(dyn Error + 'static)| (**error).source()).any(|error| {
        error.downcast_ref().is_some_and(closed)
            || error.downcast_ref::<io::Error>().is_some_and(|error| gone.contains(&error.kind()))
    })
}

impl ClientError {
    /// Whether no agent is there, which may change.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::NoSocket(_) | Self::NoAgent(_) | Self::HungUp { .. })
    }
}

/// A stream of lines.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    rest: BytesMut,
}

impl Lines {
    /// The next line, without its end; `None` when the agent ended the stream.
    ///
    /// # Errors
    /// The stream was cut, or a line has no end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1).freeze();
                return Ok(Some(line.slice(..end)));
            }
            if self.rest.len() > MOST_LINE {
                return Err("a line that does not end".into());
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
