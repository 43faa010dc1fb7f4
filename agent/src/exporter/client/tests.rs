//! The client against real sockets.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

/// Answers one connection with these bytes; gives the request, and the connection as long as the task is held.
async fn answer(bytes: &'static [u8]) -> (SocketAddr, JoinHandle<(String, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = vec![0; 1_000];
        let length = stream.read(&mut request).await.expect("a request");
        stream.write_all(bytes).await.expect("an answer");
        request.truncate(length);
        (String::from_utf8(request).expect("UTF-8"), stream)
    });
    (addr, task)
}

#[tokio::test]
async fn the_body_is_given_and_the_host_named() {
    let (addr, task) = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").await;
    assert_eq!(get(addr, "/x").await.expect("an answer"), "abc");
    let (request, _) = task.await.expect("no panic");
    assert!(
        request.starts_with("GET /x HTTP/1.1\r\n") && request.contains(&format!("host: {addr}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn an_answer_that_is_kept_open_is_not_waited_for() {
    let (addr, _kept) = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab").await;
    let answer = timeout(Duration::from_secs(2), get(addr, "/")).await.expect("at once");
    assert_eq!(answer.expect("an answer"), "ab");
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = listener.local_addr().expect("its address");
    drop(listener);
    let error = get(nobody, "/").await.expect_err("nobody listens").to_string();
    assert_eq!(
        error,
        format!(
            "no agent answers on {nobody}: start one with `plimsoll run`, or name its address with --agent"
        )
    );
    let (addr, _) = answer(b"HTTP/1.1 503 No\r\ncontent-length: 9\r\n\r\nno, why\nx").await;
    let error = get(addr, "/x").await.expect_err("503").to_string();
    assert_eq!(error, format!("ask {addr} for /x: it answers 503 Service Unavailable: no, why"));
    let (addr, _) = answer(b"SSH-2.0-OpenSSH\r\n").await;
    let error = get(addr, "/x").await.expect_err("not HTTP").to_string();
    assert!(error.contains("is it a Plimsoll agent?"), "{error}");
    let (addr, _) = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
    let error = get(addr, "/x").await.expect_err("cut").to_string();
    assert!(error.starts_with(&format!("ask {addr} for /x: ")), "{error}");
}

#[test]
fn an_agent_that_listens_on_all_is_asked_on_loopback() {
    for (listen, ask) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("192.0.2.1:1", "192.0.2.1:1")]
    {
        assert_eq!(reachable(listen.parse().expect("an address")).to_string(), ask);
    }
}
