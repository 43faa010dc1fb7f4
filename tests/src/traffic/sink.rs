//! Takes what comes: reads connections to their end, and drops datagrams.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    thread,
};

use anyhow::{Context as _, Result};

use super::SINK;

/// Says `ready`, and goes on until it is killed.
pub(super) fn run() -> Result<()> {
    let listener = TcpListener::bind(("::", SINK)).context("listen")?;
    let socket = UdpSocket::bind(("::", SINK)).context("make a socket")?;
    let mut datagram = vec![0; 1 << 16];
    thread::spawn(move || while socket.recv(&mut datagram).is_ok() {});
    println!("ready");
    io::stdout().flush()?;
    for stream in listener.incoming() {
        let stream = stream.context("accept a connection")?;
        thread::spawn(move || swallow(stream));
    }
    Ok(())
}

/// Its end closes the connection.
fn swallow(mut stream: TcpStream) {
    let mut chunk = vec![0; 1 << 20];
    while stream.read(&mut chunk).is_ok_and(|read| read > 0) {}
}
