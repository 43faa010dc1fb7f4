//! Bytes and packets: at the host's end of a veth pair by interface, and at sockets by cgroup. Every packet goes on
//! unchanged.

use aya_ebpf::{
    Global,
    bindings::{__sk_buff, BPF_NOEXIST},
    helpers::{bpf_get_smp_processor_id, bpf_skb_cgroup_id},
    macros::{cgroup_skb, classifier},
    programs::{SkBuffContext, TcContext, sk_buff::SkBuff},
};
use plimsoll_common::{
    tally::Tally,
    traffic::{Class, Direction, Lane, Traffic, lane_key},
    word::cgroup_key,
};

use crate::{
    atomic,
    count::tally,
    maps::{LANES, SOCKETS},
};

/// Rows per interface and direction, less one: a power of two less one.
#[unsafe(no_mangle)]
static LANE_MASK: Global<u32> = Global::new(0);

/// `TCX_NEXT`, include/uapi/linux/bpf.h: whoever comes after decides.
pub const NEXT: i32 = -1;
/// A cgroup program's "let it pass".
const PASS: i32 = 1;

/// Bytes of an Ethernet header; at sockets, where the packet begins behind it, it is counted all the same.
const ETHERNET: u32 = 14;
/// `LOOPBACK_IFINDEX`, include/net/flow.h: the same in every network namespace.
pub const LOOPBACK: u32 = 1;
/// The root of cgroup2: the kernel's own packets are its.
pub const ROOT: u64 = 1;
/// All headers have more from where they are looked at. With 1, the compiler would compare addresses by their lower halves,
/// which the verifier refuses.
const BEHIND: usize = 4;
/// IPv6 extension headers that are looked behind.
const EXTENSIONS: usize = 4;

const IPV4: u32 = 0x0800_u16.to_be() as u32;
const IPV6: u32 = 0x86dd_u16.to_be() as u32;

// hook: tcx ingress of the host's end: what the container transmits
#[classifier]
fn veth_transmit(ctx: TcContext) -> i32 {
    at_interface(&ctx.skb, Direction::Transmit);
    NEXT
}

// hook: tcx egress of the host's end: what the container receives
#[classifier]
fn veth_receive(ctx: TcContext) -> i32 {
    at_interface(&ctx.skb, Direction::Receive);
    NEXT
}

// hook: cgroup_skb egress of the root of cgroup2
#[cgroup_skb(egress)]
fn socket_transmit(ctx: SkBuffContext) -> i32 {
    at_socket(&ctx.skb, Direction::Transmit);
    PASS
}

// hook: cgroup_skb ingress of the root of cgroup2
#[cgroup_skb(ingress)]
fn socket_receive(ctx: SkBuffContext) -> i32 {
    at_socket(&ctx.skb, Direction::Receive);
    PASS
}

#[inline(always)]
fn at_interface(skb: &SkBuff, direction: Direction) {
    let context = skb.skb;
    // SAFETY: members that the verifier lets these programs read, and a helper without arguments.
    let (ifindex, cpu) = unsafe { ((*context).ifindex, bpf_get_smp_processor_id()) };
    match LANES.get_ptr_mut(lane_key(ifindex, direction, cpu & LANE_MASK.load())) {
        Some(lane) => {
            // SAFETY: a live map value; the traffic is its beginning.
            let class = count(unsafe { &raw mut (*lane).traffic }, skb, ETHERNET, 0);
            // Whoever sets up a network asks for addresses and tells its own from there, by a socket of its own.
            let is_own =
                matches!(class, Class::Tcp4 | Class::Udp4 | Class::Icmp4 | Class::Tcp6 | Class::Udp6);
            if matches!(direction, Direction::Transmit) && is_own {
                note_sender(lane, skb);
            }
        }
        None => {
            tally(Tally::LaneMissing);
        }
    }
}

/// Notes the cgroup of the first packet that a socket of one sent: it survives the way out of the namespace.
#[inline(always)]
fn note_sender(lane: *mut Lane, skb: &SkBuff) {
    // SAFETY: a word of a live map value, and the context that the verifier gave.
    unsafe {
        if (*lane).cgroup == 0 {
            let cgroup = bpf_skb_cgroup_id(skb.skb);
            if cgroup > ROOT {
                (*lane).cgroup = cgroup;
            }
        }
    }
}

