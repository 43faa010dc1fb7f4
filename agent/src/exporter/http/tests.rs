//! The server over real sockets: what it answers, and what no client can make it do.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::*;
use crate::{
    exporter::fixture::{account, many, moment, snapshot},
    http::{
        events::Events,
        server::{CONNECTIONS, DRAIN},
    },
    ledger::{
        journal::{Journal, JournalReader, Kind, Note, Who},
        snapshot::Snapshot,
    },
};

#[derive(Clone)]
struct Fixed {
    snapshot: Option<Arc<Snapshot>>,
    scraped: Arc<AtomicUsize>,
    journal: JournalReader,
}

impl Source for Fixed {
    async fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    fn ready(&self) -> bool {
        self.snapshot.is_some()
    }

    fn journal(&self) -> JournalReader {
        self.journal.clone()
    }

    fn scraped(&self, _taken: SystemTime) {
        self.scraped.fetch_add(1, Ordering::Relaxed);
    }
}

struct Server {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
    scraped: Arc<AtomicUsize>,
    journal: Journal,
}

impl Server {
    async fn start(snapshot: Option<Arc<Snapshot>>, deadline: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let scraped = Arc::new(AtomicUsize::new(0));
        let (journal, reader) = Journal::new(moment(0));
        let source = Fixed { snapshot, scraped: Arc::clone(&scraped), journal: reader };
        let config = HttpConfig { allowed_hosts: vec!["node1.example".to_owned()], deadline };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, config, source, async {
            let _ = stopped.await;
        }));
        Self { addr, stop, task, scraped, journal }
    }

    async fn usual() -> Self {
        Self::start(Some(snapshot(vec![account("/docker/4f", "api")])), Duration::from_secs(10)).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("a connection")
    }

    /// Sends bytes and reads to the end of the connection.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
            .await
            .expect("an end")
            .expect("an answer");
        String::from_utf8(answer).expect("UTF-8")
    }

    async fn ask(&self, method: &str, path: &str, host: &str) -> String {
        self.raw(&format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await
    }
}

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no status: {answer:?}"))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map(|(_, body)| body).expect("a body")
}

/// The body of an answer in chunks, put together.
fn whole(answer: &str) -> String {
    let (mut whole, mut rest) = (String::new(), body(answer));
    while let Some((size, after)) = rest.split_once("\r\n") {
        let (chunk, after) = after.split_at(usize::from_str_radix(size, 16).expect("a size"));
        whole.push_str(chunk);
        rest = after.strip_prefix("\r\n").expect("the end of a chunk");
    }
    whole
}

#[tokio::test]
async fn metrics_hold_our_own_and_those_of_the_ledger() {
    let server = Server::usual().await;
    let answer = server.ask("GET", "/metrics", "localhost").await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    assert!(answer.contains("\nplimsoll_build_info{"), "{answer}");
    assert!(answer.contains("\ncontainer_processes{"), "{answer}");
    assert!(answer.contains("\nplimsoll_node_oom_events_total 1006\n"), "{answer}");
    assert_eq!(server.scraped.load(Ordering::Relaxed), 1);
    let families: Vec<&str> = answer.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    assert_eq!(
        families.len(),
        families.iter().collect::<BTreeSet<_>>().len(),
        "a family twice: {families:?}"
    );
    let again = server.ask("GET", "/metrics?x=y", "localhost").await;
    assert!(again.contains("plimsoll_scrape_duration_seconds_count 1\n"), "{again}");
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let server = Server::usual().await;
    for path in ["/metrics", "/healthz", "/readyz", "/api/v1/containers"] {
        let answer = server.ask("HEAD", path, "localhost").await;
        assert_eq!((status(&answer), body(&answer)), (200, ""), "{path}");
    }
    assert_eq!(server.scraped.load(Ordering::Relaxed), 0, "HEAD is no scrape");
}

