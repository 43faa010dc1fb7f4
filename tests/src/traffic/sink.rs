//! Takes what comes: reads connections to their end, and drops datagrams.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    thread,
};

use anyhow::{Context as _, Result, ensure};

use super::{CHUNK, PATIENT, SINK, set};

/// Connections that may wait to be accepted; the kernel allows no more by default.
const QUEUE: libc::c_int = 4096;

/// Says `ready`, and goes on until it is killed.
pub(super) fn run() -> Result<()> {
    let listener = TcpListener::bind(("::", SINK)).context("listen")?;
    // A connection that finds no room here asks again after a second.
    // SAFETY: a call that takes no memory, on a socket that lives.
    let listening = unsafe { libc::listen(listener.as_raw_fd(), QUEUE) };
    ensure!(listening == 0, std::io::Error::last_os_error());
    let socket = UdpSocket::bind(("::", SINK)).context("make a socket")?;
    let mut datagram = vec![0; 1 << 16];
    thread::spawn(move || while socket.recv(&mut datagram).is_ok() {});
    let patient = TcpListener::bind(("::", PATIENT)).context("listen")?;
    set(&patient, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &libc::c_int::from(1_u8))
        .context("be patient")?;
    thread::spawn(move || serve(&patient));
    println!("ready");
    io::stdout().flush()?;
    serve(&listener)
}

fn serve(listener: &TcpListener) -> Result<()> {
    for stream in listener.incoming() {
        let stream = stream.context("accept a connection")?;
        thread::spawn(move || swallow(stream));
    }
    Ok(())
}

/// Its end closes the connection.
fn swallow(mut stream: TcpStream) {
    let mut chunk = vec![0; CHUNK];
    while stream.read(&mut chunk).is_ok_and(|read| read > 0) {}
}
