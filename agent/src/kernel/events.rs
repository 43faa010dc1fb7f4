//! The ring buffer as a stream.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};

use aya::maps::{MapData, RingBuf};
use plimsoll_common::{
    event::{Event as Record, Kind, Mkdir, PATH_LEN},
    names,
};
use tokio::io::{Interest, unix::AsyncFd};
use tokio_stream::Stream;

use super::{Error, maps::open};

/// What the programs told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counts up by one per event of the machine.
    pub sequence: u64,
    /// What happened.
    pub kind: Kind,
    /// The whole id of the cgroup; the low half alone for [`Kind::Oom`].
    pub cgroup: u64,
    /// See [`Kind`].
    pub value: u32,
    /// Path of a new cgroup from the hierarchy's root; `None` for other kinds, and where it was too long to travel.
    pub path: Option<Vec<u8>>,
}

/// Opens the ring buffer pinned in `pins`. Its backlog, also a dead agent's, comes first.
///
/// # Errors
/// It is missing.
pub fn open_ring(pins: &Path) -> Result<RingBuf<MapData>, Error> {
    open(&pins.join("maps"), names::EVENTS)
}

/// The ring buffer as a stream; one reader at a time, or both get the same events.
pub struct Events(AsyncFd<RingBuf<MapData>>);

impl Events {
    /// Inside a tokio runtime.
    ///
    /// # Errors
    /// The descriptor cannot be watched.
    pub fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        // SAFETY: the ring owns its descriptor for as long as it lives, and lives in the AsyncFd.
        Ok(Self(unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?))
    }
}

impl Events {
    /// The next event that waits; `None` where none does.
    pub fn waiting(&mut self) -> Option<Event> {
        let ring = self.0.get_mut();
        while let Some(record) = ring.next() {
            if let Some(event) = decode(&record) {
                return Some(event);
            }
        }
        None
    }
}

impl Stream for Events {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready_mut(context))?;
            if let Some(record) = ready.get_inner_mut().next() {
                match decode(&record) {
                    Some(event) => return Poll::Ready(Some(Ok(event))),
                    None => continue, // of a newer build, while it handed over to this one
                }
            }
            ready.clear_ready();
        }
    }
}

fn decode(record: &[u8]) -> Option<Event> {
    let (event, path) = record.split_at_checked(size_of::<Record>())?;
    let [sequence, _time, cgroup, kind_value] = event.as_chunks::<8>().0 else { return None };
    let [k0, k1, k2, k3, v0, v1, v2, v3] = *kind_value;
    Some(Event {
        sequence: u64::from_ne_bytes(*sequence),
        kind: Kind::from_number(u32::from_ne_bytes([k0, k1, k2, k3]))?,
        cgroup: u64::from_ne_bytes(*cgroup),
        value: u32::from_ne_bytes([v0, v1, v2, v3]),
        path: if size_of::<Mkdir>() == record.len() { whole_path(path) } else { None },
    })
}

/// The path up to its zero byte; none where it fills the record and may be cut.
fn whole_path(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    (end > 0 && end < PATH_LEN - 1).then(|| bytes[..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::{Kind, PATH_LEN, decode};

    fn record(kind: u32, path: Option<&[u8]>) -> Vec<u8> {
        let mut bytes =
            [7_u64, 1, 0x1_0000_0002].iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(9_u32.to_ne_bytes());
        if let Some(path) = path {
            bytes.extend(path);
            bytes.resize(32 + PATH_LEN, 0);
        }
        bytes
    }

    #[test]
    fn a_record_becomes_an_event() {
        let event = decode(&record(1, Some(b"/docker/4f"))).unwrap();
        assert_eq!(
            (event.sequence, event.kind, event.cgroup, event.value),
            (7, Kind::Mkdir, 0x1_0000_0002, 9)
        );
        assert_eq!(event.path.as_deref(), Some(&b"/docker/4f"[..]));
        assert_eq!(decode(&record(3, None)).unwrap().path, None);
    }

    #[test]
    fn a_path_that_may_be_cut_is_none() {
        assert_eq!(decode(&record(1, Some(&[b'a'; PATH_LEN - 1]))).unwrap().path, None);
    }

    #[test]
    fn an_unknown_or_short_record_is_passed_over() {
        assert_eq!(decode(&record(99, None)), None);
        assert_eq!(decode(&[1, 2, 3]), None);
    }
}