#[tokio::test]
async fn health_readiness_accounts_and_nothing_else() {
    let server = Server::usual().await;
    assert_eq!(body(&server.ask("GET", "/healthz", "localhost").await), "ok\n");
    assert_eq!(body(&server.ask("GET", "/readyz", "localhost").await), "ready\n");
    let json = server.ask("GET", "/api/v1/containers", "localhost").await;
    assert!(
        json.contains("content-type: application/json\r\n") && json.contains("\"id\":\"/docker/4f\""),
        "{json}"
    );
    assert_eq!(server.scraped.load(Ordering::Relaxed), 0, "only a page of metrics is a scrape");
    for path in ["/", "/metrics/", "/api/v1/", "/../metrics"] {
        assert_eq!(status(&server.ask("GET", path, "localhost").await), 404, "{path}");
    }
}

#[tokio::test]
async fn events_are_those_of_the_journal() {
    let mut server = Server::usual().await;
    let api = &account("/docker/4f", "api").identity;
    let note = |kind| Note::new(kind, Who::Uid(0));
    server.journal.write(moment(1), note(Kind::ConfigLoaded));
    server.journal.write(moment(2), note(Kind::Set).of(7, api, None));
    server.journal.write(SystemTime::now(), note(Kind::Hit));
    for (query, expected) in [
        ("", &[1_u64, 2, 3][..]),
        ("?after=2", &[3]),
        ("?container=api", &[2]),
        ("?since=1h&follow=false", &[3]),
        ("?container=other", &[]),
    ] {
        let answer = server.ask("GET", &format!("/api/v1/events{query}"), "localhost").await;
        let events: Events = serde_json::from_str(&whole(&answer)).expect("JSON");
        let sequences: Vec<u64> = events.events.iter().map(|entry| entry.sequence).collect();
        assert_eq!((sequences.as_slice(), events.last, events.lost), (expected, 3, 0), "{query}");
    }
    for wrong in
        ["?follow", "?since=10", "?since=yesterday", "?after=x", "?from=1", "?follow=maybe", "?since=%"]
    {
        let answer = server.ask("GET", &format!("/api/v1/events{wrong}"), "localhost").await;
        assert_eq!(status(&answer), 400, "{answer}");
    }
}

#[tokio::test]
async fn without_a_snapshot_it_is_alive_and_not_ready() {
    let server = Server::start(None, Duration::from_secs(10)).await;
    assert_eq!(status(&server.ask("GET", "/healthz", "localhost").await), 200);
    for path in ["/readyz", "/metrics", "/api/v1/containers"] {
        let answer = server.ask("GET", path, "localhost").await;
        assert_eq!(status(&answer), 503, "{path}");
        assert!(body(&answer).len() > 20, "{answer}");
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let server = Server::usual().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
        let answer = server.ask(method, "/metrics", "localhost").await;
        assert_eq!(status(&answer), 405, "{method}");
        assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    }
    let upload = "POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nxxx";
    assert_eq!(status(&server.raw(upload).await), 405);
}

#[tokio::test]
async fn foreign_hosts_are_refused_on_every_path() {
    let server = Server::usual().await;
    let own = server.addr.to_string();
    for host in ["localhost:1", "127.0.0.1", "[::1]:17546", "Node1.example:80", own.as_str()] {
        assert_eq!(status(&server.ask("GET", "/healthz", host).await), 200, "{host}");
    }
    for path in ["/metrics", "/healthz", "/nothing"] {
        let answer = server.ask("GET", path, "evil.example").await;
        assert_eq!(status(&answer), 403, "{path}");
        assert!(
            body(&answer).contains("\"evil.example\"") && body(&answer).contains("--allowed-host"),
            "{answer}"
        );
    }
    let absolute = "GET http://evil.example/metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&server.raw(absolute).await), 403, "the target goes before the header");
}

#[tokio::test]
async fn http_1_1_needs_one_good_host() {
    let server = Server::usual().await;
    for (hosts, expected) in [
        ("", 400),
        ("host:\r\n", 400),
        ("host: a b\r\n", 400),
        ("host: localhost\r\nhost: localhost\r\n", 400),
        ("host: localhost\r\n", 200),
    ] {
        let answer = server.raw(&format!("GET /healthz HTTP/1.1\r\n{hosts}connection: close\r\n\r\n")).await;
        assert_eq!(status(&answer), expected, "{hosts:?}");
    }
    assert_eq!(status(&server.raw("GET /healthz HTTP/1.0\r\n\r\n").await), 200, "HTTP/1.0 knows no Host");
}