#[inline(always)]
fn at_socket(skb: &SkBuff, direction: Direction) {
    let context = skb.skb;
    // SAFETY: as above.
    if unsafe { (*context).ifindex } == LOOPBACK {
        return;
    }
    // SAFETY: the verifier gave the context.
    let cgroup = cgroup_key(unsafe { bpf_skb_cgroup_id(context) });
    match socket_row(cgroup) {
        Some(row) => {
            // SAFETY: a row has both directions.
            count(unsafe { row.cast::<Traffic>().add(direction as usize) }, skb, 0, ETHERNET);
        }
        None => {
            tally(Tally::SocketsFull);
        }
    }
}

/// The row of a cgroup, made when there is none yet.
#[inline(always)]
fn socket_row(cgroup: u32) -> Option<*mut [Traffic; 2]> {
    if let Some(row) = SOCKETS.get_ptr_mut(cgroup) {
        return Some(row);
    }
    let _ = SOCKETS.insert(cgroup, [Traffic::ZERO; 2], BPF_NOEXIST.into());
    SOCKETS.get_ptr_mut(cgroup)
}

/// Adds a packet whose IP header is at `at`, and which has `more` bytes than are told. Gives its class.
#[inline(always)]
fn count(row: *mut Traffic, skb: &SkBuff, at: u32, more: u32) -> Class {
    let context: *const __sk_buff = skb.skb;
    // SAFETY: members that the verifier lets these programs read.
    let (length, segments, protocol) = unsafe { ((*context).len, (*context).gso_segs, (*context).protocol) };
    let (class, transport) = match protocol {
        IPV4 => (Class::ipv4(near(skb, at + 9)), None),
        IPV6 => {
            let (protocol, transport) = behind_extensions(skb, at);
            (Class::ipv6(protocol), Some(transport))
        }
        _ => (Class::Other, None),
    };
    // SAFETY: a live map value; a class is a place in it.
    unsafe {
        let count = (&raw mut (*row).classes).cast::<plimsoll_common::traffic::Count>().add(class as usize);
        atomic::add(&raw mut (*count).bytes, u64::from(length + more));
        atomic::add(&raw mut (*count).packets, 1);
        if segments > 1 {
            let headers = u64::from(ETHERNET + headers(skb, at, class, transport));
            atomic::add(&raw mut (*row).headers, headers * u64::from(segments - 1));
        }
    }
    class
}

/// Bytes of the headers from IP on.
#[inline(always)]
fn headers(skb: &SkBuff, at: u32, class: Class, transport: Option<u32>) -> u32 {
    let transport = transport.unwrap_or_else(|| at + u32::from(near(skb, at) & 0x0f) * 4);
    // Headers without options begin at places that are known before.
    let offset = || match transport - at {
        20 => near(skb, at + 20 + 12),
        40 => near(skb, at + 40 + 12),
        _ => byte(skb, transport + 12),
    };
    let own = match class {
        Class::Tcp4 | Class::Tcp6 => u32::from(offset() >> 4) * 4,
        _ => 8, // UDP: the only other one that is segmented
    };
    transport - at + own
}

/// What an IPv6 packet carries behind its extension headers, and where that begins.
#[inline(always)]
fn behind_extensions(skb: &SkBuff, at: u32) -> (u8, u32) {
    let (mut next, mut place) = (near(skb, at + 6), at + 40);
    for _ in 0..EXTENSIONS {
        let length = match next {
            0 | 43 | 60 => u32::from(byte(skb, place + 1)) * 8 + 8,
            44 => 8, // a fragment
            _ => break,
        };
        next = byte(skb, place);
        place += length;
    }
    (next, place)
}

/// One byte of the packet; 0 past its end.
#[inline(always)]
fn byte(skb: &SkBuff, at: u32) -> u8 {
    skb.load(at as usize).unwrap_or(0)
}

/// The same of a place that is known before, in a header with [`BEHIND`] bytes from there on: without a call where the
/// kernel has these in one piece.
#[inline(always)]
fn near(skb: &SkBuff, at: u32) -> u8 {
    let context = skb.skb;
    // SAFETY: members that the verifier lets these programs read.
    let (begin, end) = unsafe { ((*context).data as usize, (*context).data_end as usize) };
    let place = begin + at as usize;
    if place + BEHIND > end {
        return byte(skb, at);
    }
    // SAFETY: before the end of that piece, and the verifier has seen it compared.
    unsafe { *(place as *const u8) }
}
