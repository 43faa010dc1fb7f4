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