#[tokio::test]
async fn nine_kilobytes_of_headers_are_too_many() {
    let server = Server::usual().await;
    for (bytes, expected) in [(7_000, 200), (9_000, 431), (1_000_000, 431)] {
        let filler = "x".repeat(bytes);
        let mut stream = server.connect().await;
        let request =
            format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: {filler}\r\n\r\n");
        // The server may close before it took all of the longest.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = vec![0; 12];
        match stream.read_exact(&mut answer).await {
            Ok(_) => assert_eq!(status(&String::from_utf8_lossy(&answer)), expected, "{bytes}"),
            Err(error) => assert!(bytes > 100_000, "{bytes}: {error}"),
        }
    }
}

#[tokio::test]
async fn slow_and_idle_clients_are_cut_at_the_deadline() {
    let server = Server::start(Some(many(1)), Duration::from_millis(300)).await;
    for opening in ["", "GET /metr"] {
        let (began, mut stream) = (Instant::now(), server.connect().await);
        stream.write_all(opening.as_bytes()).await.expect("an opening");
        let ended = async {
            // A byte now and then does not move the deadline.
            while !opening.is_empty() && stream.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        timeout(Duration::from_secs(5), ended).await.expect("the server ends it");
        assert!(began.elapsed() >= Duration::from_millis(290), "{opening:?}");
    }
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("a request");
    let mut answer = Vec::new();
    timeout(Duration::from_secs(5), idle.read_to_end(&mut answer)).await.expect("an end").expect("an answer");
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 200, "answered, then closed");
}

#[tokio::test]
async fn a_reader_that_stops_is_cut_and_the_page_is_not_made_in_vain() {
    let server = Server::start(Some(many(10_000)), Duration::from_millis(300)).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("a request");
    sleep(Duration::from_secs(2)).await;
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("an end");
    assert!(ended.is_err() || !answer.ends_with(b"0\r\n\r\n"), "the whole page went into socket buffers");
    assert_eq!(server.scraped.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_seventeenth_connection_is_refused_and_counted() {
    let server = Server::usual().await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("a request");
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        open.push(stream);
    }
    let mut answer = String::new();
    let mut stream = server.connect().await;
    timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
        .await
        .expect("at once")
        .expect("an answer");
    assert_eq!(status(&answer), 503);
    open.pop();
    let began = Instant::now();
    loop {
        let answer = server.ask("GET", "/metrics", "localhost").await;
        if status(&answer) == 200 {
            assert!(!answer.contains("plimsoll_http_connections_refused_total 0\n"), "{answer}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "room is never found again");
    }
}

#[tokio::test]
async fn who_keeps_connections_by_asking_again_and_again_makes_room() {
    let deadline = Duration::from_millis(400);
    let server = Server::start(None, deadline).await;
    let mut kept = Vec::new();
    for _ in 0..CONNECTIONS {
        kept.push(server.connect().await);
    }
    let began = Instant::now();
    while began.elapsed() < 3 * deadline {
        for stream in &mut kept {
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        }
        tokio::time::sleep(deadline / 4).await;
    }
    assert_eq!(status(&server.ask("GET", "/healthz", "localhost").await), 200);
}

#[tokio::test]
async fn an_end_closes_idle_connections_and_the_port() {
    let server = Server::usual().await;
    let mut idle = server.connect().await;
    let mut kept = server.connect().await;
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("a request");
    let mut first = [0; 15];
    kept.read_exact(&mut first).await.expect("an answer");
    let began = Instant::now();
    server.stop.send(()).expect("it runs");
    timeout(Duration::from_secs(5), server.task).await.expect("an end").expect("no panic").expect("no error");
    assert!(began.elapsed() < DRAIN, "idle connections are not waited for");
    assert_eq!(idle.read(&mut [0; 9]).await.expect("an end"), 0);
    assert!(TcpStream::connect(server.addr).await.is_err());
}
