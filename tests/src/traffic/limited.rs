//! Loads for limits of bandwidth: several flows of one kind of congestion control for a time, between ends that cut packets
//! themselves.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use socket2::{Domain, Socket, Type};

use super::{CHUNK, SINK, datagrams, set};

/// `ETHTOOL_STSO`, `ETHTOOL_SGSO`, `ETHTOOL_SGRO`, `include/uapi/linux/ethtool.h`.
const OFFLOADS: [u32; 3] = [0x1f, 0x24, 0x2c];
/// `SIOCETHTOOL`
const ETHTOOL: libc::c_ulong = 0x8946;

/// `struct ethtool_value`
#[repr(C)]
struct Switch {
    command: u32,
    value: u32,
}

/// Flows at once, each as fast as it can, for so many seconds. What waits to be sent then is thrown away.
pub(super) fn flows(address: IpAddr, count: u32, congestion: &str, seconds: u64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    thread::scope(|scope| {
        let flows: Vec<_> = (0..count).map(|_| scope.spawn(|| flow(address, congestion, end))).collect();
        flows.into_iter().try_for_each(|flow| flow.join().map_err(|_| anyhow!("a flow panicked"))?)
    })
}

fn flow(address: IpAddr, congestion: &str, end: Instant) -> Result<()> {
    let socket = Socket::new(Domain::for_address((address, SINK).into()), Type::STREAM, None)?;
    socket.set_tcp_congestion(congestion.as_bytes()).with_context(|| format!("choose {congestion}"))?;
    socket.connect(&SocketAddr::from((address, SINK)).into()).context("connect to the sink")?;
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
    set(&stream, libc::SOL_SOCKET, libc::SO_LINGER, &at_once).context("SO_LINGER")?;
    let chunk = vec![7; CHUNK];
    while Instant::now() < end {
        match stream.write(&chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            written => drop(written.context("write to the sink")?),
        }
    }
    Ok(())
}

/// Datagrams of 1,400 bytes at that rate, for so many seconds.
pub(super) fn paced(address: IpAddr, megabits: u32, seconds: u64) -> Result<()> {
    const SIZE: u32 = 1_400;
    let (socket, datagram) = (datagrams(address, SINK)?, vec![7; SIZE as usize]);
    socket.set_nonblocking(true)?;
    let (begun, length) = (Instant::now(), Duration::from_secs(seconds));
    let a_second = megabits * 1_000_000 / 8 / SIZE;
    let mut sent = 0;
    while begun.elapsed() < length {
        let due = begun.elapsed().mul_f64(f64::from(a_second)).as_secs();
        while sent < due {
            // What the kernel has no room for is lost, as it would be on the way.
            let _no_room = socket.send(&datagram);
            sent += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// From now on the interface neither cuts nor joins packets: each is as it is on the wire.
pub(super) fn plain(interface: &str) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    for command in OFFLOADS {
        let mut switch = Switch { command, value: 0 };
        // SAFETY: all zeros are a request without a name.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        ensure!(interface.len() < request.ifr_name.len(), "no name of an interface: {interface}");
        for (place, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *place = byte.cast_signed();
        }
        request.ifr_ifru.ifru_data = (&raw mut switch).cast();
        // SAFETY: the request and what it points to live over the call, in the shape that this command has.
        let result =
            unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&socket), ETHTOOL, &raw mut request) };
        ensure!(result == 0, "switch {command:#x} of {interface}: {}", std::io::Error::last_os_error());
    }
    Ok(())
}
