//! The journal over the control socket: once, and as it is written.

use super::{
    fixture::{Server, head, identity, moment, status},
    *,
};
use crate::{
    control::{client::Lines, document::Lost, routes::FOLLOWERS},
    http::events::Events,
    ledger::journal::{ENTRIES, Entry, Kind, Note},
};

const SECONDS: Duration = Duration::from_secs(5);

fn note(name: &str) -> Note {
    Note::new(Kind::Hit, Who::Kernel).of(7, &identity(name), Some(What::Tasks))
}

async fn line(lines: &mut Lines) -> Option<bytes::Bytes> {
    timeout(SECONDS, lines.next()).await.expect("in time").expect("no error")
}

async fn entry(lines: &mut Lines) -> Entry {
    serde_json::from_slice(&line(lines).await.expect("a line")).expect("an entry")
}

#[tokio::test]
async fn the_journal_is_one_document_for_who_does_not_follow() {
    let mut server = Server::start(SLOW);
    for number in 0..500 {
        server.journal.write(moment(number), note(if number == 400 { "api" } else { "web" }));
    }
    let events: Events = server.agent().get("/v1/events").await.expect("events");
    assert_eq!((events.events.len(), events.last, events.lost), (500, 500, 0));
    let events: Events = server.agent().get("/v1/events?container=api&after=7").await.expect("events");
    assert_eq!(events.events.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [401]);
    for wrong in ["since=x", "after=-1", "follow=perhaps", "from=1"] {
        let answer = server.raw(&head("GET", &format!("/v1/events?{wrong}"), "")).await;
        assert_eq!(status(&answer), 400, "{answer}");
        assert!(!error(&answer).error.is_empty());
    }
}

#[tokio::test]
async fn a_follower_sees_what_is_kept_and_then_what_happens() {
    let mut server = Server::start(FAST);
    server.journal.write(moment(1), note("web"));
    server.journal.write(moment(2), note("api"));
    let mut all = server.agent().lines("/v1/events?follow=true").await.expect("a stream");
    let mut web = server.agent().lines("/v1/events?follow&container=web").await.expect("a stream");
    assert_eq!((entry(&mut all).await.sequence, entry(&mut all).await.sequence), (1, 2));
    assert_eq!(entry(&mut web).await.sequence, 1);
    // Longer than the deadline: that is for requests, not for who waits for what happens.
    sleep(2 * FAST).await;
    for sequence in 3..6 {
        server.journal.write(moment(sequence), note("api"));
        assert_eq!(entry(&mut all).await.sequence, sequence);
    }
    server.journal.write(moment(9), note("web"));
    assert_eq!((entry(&mut all).await.sequence, entry(&mut web).await.sequence), (6, 6));
}

#[tokio::test]
async fn a_follower_is_told_what_it_lost() {
    let mut server = Server::start(SLOW);
    let kept = ENTRIES as u64;
    for number in 0..kept + 10 {
        server.journal.write(moment(number), note("web"));
    }
    let mut lines = server.agent().lines("/v1/events?follow&after=4").await.expect("a stream");
    let lost: Lost = serde_json::from_slice(&line(&mut lines).await.expect("a line")).expect("a loss");
    assert_eq!(lost, Lost { lost: 6 });
    for sequence in 11..=kept + 10 {
        assert_eq!(entry(&mut lines).await.sequence, sequence);
    }
}

#[tokio::test]
async fn a_follower_that_does_not_keep_up_is_told_how_many_it_missed() {
    let mut server = Server::start(SLOW);
    let mut lines = server.agent().lines("/v1/events?follow").await.expect("a stream");
    // Far more than sockets and the journal hold; the stream gets its turns, its reader does not read.
    let written = 20 * ENTRIES as u64;
    for number in 0..written {
        let why = "x".repeat(400);
        server.journal.write(moment(number), Note { why, ..note("web") });
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let (mut next, mut lost) = (1, 0);
    while next <= written {
        let line = line(&mut lines).await.expect("a line");
        if let Ok(Lost { lost: some }) = serde_json::from_slice(&line) {
            lost += some;
            next += some;
        } else {
            let entry: Entry = serde_json::from_slice(&line).expect("an entry");
            assert_eq!(entry.sequence, next, "every entry is told, or told to be lost");
            next += 1;
        }
    }
    assert!(lost > 0, "nothing was lost: this proved nothing");
}

#[tokio::test]
async fn followers_leave_room_for_others_and_give_it_back() {
    let mut server = Server::start(SLOW);
    let mut streams = Vec::new();
    for _ in 0..FOLLOWERS {
        streams.push(server.agent().lines("/v1/events?follow").await.expect("a stream"));
    }
    let error = server.agent().lines("/v1/events?follow").await.expect_err("one too many").to_string();
    assert!(error.contains("8 streams of events are open already"), "{error}");
    let limits: LimitsDocument<'_> = server.agent().get("/v1/limits").await.expect("limits");
    assert_eq!(limits.limits.len(), 3);
    // Nothing happens meanwhile: that it is gone is seen all the same.
    streams.pop();
    let began = Instant::now();
    let mut again = loop {
        match server.agent().lines("/v1/events?follow").await {
            Ok(stream) => break stream,
            Err(error) => assert!(began.elapsed() < SECONDS, "{error}"),
        }
    };
    server.journal.write(moment(1), note("web"));
    assert_eq!(entry(&mut again).await.sequence, 1);
}

#[tokio::test]
async fn a_stream_ends_with_the_agent() {
    let mut server = Server::start(SLOW);
    let mut lines = server.agent().lines("/v1/events?follow").await.expect("a stream");
    server.journal.write(moment(1), note("web"));
    assert_eq!(entry(&mut lines).await.sequence, 1);
    let began = Instant::now();
    server.end().await;
    assert!(began.elapsed() < DRAIN, "followers are not waited for");
    assert_eq!(line(&mut lines).await, None, "a whole stream, not one that was cut");
}
