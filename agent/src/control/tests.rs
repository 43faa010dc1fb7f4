//! The control socket over real sockets: what it answers, whom, and what no client can make it do.

mod door;
mod fixture;
mod stream;

use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{sleep, timeout},
};

use self::fixture::{Server, body, head, status};
use super::{
    Set, Unset,
    client::ClientError,
    document::{ErrorDocument, LimitsDocument, SettledDocument, State},
};
use crate::{
    http::server::{CONNECTIONS, DRAIN},
    ledger::{journal::Who, limits::What},
};

const SLOW: Duration = Duration::from_secs(10);
const FAST: Duration = Duration::from_millis(300);

fn set(container: &str) -> Set {
    Set { container: container.to_owned(), pids: Some(50), ..Set::default() }
}

/// What is wrong, of an answer that must say so.
fn error(answer: &str) -> ErrorDocument<'_> {
    serde_json::from_str(body(answer)).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[tokio::test]
async fn limits_are_shown_as_they_are() {
    let server = Server::start(SLOW);
    let answer = server.raw(&head("GET", "/v1/limits", "")).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
    let limits: LimitsDocument<'_> = server.agent().get("/v1/limits").await.expect("limits");
    assert_eq!((&*limits.mode, limits.drift, limits.problem.as_deref()), ("enforce", 3, Some("line 7")));
    let rows: Vec<_> = limits
        .limits
        .iter()
        .map(|row| (row.what, row.value, row.used, row.state, row.degraded.as_deref()))
        .collect();
    let expected = [
        (What::Tasks, 50, Some(49), State::Held, None),
        (What::Egress, 10_000_000, None, State::DryRun, None),
        (What::Ingress, 1_500_000, None, State::NotHeld, Some("no tbf")),
    ];
    assert_eq!(rows, expected);
    assert_eq!(limits.limits[0].container.name, "web");
}

#[tokio::test]
async fn a_change_reaches_the_desk_with_who_asked() {
    let mut server = Server::start(SLOW);
    let wish =
        Set { egress: Some("10 Mbit".to_owned()), lasts: "1h".parse().ok(), dry_run: true, ..set("web") };
    let settled: SettledDocument<'_> = server.agent().post("/v1/limits/set", &wish).await.expect("settled");
    assert_eq!((settled.container.name.as_str(), settled.limits.len()), ("web", 3));
    assert_eq!(settled.notes, ["the cap of 40 holds in its place"]);
    let unset = Unset { container: "web".to_owned(), what: vec![What::Egress] };
    let _: SettledDocument<'_> = server.agent().post("/v1/limits/unset", &unset).await.expect("settled");
    let own = Who::Uid(nix::unistd::geteuid().as_raw());
    assert_eq!(server.asked().await, (Some(wish), None, own.clone()));
    assert_eq!(server.asked().await, (None, Some(unset), own));
}

