//! The HTTP server on the wire: its limits, its deadlines, and what it does with more than one request.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's own words for what went wrong")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tributary::http::{Answer, Listener, Server, Settings};

/// Answers with what it got; `/panic` panics, `/wait` says that it began and never ends until told.
struct Echo {
    began: mpsc::UnboundedSender<()>,
    go_on: tokio::sync::watch::Receiver<bool>,
}

impl Answer for Echo {
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        match request.uri().path() {
            "/panic" => panic!("on purpose"),
            "/wait" => {
                self.began.send(()).expect("the test listens");
                self.go_on.clone().wait_for(|go_on| *go_on).await.expect("the test speaks");
            }
            _ => {}
        }
        Response::new(format!("{} {} {}", request.method(), request.uri().path(), request.body().len()).into())
    }
}

struct Running {
    server: Server,
    address: std::net::SocketAddr,
    began: mpsc::UnboundedReceiver<()>,
    go_on: tokio::sync::watch::Sender<bool>,
}

fn start(settings: Settings) -> Running {
    let (began_tx, began) = mpsc::unbounded_channel();
    let (go_on, go_on_rx) = tokio::sync::watch::channel(false);
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address"), None).expect("a free port");
    let address = listener.address();
    let answer = Echo { began: began_tx, go_on: go_on_rx };
    let server = Server::start(vec![listener], 2, settings, answer).expect("threads");
    Running { server, address, began, go_on }
}

/// The deadline that a test waits for; what the test does before it has all the time it needs.
const SHORT: Duration = Duration::from_millis(40);

/// Sends `request` and reads until the server ends the connection.
async fn talk(running: &Running, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(running.address).await.expect("connected");
    stream.write_all(request).await.expect("sent");
    read_to_end(&mut stream).await
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an orderly end");
    String::from_utf8(answer).expect("text")
}

/// One answer of a connection that goes on.
async fn read_answer(stream: &mut TcpStream, last: &str) -> String {
    let mut answer = String::new();
    while !answer.ends_with(last) {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("a byte more");
        answer.push(byte[0].into());
    }
    answer
}

fn assert_problem(answer: &str, status: u16, title: &str, detail: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let problem: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(problem, serde_json::json!({"status": status, "title": title, "detail": detail}));
}

/// S1: a body without Content-Length has the same limit.
#[tokio::test]
async fn what_breaks_a_limit_hears_which_one() {
    let running = start(Settings::default());
    let many_headers = (0..65).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let far_too_many = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let long_header = format!("x: {}\r\n", "y".repeat(20_000));
    let chunks = "20000\r\n".to_owned() + &"z".repeat(0x20000) + "\r\n";
    let head = "the request line and the headers have more than 16384 bytes or 64 fields";
    for (request, status, title, detail) in [
        (
            format!("GET / HTTP/1.1\r\n{many_headers}\r\n"),
            431,
            "Request Header Fields Too Large",
            "the request has 65 headers; the limit is 64",
        ),
        (format!("GET / HTTP/1.1\r\n{far_too_many}\r\n"), 431, "Request Header Fields Too Large", head),
        (format!("GET / HTTP/1.1\r\n{long_header}\r\n"), 431, "Request Header Fields Too Large", head),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1400001\r\n\r\n".to_owned(),
            413,
            "Content Too Large",
            "the body has 1400001 bytes or more; the limit is 1400000",
        ),
        (
            format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{}", chunks.repeat(11)),
            413,
            "Content Too Large",
            "",
        ),
        ("GARBAGE\r\n\r\n".to_owned(), 400, "Bad Request", "the request's head is not HTTP/1.1"),
        (
            "POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            400,
            "Bad Request",
            "the body breaks off, or its chunks are not framed as HTTP/1.1 says",
        ),
    ] {
        let answer = talk(&running, request.as_bytes()).await;
        if detail.is_empty() {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(answer.ends_with("bytes or more; the limit is 1400000\"}"), "{answer}");
        } else {
            assert_problem(&answer, status, title, detail);
        }
    }
}

