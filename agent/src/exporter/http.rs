//! The HTTP server: takes connections, bounds what each may cost, ends them when the agent ends.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    io::{self, Write},
    net::Shutdown,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tracing::{debug, warn};

pub use super::routes::Source;
use super::{hosts::Hosts, own::Own, routes::Site, stall::Stall};

/// Connections that may be open at once.
const CONNECTIONS: usize = 16;
/// Bytes that the line and the headers of a request may have.
const HEADER_BYTES: usize = 8 << 10;
/// How long answers that are under way may take once the agent ends.
const DRAIN: Duration = Duration::from_secs(2);
/// How long to wait when no connection can be taken, for lack of file descriptors say.
const PAUSE: Duration = Duration::from_millis(100);

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
    let site = Arc::new(Site { source, hosts, own, deadline });
    // Dropping `stop` tells every connection.
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut open: VecDeque<(Instant, AbortHandle)> = VecDeque::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = shutdown.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        open.retain(|(_, connection)| !connection.is_finished());
        // One that lasts longer than any answer may take is kept by somebody who asks again and again: it makes room.
        if accepted.is_ok() && open.len() >= CONNECTIONS {
            let oldest = open.pop_front_if(|(since, _)| since.elapsed() > 2 * deadline);
            if let Some((_, oldest)) = oldest {
                oldest.abort();
            }
        }
        match accepted {
            Ok((stream, _)) if open.len() < CONNECTIONS => {
                let connection = connections.spawn(converse(stream, Arc::clone(&site), stopped.clone()));
                open.push_back((Instant::now(), connection));
            }
            Ok((stream, _)) => {
                site.own.refused.inc();
                refuse(stream);
            }
            Err(error) => {
                warn!(%error, "take a connection");
                sleep(PAUSE).await;
            }
        }
    }
    drop((listener, stop));
    // Those that do not end in time are ended with the set.
    let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Answers the requests of one connection, one after another.
async fn converse<S: Source>(stream: TcpStream, site: Arc<Site<S>>, mut stopped: watch::Receiver<()>) {
    // Small ends of answers are not to wait for the client's acknowledgement.
    let Ok(local) = stream.set_nodelay(true).and_then(|()| stream.local_addr()) else { return };
    let deadline = site.deadline;
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(&request, local.ip()).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadline)
        .max_header_size(HEADER_BYTES)
        // Read in one go, so that too long a header is answered and not just cut; and one chunk of a page at a time.
        .max_buf_size(2 * HEADER_BYTES)
        .serve_connection(TokioIo::new(Stall::new(stream, deadline)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "end a connection");
    }
}

/// Says that there is no room, as far as that needs no waiting.
fn refuse(stream: TcpStream) {
    let body = "16 connections are open already\n";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let said = stream.into_std().and_then(|mut stream| {
        stream.write_all(answer.as_bytes())?;
        stream.shutdown(Shutdown::Write)
    });
    if let Err(error) = said {
        debug!(%error, "refuse a connection");
    }
}

#[cfg(test)]
mod tests;
