//! The server of metrics: over TCP, read-only.

use std::{future::Future, io, net::IpAddr, time::Duration};

use hyper::{Request, Response, body::Incoming};
use tokio::net::{TcpListener, TcpStream};

pub use super::routes::Source;
use super::{hosts::Hosts, own::Own, routes::Site};
use crate::http::{
    answer::Body,
    server::{self, Ending},
};

/// What the server may be told.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Hosts that a request may name beside loopback and the address that it came in on.
    pub allowed_hosts: Vec<String>,
    /// How long a client may take to send its headers, to take more of an answer, or to ask again.
    pub deadline: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { allowed_hosts: Vec::new(), deadline: Duration::from_secs(10) }
    }
}

/// Serves until `shutdown` is ready, then lets answers that are under way end.
///
/// # Errors
/// Where the server's own metrics cannot be made. A connection that fails is no error.
pub async fn serve<S: Source>(
    listener: TcpListener,
    config: HttpConfig,
    source: S,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let HttpConfig { allowed_hosts, deadline } = config;
    let own = Own::new().map_err(io::Error::other)?;
    let hosts = Hosts::new(allowed_hosts.iter().map(String::as_str));
    server::serve(listener, Site { source, hosts, own, deadline }, deadline, shutdown).await;
    Ok(())
}

impl<S: Source> server::Site for Site<S> {
    type Wire = TcpStream;
    /// Our address that the connection came in on.
    type Caller = IpAddr;

    fn greet(&self, wire: &TcpStream, _ending: &Ending) -> Option<IpAddr> {
        // Small ends of answers are not to wait for the client's acknowledgement.
        wire.set_nodelay(true).and_then(|()| wire.local_addr()).ok().map(|local| local.ip())
    }

    async fn answer(&self, request: Request<Incoming>, local: IpAddr) -> Response<Body> {
        Self::answer(self, &request, local).await
    }

    fn turned_away(&self) {
        self.own.refused.inc();
    }
}

#[cfg(test)]
mod tests;
