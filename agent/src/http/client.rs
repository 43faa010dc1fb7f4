//! Asks over a connection that is open already. One request, one answer.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes that an answer may have: 10,000 accounts need about 5 MB.
const MAX_BYTES: usize = 64 << 20;

/// What went wrong with an exchange.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Sends a request; gives the head of the answer, whose body comes as it is read. The connection ends with it.
///
/// # Errors
/// The connection ended, or what answers does not speak HTTP.
pub async fn send<W>(wire: W, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure>
where
    W: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await?;
    // Where it fails, the answer says why. It ends once the sender and the answer are gone.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// The whole body of an answer.
///
/// # Errors
/// It is cut, or has more than 64 MiB.
pub async fn whole(answer: Response<Incoming>) -> Result<Bytes, Failure> {
    Ok(Limited::new(answer.into_body(), MAX_BYTES).collect().await?.to_bytes())
}
