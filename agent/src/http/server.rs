//! Takes connections, bounds what each may cost, ends them when the agent ends.

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

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{answer::Body, stall::Stall};

/// Connections that may be open at once.
pub const CONNECTIONS: usize = 16;
/// How long answers that are under way may take once the agent ends.
pub const DRAIN: Duration = Duration::from_secs(2);
/// Bytes that the line and the headers of a request may have.
const HEADER_BYTES: usize = 8 << 10;
/// How long to wait when no connection can be taken, for lack of file descriptors say.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Writes as much as needs no waiting, and nothing after that.
    ///
    /// # Errors
    /// The kernel's.
    fn last_words(self, words: &[u8]) -> io::Result<()>;
}

/// Where connections come in.
pub trait Listener {
    /// What comes in.
    type Wire: Wire;

    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Wire>> + Send;
}

/// Who answers requests.
pub trait Site: Send + Sync + 'static {
    /// What they come in on.
    type Wire: Wire;
    /// What is known of a connection.
    type Caller: Clone + Send + Sync + 'static;

    /// Looks at a connection before its first request. `None` hangs up.
    fn greet(&self, wire: &Self::Wire, ending: &Ending) -> Option<Self::Caller>;

    /// Answers one request.
    fn answer(
        &self,
        request: Request<Incoming>,
        caller: Self::Caller,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Hears that a connection was refused, as [`CONNECTIONS`] were open.
    fn turned_away(&self) {}
}

/// Tells that the server ends. Answers without an end must look at it.
#[derive(Debug, Clone)]
pub struct Ending(watch::Receiver<()>);

impl Ending {
    /// Waits until it ends.
    pub async fn comes(&mut self) {
        let _ = self.0.changed().await; // nothing is ever sent: an error is what is waited for
    }
}

/// Serves until `shutdown` is ready, then lets answers that are under way end. A connection that fails is no error.
///
/// `deadline` is how long a client may take to send its headers, to take more of an answer, or to ask again.
pub async fn serve<L, S>(listener: L, site: S, deadline: Duration, shutdown: impl Future<Output = ()>)
where
    L: Listener,
    S: Site<Wire = L::Wire>,
{
    let site = Arc::new(site);
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
            Ok(wire) if open.len() < CONNECTIONS => {
                let ending = Ending(stopped.clone());
                let connection = connections.spawn(converse(wire, Arc::clone(&site), deadline, ending));
                open.push_back((Instant::now(), connection));
            }
            Ok(wire) => {
                site.turned_away();
                refuse(wire);
            }
            Err(error) => {
                warn!(%error, "take a connection");
                sleep(PAUSE).await;
            }
        }
    }
    drop((listener, stop, stopped));
    // Those that do not end in time are ended with the set.
    let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
}

/// Answers the requests of one connection, one after another.
async fn converse<S: Site>(wire: S::Wire, site: Arc<S>, deadline: Duration, mut ending: Ending) {
    let Some(caller) = site.greet(&wire, &ending) else { return };
    let service = service_fn(move |request| {
        let (site, caller) = (Arc::clone(&site), caller.clone());
        async move { Ok::<_, Infallible>(site.answer(request, caller).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadline)
        .max_header_size(HEADER_BYTES)
        // Read in one go, so that too long a header is answered and not just cut; and one chunk of a page at a time.
        .max_buf_size(2 * HEADER_BYTES)
        .serve_connection(TokioIo::new(Stall::new(wire, deadline)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending.comes() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "end a connection");
    }
}

/// Says that there is no room, as far as that needs no waiting.
fn refuse(wire: impl Wire) {
    let body = format!("{CONNECTIONS} connections are open already\n");
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    if let Err(error) = wire.last_words(answer.as_bytes()) {
        debug!(%error, "refuse a connection");
    }
}

impl Listener for TcpListener {
    type Wire = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Wire for TcpStream {
    fn last_words(self, words: &[u8]) -> io::Result<()> {
        let mut stream = self.into_std()?;
        stream.write_all(words)?;
        stream.shutdown(Shutdown::Write)
    }
}

impl Listener for UnixListener {
    type Wire = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Wire for UnixStream {
    fn last_words(self, words: &[u8]) -> io::Result<()> {
        let mut stream = self.into_std()?;
        stream.write_all(words)?;
        stream.shutdown(Shutdown::Write)
    }
}