#[tokio::test]
async fn a_refusal_has_its_status_its_reason_and_what_to_do() {
    let server = Server::start(SLOW);
    for (container, expected) in
        [("none", 404), ("two", 409), ("zero", 422), ("runtime", 403), ("kernel", 500), ("away", 503)]
    {
        let answer: Result<SettledDocument<'_>, _> =
            server.agent().post("/v1/limits/set", &set(container)).await;
        match answer.expect_err("a refusal") {
            ClientError::Refused { status, error, hint } => {
                assert_eq!((status.as_u16(), error.as_str(), hint.as_str()), (expected, container, "do x"));
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_and_so_is_what_is() {
    let server = Server::start(SLOW);
    for (method, path, expected, allow) in [
        ("GET", "/", 404, ""),
        ("GET", "/v1/limits/", 404, ""),
        ("POST", "/metrics", 404, ""),
        ("GET", "/v1/limits/set", 405, "allow: POST\r\n"),
        ("HEAD", "/v1/limits/set", 405, "allow: POST\r\n"),
        ("POST", "/v1/limits", 405, "allow: GET\r\n"),
        ("DELETE", "/v1/limits", 405, "allow: GET\r\n"),
        ("OPTIONS", "/v1/events", 405, "allow: GET\r\n"),
        ("PUT", "/v1/limits/unset", 405, "allow: POST\r\n"),
    ] {
        let answer = server.raw(&head(method, path, "")).await;
        assert_eq!(status(&answer), expected, "{method} {path}");
        assert!(answer.contains(allow), "{answer}");
    }
    let answer = server.raw(&head("GET", "/v2/limits", "")).await;
    let ErrorDocument { error, hint } = error(&answer);
    assert!(error.contains(env!("CARGO_PKG_VERSION")) && error.contains("/v1/limits/set"), "{error}");
    assert!(hint.contains("restart the agent"), "{hint}");
}

#[tokio::test]
async fn a_body_that_says_what_cannot_be_is_refused_with_the_reason() {
    let mut server = Server::start(SLOW);
    for (path, sent, word) in [
        ("/v1/limits/set", r#"{"container":"web","pid":1}"#, "unknown field `pid`"),
        ("/v1/limits/set", r#"{"container":"web"}"#, "no limit to set"),
        ("/v1/limits/set", "", "EOF"),
        ("/v1/limits/unset", r#"{"container":"web","what":["disk"]}"#, "unknown variant `disk`"),
    ] {
        let answer = server.raw(&head("POST", path, sent)).await;
        assert_eq!(status(&answer), 400, "{answer}");
        assert!(error(&answer).error.contains(word), "{answer}");
    }
    assert!(server.nobody_asked(), "a request that cannot be read reaches nobody");
}

#[tokio::test]
async fn more_than_64_kilobytes_are_too_many_however_they_come() {
    let mut server = Server::start(SLOW);
    let most = 64 << 10;
    let fill = |bytes: usize| format!(r#"{{"container":"web","pids":1{}}}"#, " ".repeat(bytes - 28));
    let accepted = server.raw(&head("POST", "/v1/limits/set", &fill(most))).await;
    assert_eq!(status(&accepted), 200, "{accepted}");
    server.asked().await;
    let announced = "POST /v1/limits/set HTTP/1.1\r\nhost: x\r\ncontent-length: 65537\r\n\r\n";
    let began = Instant::now();
    let answer = server.raw(announced).await;
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for the rest");
    assert_eq!(status(&answer), 413, "told before it is sent: {answer}");
    assert!(error(&answer).error.contains("65536 bytes"), "{answer}");
    let fill = fill(most + 1);
    let chunks = "POST /v1/limits/set HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = format!("{chunks}{:x}\r\n{fill}\r\n0\r\n\r\n", fill.len());
    assert_eq!(status(&server.raw(&chunks).await), 413);
    assert!(server.nobody_asked());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let mut server = Server::start(FAST);
    let began = Instant::now();
    let mut stream = server.connect().await;
    let opening = "POST /v1/limits/set HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(opening.as_bytes()).await.expect("an opening");
    let (mut reads, mut writes) = stream.into_split();
    // A byte now and then does not move the deadline.
    let drip = tokio::spawn(async move {
        while writes.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(30)).await;
        }
    });
    let mut answer = vec![0; 12];
    timeout(Duration::from_secs(5), reads.read_exact(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 408);
    assert!(began.elapsed() >= FAST, "it had its time");
    assert!(server.nobody_asked());
    drop(reads);
    timeout(Duration::from_secs(5), drip).await.expect("the connection is ended").expect("no panic");
}

#[tokio::test]
async fn slow_headers_are_cut_and_long_ones_refused() {
    let server = Server::start(FAST);
    let mut stream = server.connect().await;
    stream.write_all(b"GET /v1/lim").await.expect("an opening");
    let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
    ended.expect("the server ends it").expect("an end");
    let long = format!("GET /v1/limits HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(9_000));
    assert_eq!(status(&server.raw(&long).await), 431);
}

#[tokio::test]
async fn a_desk_that_does_not_settle_is_told_of() {
    let server = Server::start(FAST);
    let answer: Result<SettledDocument<'_>, _> = server.agent().post("/v1/limits/set", &set("slow")).await;
    let error = answer.expect_err("no answer");
    assert!(matches!(&error, ClientError::Refused { status: StatusCode::GATEWAY_TIMEOUT, .. }), "{error}");
    assert!(error.to_string().contains("it may be yet; see `plimsoll limit ls`"), "{error}");
}

#[tokio::test]
async fn one_connection_more_than_may_be_is_refused() {
    let server = Server::start(SLOW);
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = server.connect().await;
        stream
            .write_all(head("GET", "/v1/limits", "").replace("connection: close\r\n", "").as_bytes())
            .await
            .expect("sent");
        stream.read_exact(&mut [0; 15]).await.expect("an answer");
        open.push(stream);
    }
    let answer: Result<LimitsDocument<'_>, _> = server.agent().get("/v1/limits").await;
    let error = answer.expect_err("no room").to_string();
    assert!(error.contains("serves as many as it can"), "{error}");
    let answer = server.raw(&head("GET", "/v1/limits", "")).await;
    assert!(status(&answer) == 503 && answer.contains("16 connections are open already"), "{answer}");
    open.clear();
    let began = Instant::now();
    while server.agent().get::<LimitsDocument<'_>>("/v1/limits").await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(5), "room is never found again");
    }
}

#[tokio::test]
async fn no_bytes_at_all_stop_the_server() {
    let server = Server::start(FAST);
    for bytes in [
        &b"\0\0\0\0"[..],
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET /v1/limits HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/events?since=%ff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/limits/set HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/limits/set HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut stream = server.connect().await;
        let _ = stream.write_all(bytes).await;
        let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await.expect("an end");
    }
    server.agent().get::<LimitsDocument<'_>>("/v1/limits").await.expect("it goes on");
}

#[tokio::test]
async fn an_end_closes_idle_connections_and_removes_the_socket() {
    let server = Server::start(SLOW);
    let mut idle = server.connect().await;
    // Who came later is answered: it has taken the idle one in.
    server.agent().get::<LimitsDocument<'_>>("/v1/limits").await.expect("limits");
    let (path, began) = (server.path.clone(), Instant::now());
    server.end().await;
    assert!(began.elapsed() < DRAIN, "idle connections are not waited for");
    assert_eq!(idle.read(&mut [0; 9]).await.expect("an end"), 0);
    assert!(!path.exists(), "{path:?} is left");
    let error = UnixStream::connect(&path).await.expect_err("closed");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[tokio::test]
async fn errors_of_the_client_say_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    let agent = super::client::Agent { socket: &path };
    let asked =
        async || agent.get::<LimitsDocument<'_>>("/v1/limits").await.expect_err("an error").to_string();
    let error = asked().await;
    assert!(error.contains("there is no control socket") && error.contains("plimsoll run"), "{error}");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    for (answer, word) in [
        ("SSH-2.0-OpenSSH\r\n", "is it a Plimsoll agent?"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "missing field `mode`"),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nnone\n",
            "404 Not Found: none; is it a Plimsoll agent",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "ask "),
    ] {
        let answering = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 1_000]).await;
            stream.write_all(answer.as_bytes()).await.expect("an answer");
        };
        let (error, ()) = tokio::join!(asked(), answering);
        assert!(error.contains(word), "{error}");
    }
    drop(listener);
    let error = asked().await;
    assert!(error.contains("no agent answers") && error.contains("plimsoll run"), "{error}");
}

#[tokio::test]
async fn every_field_is_documented() {
    const REFERENCE: &str = include_str!("../../../docs/api.md");
    let server = Server::start(SLOW);
    let limits: serde_json::Value = server.agent().get("/v1/limits").await.expect("limits");
    let settled: serde_json::Value =
        server.agent().post("/v1/limits/set", &set("web")).await.expect("settled");
    let wish = Set {
        egress: Some(String::new()),
        ingress: Some(String::new()),
        lasts: "1s".parse().ok(),
        ..set("x")
    };
    let unset = Unset { container: String::new(), what: vec![What::Tasks] };
    let refused = ErrorDocument { error: "".into(), hint: "".into() };
    let row = &limits["limits"][0];
    let mut fields = 0;
    for value in [
        &limits,
        &settled,
        row,
        &row["counts"],
        &row["counts"]["passed"],
        &serde_json::to_value(wish).expect("JSON"),
        &serde_json::to_value(unset).expect("JSON"),
        &serde_json::to_value(refused).expect("JSON"),
    ] {
        for field in value.as_object().expect("an object").keys() {
            let told = REFERENCE.contains(&format!("\n| `{field}` | "))
                || REFERENCE.contains(&format!("`{field}` and "));
            assert!(told || field == "packets", "{field} is not in docs/api.md");
            fields += 1;
        }
    }
    assert_eq!(fields, 5 + 3 + 12 + 6 + 2 + 6 + 2 + 2);
}
