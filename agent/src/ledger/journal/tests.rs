//! The journal: what it keeps, what it tells of what it did not, and who is woken.

use std::time::{Duration, UNIX_EPOCH};

use tokio::time::timeout;

use super::*;
use crate::{
    inventory::{Identity, Kind as CgroupKind},
    ledger::limits::What,
};

const ID: &str = "4f2a11bc0d9e44445555666677778888999900001111222233334444555566667777";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn identity(name: &str) -> Identity {
    let identity = Identity::cgroup(format!("/docker/{ID}"), CgroupKind::Container);
    Identity { name: name.to_owned(), container_id: ID.to_owned(), ..identity }
}

fn set(name: &str) -> Note {
    let note = Note::new(Kind::Set, Who::Uid(1_000)).of(7, &identity(name), Some(What::Tasks));
    Note { from: "50".to_owned(), to: "200".to_owned(), why: "for 1h".to_owned(), ..note }
}

fn journal(entries: u64) -> (Journal, JournalReader) {
    let (mut journal, reader) = Journal::new(at(0));
    for number in 1..=entries {
        journal.write(at(number), set(&format!("c{}", number % 2)));
    }
    (journal, reader)
}

fn sequences(look: &Look) -> Vec<u64> {
    look.entries.iter().map(|entry| entry.sequence).collect()
}

#[test]
fn a_reader_gets_what_came_after_its_last_look() {
    let (mut journal, reader) = journal(3);
    let all = reader.look(None, &Filter::default());
    assert_eq!((sequences(&all), all.lost, all.last), (vec![1, 2, 3], 0, 3));
    assert_eq!(reader.look(Some(3), &Filter::default()).entries, []);
    journal.write(at(9), set("web"));
    let more = reader.look(Some(all.last), &Filter::default());
    assert_eq!((sequences(&more), more.lost, more.last), (vec![4], 0, 4));
    assert_eq!(sequences(&reader.look(Some(0), &Filter::default())), [1, 2, 3, 4]);
}

#[test]
fn what_made_room_is_counted() {
    let kept = ENTRIES as u64;
    let (_journal, reader) = journal(kept + 10);
    for (after, first, lost) in [
        (None, 11, 0),
        (Some(0), 11, 10),
        (Some(4), 11, 6),
        (Some(10), 11, 0),
        (Some(11), 12, 0),
        (Some(kept + 10), 0, 0),
        (Some(kept + 11), 11, 0),
    ] {
        let look = reader.look(after, &Filter::default());
        assert_eq!(
            (sequences(&look).first().copied().unwrap_or_default(), look.lost),
            (first, lost),
            "{after:?}"
        );
        assert_eq!(look.last, kept + 10);
    }
    let all = reader.look(None, &Filter::default());
    assert_eq!(all.entries.len(), ENTRIES);
    assert!(all.entries.windows(2).all(|two| two[0].sequence + 1 == two[1].sequence));
}

#[test]
fn an_empty_journal_loses_nothing() {
    let (_journal, reader) = journal(0);
    for after in [None, Some(0), Some(7)] {
        let look = reader.look(after, &Filter::default());
        assert_eq!((look.entries.len(), look.lost, look.last), (0, 0, 0));
    }
}

#[test]
fn filters_choose_by_name_by_id_and_by_time() {
    let (mut journal, reader) = journal(4);
    journal.write(at(5), Note::new(Kind::ConfigLoaded, Who::Agent));
    let of = |container: &str| Filter { container: Some(container.to_owned()), since: None };
    for (filter, expected) in [
        (of("c0"), vec![2, 4]),
        (of("c"), vec![]),
        (of("4f2a"), vec![1, 2, 3, 4]),
        (of(ID), vec![1, 2, 3, 4]),
        (of("4f2"), vec![]),
        (of("2a11"), vec![]),
        (Filter { since: Some(at(3)), container: None }, vec![3, 4, 5]),
        (Filter { since: Some(at(3)), ..of("c1") }, vec![3]),
    ] {
        assert_eq!(sequences(&reader.look(None, &filter)), expected, "{filter:?}");
    }
}

#[test]
fn no_text_makes_an_entry_large_and_long_names_are_found() {
    let long = "é".repeat(10_000);
    let mut identity = identity(&long);
    identity.container_id.clone_from(&long);
    let note = Note::new(Kind::Drift, Who::Label(long.clone())).of(7, &identity, None);
    let note = Note { from: long.clone(), to: long.clone(), why: long.clone(), ..note };
    let (mut journal, reader) = Journal::new(at(0));
    journal.write(at(1), note);
    let filter = Filter { container: Some(long), since: None };
    let look = reader.look(None, &filter);
    let Entry { container: Container { id, name }, from, to, who, why, .. } = look.entries[0].as_ref();
    let texts = [id, name, from, to, who, why];
    assert!(texts.iter().all(|text| text.ends_with('…') && text.len() > 30), "{texts:?}");
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    assert!((MAX_TEXT - 4..=MAX_TEXT).contains(&bytes), "{bytes}");
}

#[test]
fn an_entry_is_one_clear_line_and_is_read_back() {
    let (mut journal, reader) = journal(0);
    journal.write(at(1), set("web\n\u{1b}[2J"));
    journal.write(at(2), Note { why: "x".to_owned(), ..Note::new(Kind::ConfigRefused, Who::Agent) });
    let entries = reader.look(None, &Filter::default()).entries;
    assert_eq!(
        entries[0].to_string(),
        "limits: set tasks 50 -> 200 of web\\n\\u{1b}[2J (4f2a11bc0d9e) by uid 1000: for 1h"
    );
    assert_eq!(entries[1].to_string(), "limits: config-refused by agent: x");
    let text = serde_json::to_string(entries[0].as_ref()).expect("JSON");
    assert!(text.contains("\"kind\":\"set\"") && text.contains("\"what\":\"tasks\""), "{text}");
    let read: Entry = serde_json::from_str(&text).expect("an entry");
    assert_eq!(read, Entry { account: 0, ..entries[0].as_ref().clone() }, "accounts stay inside");
}

#[tokio::test]
async fn whoever_waits_is_woken_and_told_when_there_is_no_more() {
    let (mut journal, mut reader) = journal(1);
    assert!(reader.more(0).await, "there is one already");
    let mut waits = reader.clone();
    let waiting = tokio::spawn(async move { (waits.more(1).await, waits) });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    journal.write(at(2), set("web"));
    let (more, mut waits) = timeout(Duration::from_secs(5), waiting).await.expect("woken").expect("no panic");
    assert!(more);
    drop(journal);
    assert!(!timeout(Duration::from_secs(5), waits.more(2)).await.expect("told"));
    assert!(waits.more(1).await, "what was written can still be read");
    assert_eq!(waits.look(None, &Filter::default()).entries.len(), 2);
}
