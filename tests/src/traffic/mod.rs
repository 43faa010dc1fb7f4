//! `plimsoll-load traffic`: one honest load of packets at a time, in the network namespace and cgroup that it is started in.

mod raw;
mod sink;

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

/// Where the sink takes TCP connections and datagrams.
pub const SINK: u16 = 5001;
/// Where nobody listens.
const CLOSED: u16 = 9;
/// Bytes of one write of a bulk load.
const CHUNK: usize = 64 << 10;

const USAGE: &str = "usage: plimsoll-load traffic sink | tcp ADDR BYTES | connections ADDR COUNT | udp ADDR SIZE COUNT | \
    flood ADDR SIZE COUNT | udp-gso ADDR SEGMENT SEGMENTS COUNT | closed ADDR COUNT | udp-closed ADDR COUNT | \
    raw ADDR COUNT | packets INTERFACE COUNT";

/// Runs one load with these words of the command line.
pub fn run(words: &[&str]) -> Result<()> {
    match *words {
        ["sink"] => sink::run(),
        ["tcp", address, bytes] => tcp(address.parse()?, bytes.parse()?),
        ["connections", address, count] => connections(address.parse()?, count.parse()?),
        ["udp", address, size, count] => udp(address.parse()?, SINK, size.parse()?, count.parse()?),
        ["flood", address, size, count] => flood(address.parse()?, size.parse()?, count.parse()?),
        ["udp-gso", address, segment, segments, count] => {
            udp_gso(address.parse()?, segment.parse()?, segments.parse()?, count.parse()?)
        }
        ["closed", address, count] => closed(address.parse()?, count.parse()?),
        ["udp-closed", address, count] => udp_closed(address.parse()?, count.parse()?),
        ["raw", address, count] => raw::ip(address.parse()?, count.parse()?),
        ["packets", interface, count] => raw::packets(interface, count.parse()?),
        _ => bail!("{USAGE}"),
    }
}

/// One connection with so many bytes; the sink closes when it has all.
fn tcp(address: IpAddr, bytes: usize) -> Result<()> {
    let mut stream = TcpStream::connect((address, SINK)).context("connect to the sink")?;
    let chunk = vec![7; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let size = left.min(CHUNK);
        stream.write_all(&chunk[..size]).context("write to the sink")?;
        left -= size;
    }
    finish(&mut stream)
}

/// Connections one after the other, a byte each.
fn connections(address: IpAddr, count: u32) -> Result<()> {
    for _ in 0..count {
        let mut stream = TcpStream::connect((address, SINK)).context("connect to the sink")?;
        stream.write_all(&[7]).context("write to the sink")?;
        finish(&mut stream)?;
    }
    Ok(())
}

/// Says that nothing more comes, and waits for the other side to say so too.
fn finish(stream: &mut TcpStream) -> Result<()> {
    use std::io::Read as _;
    stream.shutdown(std::net::Shutdown::Write).context("end a connection")?;
    stream.read_to_end(&mut Vec::new()).context("wait for the sink").map(drop)
}

/// A socket for datagrams to an address.
fn datagrams(address: IpAddr, port: u16) -> Result<UdpSocket> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any.parse::<SocketAddr>()?).context("make a socket")?;
    socket.connect((address, port)).context("connect a socket")?;
    Ok(socket)
}

fn udp(address: IpAddr, port: u16, size: usize, count: u32) -> Result<()> {
    let (socket, datagram) = (datagrams(address, port)?, vec![7; size]);
    for sent in 0..count {
        socket.send(&datagram).context("send a datagram")?;
        breathe(sent);
    }
    Ok(())
}

/// Datagrams as fast as the kernel takes them; the sink may not find room for all.
fn flood(address: IpAddr, size: usize, count: u32) -> Result<()> {
    let (socket, datagram) = (datagrams(address, SINK)?, vec![7; size]);
    (0..count).try_for_each(|_| socket.send(&datagram).map(drop)).context("send a datagram")
}

/// Datagrams handed over in one piece, which the kernel cuts.
fn udp_gso(address: IpAddr, segment: u16, segments: usize, count: u32) -> Result<()> {
    let socket = datagrams(address, SINK)?;
    let size = libc::c_int::from(segment);
    // SAFETY: the option's value is an int that lives over the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const size).cast(),
            u32::try_from(size_of_val(&size))?,
        )
    };
    ensure!(result == 0, "UDP_SEGMENT: {}", std::io::Error::last_os_error());
    let datagrams = vec![7; usize::from(segment) * segments];
    for sent in 0..count {
        socket.send(&datagrams).context("send datagrams")?;
        breathe(sent);
    }
    Ok(())
}

/// Connections that are refused.
fn closed(address: IpAddr, count: u32) -> Result<()> {
    for _ in 0..count {
        ensure!(TcpStream::connect((address, CLOSED)).is_err(), "somebody listens on port {CLOSED}");
    }
    Ok(())
}

/// Datagrams that are refused; the refusals come back as errors.
fn udp_closed(address: IpAddr, count: u32) -> Result<()> {
    let socket = datagrams(address, CLOSED)?;
    for sent in 0..count {
        let _refused_before = socket.send(&[7; 64]);
        breathe(sent);
    }
    Ok(())
}

/// Gives the other side time: what its queues have no room for would be counted by one side only.
fn breathe(sent: u32) {
    if sent % 32 == 31 {
        std::thread::sleep(Duration::from_millis(1));
    }
}
