//! What a container transmits goes through another interface, whose queue holds it at its line. Drops nothing itself.

use aya_ebpf::{helpers::bpf_redirect, macros::classifier, programs::TcContext};

use crate::{maps::SHAPED, net::NEXT};

/// `TC_ACT_REDIRECT`, `include/uapi/linux/pkt_cls.h`: what the helper answers where it can.
const REDIRECT: i32 = 7;

// hook: tcx ingress of the host's end, after all others; below 6.6 cls_bpf
#[classifier]
fn veth_shape(ctx: TcContext) -> i32 {
    // SAFETY: a member that the verifier lets these programs read.
    let ifindex = unsafe { (*ctx.skb.skb).ifindex };
    // SAFETY: a copy of four bytes, which nobody writes in two steps.
    match unsafe { SHAPED.get(ifindex) } {
        Some(other) => {
            // SAFETY: a helper that takes integers.
            unsafe { bpf_redirect(*other, 0) };
            REDIRECT
        }
        None => NEXT,
    }
}
