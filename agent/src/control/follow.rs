//! The journal as a stream without an end: an entry of JSON a line, as they come.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::document::Lost;
use crate::{
    http::{
        answer::{Body, stream},
        events::Question,
        server::Ending,
    },
    ledger::journal::{Entry, JournalReader, Look},
};

/// Entries that are handed out at once: about 64 kB.
const AT_ONCE: usize = 128;

/// A body that tells what is kept, then what happens, until whoever reads it is gone or the agent ends. `place` is held as
/// long.
pub fn body(question: Question, journal: JournalReader, ending: Ending, place: OwnedSemaphorePermit) -> Body {
    // One chunk waits, no more: who reads slowly is told what it lost.
    let (sender, chunks) = mpsc::channel(1);
    tokio::spawn(async move {
        tell(question, journal, ending, sender).await;
        drop(place);
    });
    stream(ReceiverStream::new(chunks))
}

async fn tell(
    question: Question,
    mut journal: JournalReader,
    mut ending: Ending,
    sender: mpsc::Sender<Bytes>,
) {
    let Question { filter, mut after, follow: _ } = question;
    loop {
        let Look { entries, lost, last, began: _ } = journal.look(after, &filter);
        for chunk in chunks(&entries, lost) {
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
        after = Some(last);
        tokio::select! {
            more = journal.more(last) => if !more { return },
            () = sender.closed() => return,
            () = ending.comes() => return,
        }
    }
}

fn chunks(entries: &[Arc<Entry>], lost: u64) -> Vec<Bytes> {
    let lost = (lost > 0).then(|| line(&Lost { lost }));
    let entries = entries.chunks(AT_ONCE).map(|some| some.iter().flat_map(line).collect());
    lost.map(Bytes::from).into_iter().chain(entries).collect()
}

fn line(of: &impl Serialize) -> Vec<u8> {
    // A type that has strings and numbers alone can be written.
    let mut line = serde_json::to_vec(of).unwrap_or_default();
    line.push(b'\n');
    line
}
