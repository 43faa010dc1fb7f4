//! What answers are made of.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;
use tokio_stream::Stream;

/// What an answer carries.
pub type Body = BoxBody<Bytes, Infallible>;

const PLAIN: &str = "text/plain; charset=utf-8";
/// The type of a JSON document.
pub const JSON: &str = "application/json";

/// One line of text.
#[must_use]
pub fn plain(status: StatusCode, mut line: String) -> Response<Body> {
    line.push('\n');
    response(status, PLAIN, Full::new(Bytes::from(line)).boxed())
}

/// One JSON document.
pub fn json(status: StatusCode, document: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(document) {
        Ok(mut document) => {
            document.push(b'\n');
            response(status, JSON, Full::new(Bytes::from(document)).boxed())
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("write the answer: {error}")),
    }
}

/// One JSON document whose last field is a list: `head` has it empty, `rows` fill it. Made in chunks of about 64 kB.
pub fn list<R>(head: &impl Serialize, rows: R) -> Response<Body>
where
    R: Iterator<Item: Serialize> + Send + Sync + 'static,
{
    let head = serde_json::to_vec(head).unwrap_or_default();
    match head.strip_suffix(b"]}") {
        Some(head) => {
            response(StatusCode::OK, JSON, chunks(List { head: Some(head.to_vec()), rows: Some(rows) }))
        }
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer does not end in a list".to_owned()),
    }
}

/// The chunks of such a document.
struct List<R> {
    /// What is before the first row; `None` once it is written.
    head: Option<Vec<u8>>,
    /// `None` at the end.
    rows: Option<R>,
}

impl<R: Iterator<Item: Serialize>> Iterator for List<R> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        const CHUNK: usize = 64 << 10;
        let rows = self.rows.as_mut()?;
        let mut is_first = self.head.is_some();
        let mut out = self.head.take().unwrap_or_default();
        for row in rows {
            out.extend_from_slice(if is_first { b"\n" } else { b",\n" });
            is_first = false;
            // Writing to a `Vec` cannot fail, and neither can a type that has strings and numbers alone.
            let _ = serde_json::to_writer(&mut out, &row);
            if out.len() >= CHUNK {
                return Some(Bytes::from(out));
            }
        }
        self.rows = None;
        out.extend_from_slice(b"\n]}\n");
        Some(Bytes::from(out))
    }
}

/// A body that is made chunk by chunk, as it is taken.
pub fn chunks(chunks: impl Iterator<Item = Bytes> + Send + Sync + 'static) -> Body {
    stream(tokio_stream::iter(chunks))
}

/// A body that comes chunk by chunk.
pub fn stream(chunks: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Body {
    use tokio_stream::StreamExt as _;
    BodyExt::boxed(StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))))
}

/// An answer that nobody keeps or guesses the type of.
#[must_use]
pub fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers: [(HeaderName, &'static str); 3] =
        [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
