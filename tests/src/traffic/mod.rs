//! `plimsoll-load traffic`: one honest load of packets at a time, in the network namespace and cgroup that it is started in.

mod limited;
mod raw;
mod sink;

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

/// Where the sink takes TCP connections and datagrams.
pub const SINK: u16 = 5001;
/// Where the sink takes connections only once they say something.
const PATIENT: u16 = 5002;
/// Where nobody listens.
const CLOSED: u16 = 9;
/// Bytes of one write or read of a bulk load.
const CHUNK: usize = 64 << 10;
/// Longer than the kernel waits before it answers a new connection again.
const SILENCE: Duration = Duration::from_millis(1_800);

const USAGE: &str = "usage: plimsoll-load traffic sink | tcp ADDR BYTES | connections ADDR COUNT | abort ADDR COUNT | \
    silent ADDR COUNT | udp ADDR SIZE COUNT | flood ADDR SIZE COUNT | udp-gso ADDR SEGMENT SEGMENTS COUNT | \
    flows ADDR COUNT CONGESTION SECONDS | datagrams ADDR MEGABITS SECONDS | plain INTERFACE | \
    closed ADDR COUNT | udp-closed ADDR COUNT | raw ADDR COUNT | packets INTERFACE COUNT";

/// Runs one load with these words of the command line.
pub fn run(words: &[&str]) -> Result<()> {
    match *words {
        ["sink"] => sink::run(),
        ["tcp", address, bytes] => tcp(address.parse()?, bytes.parse()?),
        ["connections", address, count] => connections(address.parse()?, count.parse()?),
        ["abort", address, count] => abort(address.parse()?, count.parse()?),
        ["silent", address, count] => silent(address.parse()?, count.parse()?),
        ["udp", address, size, count] => udp(address.parse()?, SINK, size.parse()?, count.parse()?),
        ["flood", address, size, count] => flood(address.parse()?, size.parse()?, count.parse()?),
        ["udp-gso", address, segment, segments, count] => {
            udp_gso(address.parse()?, segment.parse()?, segments.parse()?, count.parse()?)
        }
        ["flows", address, count, congestion, seconds] => {
            limited::flows(address.parse()?, count.parse()?, congestion, seconds.parse()?)
        }
        ["datagrams", address, megabits, seconds] => {
            limited::paced(address.parse()?, megabits.parse()?, seconds.parse()?)
        }
        ["plain", interface] => limited::plain(interface),
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

/// Connections that end by a reset.
fn abort(address: IpAddr, count: u32) -> Result<()> {
    for made in 0..count {
        let stream = TcpStream::connect((address, SINK)).context("connect to the sink")?;
        let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
        set(&stream, libc::SOL_SOCKET, libc::SO_LINGER, &at_once).context("SO_LINGER")?;
        drop(stream);
        breathe(made);
    }
    Ok(())
}

/// Connections that say nothing for so long that the other side answers again.
fn silent(address: IpAddr, count: usize) -> Result<()> {
    let connect = |_| TcpStream::connect((address, PATIENT)).context("connect to the patient sink");
    let mut streams = (0..count).map(connect).collect::<Result<Vec<_>>>()?;
    std::thread::sleep(SILENCE);
    for stream in &mut streams {
        stream.write_all(&[7]).context("write to the sink")?;
    }
    streams.iter_mut().try_for_each(finish)
}

/// Sets an option of a socket.
fn set<T>(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int, value: &T) -> Result<()> {
    let size = u32::try_from(size_of_val(value))?;
    // SAFETY: the value lives over the call, with its size.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), size)
    };
    ensure!(result == 0, std::io::Error::last_os_error());
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
    set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, &libc::c_int::from(segment)).context("UDP_SEGMENT")?;
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