/// S10: a slow body.
#[tokio::test]
async fn a_body_that_stalls_is_answered_with_408() {
    let running = start(Settings { body_timeout: SHORT, ..Settings::default() });
    for framing in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n5\r\nabc"] {
        let answer = talk(&running, format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}").as_bytes()).await;
        assert_problem(&answer, 408, "Request Timeout", "the body did not arrive within 40 ms");
    }
}

/// S10: a slow head.
#[tokio::test]
async fn a_head_that_stalls_is_answered_with_408() {
    let running = start(Settings { header_timeout: SHORT, ..Settings::default() });
    let answer = talk(&running, b"POST / HTTP/1.1\r\nhost: ").await;
    assert_problem(&answer, 408, "Request Timeout", "the request's head did not arrive within 40 ms");
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_closed() {
    let running = start(Settings { idle_timeout: SHORT, ..Settings::default() });
    assert_eq!(talk(&running, b"").await, "");
}

#[tokio::test]
async fn a_connection_is_closed_some_time_after_its_last_request() {
    let running = start(Settings { idle_timeout: Duration::from_millis(500), ..Settings::default() });
    let answer = talk(&running, b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("GET /x 0"), "{answer}");
}

#[tokio::test]
async fn a_connection_is_kept_and_requests_may_come_in_one_piece() {
    let running = start(Settings::default());
    let mut stream = TcpStream::connect(running.address).await.expect("connected");
    let pipelined = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(pipelined.as_bytes()).await.expect("sent");
    read_answer(&mut stream, "POST /a 3").await;
    read_answer(&mut stream, "GET /b 0").await;
    let chunked = "POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
    stream.write_all(chunked.as_bytes()).await.expect("sent");
    read_answer(&mut stream, "POST /c 5").await;
    let expecting = "POST /d HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    stream.write_all(expecting.as_bytes()).await.expect("sent");
    read_answer(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"ab").await.expect("sent");
    read_answer(&mut stream, "POST /d 2").await;
}

#[tokio::test]
async fn a_panic_is_answered_with_500_and_the_next_request_as_ever() {
    let running = start(Settings::default());
    let mut stream = TcpStream::connect(running.address).await.expect("connected");
    stream.write_all(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    let answer = read_answer(&mut stream, "}").await;
    assert_problem(&answer, 500, "Internal Server Error", "the request met a bug; the log says where");
    stream.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    read_answer(&mut stream, "GET /x 0").await;
}

#[tokio::test]
async fn stopping_finishes_the_request_under_way_and_takes_no_more() {
    let mut running = start(Settings::default());
    let mut idle = TcpStream::connect(running.address).await.expect("connected");
    let mut busy = TcpStream::connect(running.address).await.expect("connected");
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    running.began.recv().await.expect("it began");
    let stopping = tokio::spawn(running.server.stop());
    assert_eq!(read_to_end(&mut idle).await, "");
    running.go_on.send(true).expect("it waits");
    assert!(read_to_end(&mut busy).await.ends_with("GET /wait 0"));
    stopping.await.expect("stopped");
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off_when_the_grace_is_over() {
    let mut running = start(Settings { shutdown_grace: Duration::from_millis(20), ..Settings::default() });
    let mut busy = TcpStream::connect(running.address).await.expect("connected");
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    running.began.recv().await.expect("it began");
    running.server.stop().await;
    let mut answer = Vec::new();
    let _ = busy.read_to_end(&mut answer).await; // cut off: an end or a reset
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn beyond_the_limit_a_connection_waits_for_a_place() {
    let running = start(Settings { connections_max: 2, ..Settings::default() });
    let mut first = TcpStream::connect(running.address).await.expect("connected");
    first.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    read_answer(&mut first, "GET /1 0").await;
    let mut second = TcpStream::connect(running.address).await.expect("connected");
    second.write_all(b"GET /2 HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    read_answer(&mut second, "GET /2 0").await;
    let mut third = TcpStream::connect(running.address).await.expect("queued by the system");
    third.write_all(b"GET /3 HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    drop(first);
    read_answer(&mut third, "GET /3 0").await;
}
