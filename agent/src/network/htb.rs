//! An htb at the root of an uplink: classes hold limits, by `skb->priority`; whatever is in none passes as it did.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP};

use super::{
    Bucket, Handle, Requests, ShapingError, Statistics,
    attributes::{Attributes, attribute, u32_at, u64_at},
    bucket::told_rate,
    control::{Control, DELETE_CLASS, GET_CLASS, NEW_CLASS, NEW_QDISC},
    error::removed,
};

/// `TCA_HTB_PARMS`, `include/uapi/linux/pkt_sched.h`.
const PARAMETERS: u16 = 1;
/// `TCA_HTB_INIT`
const INIT: u16 = 2;
/// `TCA_HTB_DIRECT_QLEN`
const DIRECT_QUEUE: u16 = 5;
/// `TCA_HTB_RATE64`
const BIG_RATE: u16 = 6;
/// `TCA_HTB_CEIL64`
const BIG_CEILING: u16 = 7;

/// Packets of no class that may wait: as many as in the queue of an Ethernet interface. The kernel's own choice may be two.
const DIRECT_PACKETS: u32 = 1_000;

/// A class of an htb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The number of its interface.
    pub ifindex: u32,
    /// Its number.
    pub handle: Handle,
    /// What passes.
    pub bucket: Bucket,
    /// What passed.
    pub statistics: Statistics,
}

impl Requests {
    /// Puts an htb at the root of an interface that lets everything pass as it comes, until there are classes. One queue
    /// takes the place of those that an interface with several had.
    ///
    /// # Errors
    /// [`ShapingError::Foreign`] where the root qdisc is neither the kernel's own nor an htb of that handle;
    /// [`ShapingError::NotSupported`] where the kernel has no htb; the interface is gone; the kernel's.
    pub fn add_htb_root(&mut self, ifindex: u32, handle: Handle) -> Result<(), ShapingError> {
        let root = self.root_qdisc(ifindex)?;
        if root.is_some_and(|root| root.handle == handle && root.kind == "htb") {
            return Ok(()); // it cannot be changed, and needs not to
        }
        // version, rate2quantum (not used: each class has a quantum), class of all that has none (none), debug, direct
        let init = [3_u32, 10, 0, 0, 0].map(u32::to_ne_bytes);
        let options = Attributes::default()
            .with(INIT, init.as_flattened())
            .with(DIRECT_QUEUE, &DIRECT_PACKETS.to_ne_bytes());
        let question =
            Control::new(NEW_QDISC, ifindex).at(Handle::ROOT, handle).kind("htb").options(&options);
        self.put_root("put an htb", question)
    }

    /// Makes a class of the htb at the root of an interface, or changes its rate while packets pass. A packet is in it whose
    /// `skb->priority` is [`Handle::number`] of the class.
    ///
    /// # Errors
    /// The htb or the interface is gone; the kernel's.
    pub fn replace_htb_class(
        &mut self,
        ifindex: u32,
        class: Handle,
        bucket: &Bucket,
    ) -> Result<(), ShapingError> {
        let question =
            Control::new(NEW_CLASS, ifindex).at(class.qdisc(), class).kind("htb").options(&encode(bucket));
        self.change(question, NLM_F_CREATE).map_err(ShapingError::new("put a class of an htb", ifindex))
    }

    /// Removes a class of an htb with its queue; what waited there is lost. Whether there was one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete_htb_class(&mut self, ifindex: u32, class: Handle) -> Result<bool, ShapingError> {
        let question = Control::new(DELETE_CLASS, ifindex).at(class.qdisc(), class);
        removed(self.change(question, 0)).map_err(ShapingError::new("remove a class of an htb", ifindex))
    }

    /// The classes of the htb of that handle at an interface; none where that or the interface is gone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn htb_classes(&mut self, ifindex: u32, htb: Handle) -> Result<Vec<Class>, ShapingError> {
        let mut classes = Vec::new();
        self.ask(Control::new(GET_CLASS, ifindex), NLM_F_DUMP, |told| classes.extend(class(&told)))
            .map_err(ShapingError::new("list classes", ifindex))?;
        classes.retain(|class: &Class| class.ifindex == ifindex && class.handle.qdisc() == htb);
        Ok(classes)
    }
}

fn class(told: &Control) -> Option<Class> {
    if told.told_kind() != "htb" {
        return None;
    }
    Some(Class {
        ifindex: told.ifindex,
        handle: told.handle,
        bucket: decode(told.told_options())?,
        statistics: Statistics::decode(told.told_statistics()),
    })
}

/// As `struct tc_htb_opt` and what goes beside it: it never borrows, so the rate is the ceiling too.
fn encode(bucket: &Bucket) -> Attributes {
    let rate = bucket.rate_spec();
    // What it may send before another class has its turn; the kernel takes a tenth of a second's too, and complains of more.
    let quantum = u32::try_from(bucket.bytes_per_second / 10).unwrap_or(u32::MAX).clamp(1_000, 200_000);
    // burst, burst of the ceiling, quantum, level, priority
    let words = [bucket.ticks(), bucket.ticks(), quantum, 0, 0].map(u32::to_ne_bytes);
    let options = Attributes::default().with(PARAMETERS, &[&rate, &rate[..], words.as_flattened()].concat());
    match bucket.big_rate() {
        Some(big) => options.with(BIG_RATE, &big).with(BIG_CEILING, &big),
        None => options,
    }
}

fn decode(options: &[u8]) -> Option<Bucket> {
    let parameters = attribute(options, PARAMETERS)?;
    let big = attribute(options, BIG_RATE).and_then(|bytes| u64_at(bytes, 0));
    Some(Bucket::of_ticks(told_rate(parameters, big)?, u32_at(parameters, 24)?))
}

#[cfg(test)]
mod tests;
