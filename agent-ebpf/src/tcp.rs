//! TCP per cgroup: connections, segments sent again, resets. Never per packet, and never over loopback.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use plimsoll_common::word::cgroup_key;

use crate::{
    count::{add, row},
    fields::{Packet, Request, Sock},
    net::{LOOPBACK, ROOT},
};

#[unsafe(no_mangle)]
static RETRANSMIT_HAS_ERROR: Global<u32> = Global::new(0);

/// States of a socket, `include/net/tcp_states.h`: the same values since 2.6.
const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
const SYN_RECV: u32 = 3;
const CLOSE: u32 = 7;

/// Adds to one word of the row of a cgroup.
macro_rules! count {
    ($cgroup:expr, $field:ident, $number:expr) => {
        if let Some(row) = row(cgroup_key($cgroup)) {
            add!(row, $field, $number);
        }
    };
}

// hook: inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)
#[btf_tracepoint(function = "inet_sock_set_state")]
fn tcp_state(ctx: BtfTracePointContext) -> i32 {
    let sock = Sock(ctx.arg(0));
    match (ctx.arg::<u32>(1), ctx.arg::<u32>(2)) {
        (CLOSE, SYN_SENT) if is_counted(sock) => count!(sock.cgroup(), tcp_opened, 1),
        // A listener's child has its addresses only here, not yet as it leaves LISTEN.
        (SYN_RECV, ESTABLISHED) if is_counted(sock) => count!(sock.cgroup(), tcp_accepted, 1),
        _ => {}
    }
    0
}

#[inline(always)]
fn is_counted(sock: Sock) -> bool {
    sock.is_tcp() && !sock.ends().are_loopback()
}

// hook: tcp_retransmit_skb(const struct sock *sk, const struct sk_buff *skb), and int err since 6.15
#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn tcp_retransmit(ctx: BtfTracePointContext) -> i32 {
    let (sock, packet) = (Sock(ctx.arg(0)), Packet(ctx.arg(1)));
    // Above 0: its interface dropped it, as any other on the way might.
    let was_sent = RETRANSMIT_HAS_ERROR.load() == 0 || ctx.arg::<u32>(2).cast_signed() >= 0;
    if was_sent && !sock.ends().are_loopback() {
        count!(sock.cgroup(), tcp_retransmitted, packet.segments());
    }
    0
}

// hook: tcp_retransmit_synack(const struct sock *sk, const struct request_sock *req); the socket is the listener
#[btf_tracepoint(function = "tcp_retransmit_synack")]
fn tcp_synack(ctx: BtfTracePointContext) -> i32 {
    let (sock, request) = (Sock(ctx.arg(0)), Request(ctx.arg(1)));
    if !request.ends().are_loopback() {
        count!(sock.cgroup(), tcp_retransmitted, 1);
    }
    0
}

// hook: tcp_send_reset(const struct sock *sk, const struct sk_buff *skb), and a reason since 6.10. Either may be NULL
// since then: no socket is there, or no packet caused it
#[btf_tracepoint(function = "tcp_send_reset")]
fn tcp_send_reset(ctx: BtfTracePointContext) -> i32 {
    let (sock, packet) = (Sock(ctx.arg(0)), Packet(ctx.arg(1)));
    if !sock.is_whole() {
        if packet.interface() != LOOPBACK {
            count!(ROOT, tcp_resets_sent, 1);
        }
    } else if !sock.ends().are_loopback() {
        count!(sock.cgroup(), tcp_resets_sent, 1);
    }
    0
}

// hook: tcp_receive_reset(struct sock *sk)
#[btf_tracepoint(function = "tcp_receive_reset")]
fn tcp_got_reset(ctx: BtfTracePointContext) -> i32 {
    let sock = Sock(ctx.arg(0));
    if !sock.ends().are_loopback() {
        count!(sock.cgroup(), tcp_resets_received, 1);
    }
    0
}
