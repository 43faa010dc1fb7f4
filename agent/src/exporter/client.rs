//! Asks an agent that runs on this or another host. One request, one answer.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, header::HOST};
use tokio::{net::TcpStream, time::timeout};

use crate::http::client::{Failure, send, whole};

/// How long the whole may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no agent answers on {0}: start one with `plimsoll run`, or name its address with --agent")]
    NoAgent(SocketAddr),
    /// The address cannot be reached.
    #[error("reach the agent on {addr}: {source}; name its address with --agent")]
    Connect {
        /// Whom was asked.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// What answers does not speak HTTP, or stopped in the middle.
    #[error("ask {addr} for {path}: {source}; is it a Plimsoll agent?")]
    Http {
        /// Whom was asked.
        addr: SocketAddr,
        /// For what.
        path: String,
        /// What went wrong.
        source: Failure,
    },
    /// It answers, but not with what was asked for.
    #[error("ask {addr} for {path}: it answers {status}: {reason}")]
    Status {
        /// Whom was asked.
        addr: SocketAddr,
        /// For what.
        path: String,
        /// The status of its answer.
        status: StatusCode,
        /// The first line of its answer.
        reason: String,
    },
    /// It took too long.
    #[error("ask {addr} for {path}: no whole answer in 10 s; is it a Plimsoll agent, and is it well?")]
    Timeout {
        /// Whom was asked.
        addr: SocketAddr,
        /// For what.
        path: String,
    },
}

/// Gets what an agent has at a path.
///
/// # Errors
/// Where nobody answers in 10 s, or with another status than 200.
pub async fn get(addr: SocketAddr, path: &str) -> Result<Bytes, ClientError> {
    let addr = reachable(addr);
    let path = path.to_owned();
    match timeout(DEADLINE, ask(addr, &path)).await {
        Ok(answer) => answer,
        Err(_) => Err(ClientError::Timeout { addr, path }),
    }
}

/// The address to ask an agent on that listens on all: a request that names `0.0.0.0` is refused.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}

async fn ask(addr: SocketAddr, path: &str) -> Result<Bytes, ClientError> {
    let http = |source| ClientError::Http { addr, path: path.to_owned(), source };
    let stream = TcpStream::connect(addr).await.map_err(|source| match source.kind() {
        io::ErrorKind::ConnectionRefused => ClientError::NoAgent(addr),
        _ => ClientError::Connect { addr, source },
    })?;
    let request = Request::get(path).header(HOST, addr.to_string()).body(Full::default());
    let answer = send(stream, request.map_err(|error| http(error.into()))?).await.map_err(http)?;
    let status = answer.status();
    let body = whole(answer).await.map_err(http)?;
    if status == StatusCode::OK {
        return Ok(body);
    }
    let text = String::from_utf8_lossy(&body);
    let reason = text.lines().next().unwrap_or_default().to_owned();
    Err(ClientError::Status { addr, path: path.to_owned(), status, reason })
}

#[cfg(test)]
mod tests;
