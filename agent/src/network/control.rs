//! One message of traffic control: `struct tcmsg` and its attributes (include/uapi/linux/rtnetlink.h).

use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

use super::{
    Handle,
    attributes::{Attributes, attribute, text, u32_at},
};

pub(super) const NEW_QDISC: u16 = 36;
pub(super) const DELETE_QDISC: u16 = 37;
pub(super) const GET_QDISC: u16 = 38;
pub(super) const NEW_CLASS: u16 = 40;
pub(super) const DELETE_CLASS: u16 = 41;
pub(super) const GET_CLASS: u16 = 42;
pub(super) const NEW_FILTER: u16 = 44;
pub(super) const DELETE_FILTER: u16 = 45;
pub(super) const GET_FILTER: u16 = 46;

/// `TCA_KIND`
const KIND: u16 = 1;
/// `TCA_OPTIONS`
const OPTIONS: u16 = 2;
/// `TCA_STATS2`
const STATISTICS: u16 = 7;

/// Bytes of `struct tcmsg`.
const HEADER: usize = 20;

/// A question or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Control {
    message_type: u16,
    pub(super) ifindex: u32,
    pub(super) handle: Handle,
    pub(super) parent: Handle,
    /// Of a filter: its priority, and the protocol that it looks at. Of a class: the qdisc below it.
    pub(super) details: u32,
    attributes: Attributes,
}

impl Control {
    /// A message about an interface; 0 is all of them.
    pub(super) fn new(message_type: u16, ifindex: u32) -> Self {
        let (handle, attributes) = (Handle::NONE, Attributes::default());
        Self { message_type, ifindex, handle, parent: handle, details: 0, attributes }
    }

    /// About what is there.
    pub(super) fn at(self, parent: Handle, handle: Handle) -> Self {
        Self { handle, parent, ..self }
    }

    /// With those details.
    pub(super) fn details(self, details: u32) -> Self {
        Self { details, ..self }
    }

    /// Of that kind.
    pub(super) fn kind(self, kind: &str) -> Self {
        Self { attributes: self.attributes.text(KIND, kind), ..self }
    }

    /// With these options.
    pub(super) fn options(self, options: &Attributes) -> Self {
        Self { attributes: self.attributes.nest(OPTIONS, options), ..self }
    }

    /// The kind that the answer tells of: `tbf`.
    pub(super) fn told_kind(&self) -> String {
        text(attribute(self.attributes.bytes(), KIND).unwrap_or_default())
    }

    /// The options that the answer tells of.
    pub(super) fn told_options(&self) -> &[u8] {
        attribute(self.attributes.bytes(), OPTIONS).unwrap_or_default()
    }

    /// The statistics that the answer tells of, as attributes.
    pub(super) fn told_statistics(&self) -> &[u8] {
        attribute(self.attributes.bytes(), STATISTICS).unwrap_or_default()
    }
}

impl NetlinkSerializable for Control {
    fn message_type(&self) -> u16 {
        self.message_type
    }

    fn buffer_len(&self) -> usize {
        HEADER + self.attributes.bytes().len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let Self { message_type: _, ifindex, handle, parent, details, attributes } = self;
        let words = [0, *ifindex, handle.number(), parent.number(), *details].map(u32::to_ne_bytes);
        for (place, byte) in buffer.iter_mut().zip(words.as_flattened().iter().chain(attributes.bytes())) {
            *place = *byte;
        }
    }
}

impl NetlinkDeserializable for Control {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let word = |number: usize| {
            u32_at(payload, number * 4)
                .ok_or_else(|| DecodeError::invalid_buffer("tcmsg", payload.len(), HEADER))
        };
        Ok(Self {
            message_type: header.message_type,
            ifindex: word(1)?,
            handle: Handle::from_number(word(2)?),
            parent: Handle::from_number(word(3)?),
            details: word(4)?,
            attributes: Attributes::received(payload.get(HEADER..).unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NetlinkDeserializable as _, NetlinkHeader, NetlinkSerializable as _};

    use super::{Attributes, Control, Handle, NEW_QDISC};

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let options = Attributes::default().with(1, &[7; 5]);
        let sent = Control::new(NEW_QDISC, 9)
            .at(Handle::ROOT, Handle::SHAPER)
            .details(3)
            .kind("tbf")
            .options(&options);
        let mut bytes = vec![0; sent.buffer_len()];
        sent.serialize(&mut bytes);
        let mut header = NetlinkHeader::default();
        header.message_type = sent.message_type();
        let read = Control::deserialize(&header, &bytes).unwrap();
        assert_eq!(read, sent);
        assert_eq!((read.told_kind().as_str(), read.told_options()), ("tbf", options.bytes()));
        assert!(Control::deserialize(&header, &bytes[..19]).is_err());
        assert_eq!(Control::deserialize(&header, &bytes[..20]).unwrap().told_kind(), "");
    }
}
