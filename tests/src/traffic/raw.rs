//! Packets that no transport socket of the kernel makes.

use std::{
    ffi::CString,
    io,
    net::IpAddr,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result, bail, ensure};

/// Bytes behind the header.
const PAYLOAD: usize = 100;

/// IPv4 packets of an unused protocol, with their headers made here.
pub(super) fn ip(address: IpAddr, count: u32) -> Result<()> {
    let IpAddr::V4(to) = address else { bail!("raw packets are IPv4 here") };
    let socket = socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW)?;
    let mut packet = vec![0; 20 + PAYLOAD];
    packet[0] = 0x45;
    packet[8] = 64; // time to live
    packet[9] = 253; // for experiments, RFC 3692
    packet[16..20].copy_from_slice(&to.octets());
    let to = libc::sockaddr_in {
        sin_family: u16::try_from(libc::AF_INET)?,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.octets()) },
        sin_zero: [0; 8],
    };
    for sent in 0..count {
        send(&socket, &packet, (&raw const to).cast(), size_of_val(&to))?;
        super::breathe(sent);
    }
    Ok(())
}

/// Frames of no protocol that anybody knows, to everybody.
pub(super) fn packets(interface: &str, count: u32) -> Result<()> {
    let socket = socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    let name = CString::new(interface)?;
    // SAFETY: the name ends in a zero byte and lives over the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    ensure!(index != 0, "no interface {interface}");
    let mut frame = vec![0; 14 + PAYLOAD];
    frame[..6].fill(0xff);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]); // for experiments, IEEE 802
    // SAFETY: all of it may be zero.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = u16::try_from(libc::AF_PACKET)?;
    to.sll_ifindex = index.cast_signed();
    for sent in 0..count {
        send(&socket, &frame, (&raw const to).cast(), size_of_val(&to))?;
        super::breathe(sent);
    }
    Ok(())
}

fn socket(family: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> Result<OwnedFd> {
    // SAFETY: a call with integers; the descriptor is new and ours.
    let fd = unsafe { libc::socket(family, kind, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error()).context("make a raw socket");
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn send(socket: &OwnedFd, packet: &[u8], to: *const libc::sockaddr, size: usize) -> Result<()> {
    // SAFETY: packet and address live over the call, with their sizes.
    let sent = unsafe {
        libc::sendto(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0, to, u32::try_from(size)?)
    };
    ensure!(sent >= 0, "send a packet: {}", io::Error::last_os_error());
    Ok(())
}
