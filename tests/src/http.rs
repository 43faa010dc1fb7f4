//! A small HTTP/1.1 client: one request, one connection.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::wait::PATIENCE;

/// What a server answered.
#[derive(Debug)]
pub struct Response {
    /// 200 and the like.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, chunks put together.
    pub body: Vec<u8>,
}

impl Response {
    /// The body, if it is UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).context("a body that is not UTF-8")
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// `GET` of a path on a server.
pub fn get(server: SocketAddr, path: &str) -> Result<Response> {
    send(server, &format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n"))
}

/// Any request, as it goes over the wire, and its answer.
pub fn send(server: SocketAddr, request: &str) -> Result<Response> {
    let exchange = || -> Result<Response> {
        let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer)
    };
    let first = request.lines().next().unwrap_or_default();
    exchange().with_context(|| format!("{first} of {server}"))
}

/// A TCP port of the loopback interface that nobody listens on.
pub fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    listener.local_addr().context("find a free port")
}

fn parse(answer: &[u8]) -> Result<Response> {
    let (head, body) = split(answer, b"\r\n\r\n").context("an answer without an end of its headers")?;
    let head = std::str::from_utf8(head).context("headers that are not UTF-8")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response { status: status.parse().context("status")?, headers, body: body.to_vec() };
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = unchunked(body)?;
    } else if let Some(length) = response.header("content-length")
        && length.parse() != Ok(body.len())
    {
        bail!("a body of {} bytes where {length} were told", body.len());
    }
    Ok(response)
}

fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let (size, after) = split(rest, b"\r\n").context("a chunk without a size")?;
        let size = usize::from_str_radix(std::str::from_utf8(size)?, 16).context("size of a chunk")?;
        if size == 0 {
            return Ok(body);
        }
        let (chunk, after) = after.split_at_checked(size).context("a chunk cut short")?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").context("a chunk without its end")?;
    }
}

fn split<'a>(bytes: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(by.len()).position(|window| window == by)?;
    Some((&bytes[..at], &bytes[at + by.len()..]))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn chunks_are_put_together() {
        let answer =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab\r\n\r\n2\r\ncd\r\n0\r\n\r\n";
        let response = parse(answer).unwrap();
        assert_eq!((response.status, response.text().unwrap()), (200, "ab\r\ncd"));
    }

    #[test]
    fn a_body_cut_short_is_no_answer() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab").is_err());
        assert_eq!(parse(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").unwrap().status, 404);
    }
}
