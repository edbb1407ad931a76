//! The whole command against a scripted collector: a listener that answers each request as its script says.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tributary_model::{ProjectId, Report};
use tributary_pipeline::admit::admit;

use super::*;

const TOKEN: &str = "head.claims.signature";

/// What the collector does with one request.
#[derive(Clone, Copy)]
enum Reply {
    /// 200 and the report's id, in as many pieces.
    Acknowledge { pieces: usize },
    /// A problem with this status and text.
    Refuse(u16, &'static str),
    /// These bytes, and the connection's end.
    Say(&'static str),
    /// Nothing, while the connection stays.
    Keep,
    /// No more of any connection, nor a listener.
    Die,
}

/// The bodies that came, in their order.
type Bodies = Arc<Mutex<Vec<String>>>;

/// A collector that answers its n-th request with `script(n)`.
struct Collector {
    endpoint: String,
    bodies: Bodies,
}

impl Collector {
    async fn start(script: fn(usize) -> Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let bodies = Bodies::default();
        tokio::spawn(listen(listener, script, Arc::clone(&bodies)));
        Self { endpoint, bodies }
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("no panic").clone()
    }
}

/// Accepts until a connection's script says to die, which ends all of them.
async fn listen(listener: TcpListener, script: fn(usize) -> Reply, bodies: Bodies) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(answer_all(accepted.expect("a connection").0, script, Arc::clone(&bodies)));
            }
            Some(died) = connections.join_next() => if died.expect("no panic") { return },
        }
    }
}

/// Answers one connection's requests; whether the collector dies.
async fn answer_all(mut stream: TcpStream, script: fn(usize) -> Reply, bodies: Bodies) -> bool {
    let mut bytes = Vec::new();
    while let Some(body) = request(&mut stream, &mut bytes).await {
        let number = {
            let mut bodies = bodies.lock().expect("no panic");
            bodies.push(body.clone());
            bodies.len() - 1
        };
        match script(number) {
            Reply::Acknowledge { pieces } => {
                say(&mut stream, &answer(200, &format!(r#"{{"id":"{}"}}"#, id(&body))), pieces).await
            }
            Reply::Refuse(status, detail) => {
                say(&mut stream, &answer(status, &format!(r#"{{"detail":"{detail}"}}"#)), 1).await
            }
            Reply::Say(text) => {
                say(&mut stream, text, 1).await;
                return false;
            }
            Reply::Keep => {}
            Reply::Die => return true,
        }
    }
    false
}

/// The next request's body; none at the connection's end.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head.rsplit_once("Content-Length: ").expect("a length").1.parse().expect("a number");
            if body.len() >= length {
                assert!(head.starts_with("POST /v0/event HTTP/1.1\r\nHost: 127.0.0.1:"), "{head}");
                assert!(head.contains(&format!("\r\nAuthorization: Bearer {TOKEN}\r\n")), "{head}");
                let body = body[..length].to_owned();
                bytes.drain(..head.len() + 4 + length);
                return Some(body);
            }
        }
        if stream.read_buf(bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Writes a text in pieces, each of which the other side can take before the next comes.
async fn say(stream: &mut TcpStream, text: &str, pieces: usize) {
    stream.set_nodelay(true).expect("a socket");
    for piece in text.as_bytes().chunks(text.len().div_ceil(pieces).max(1)) {
        stream.write_all(piece).await.expect("the sender reads");
        tokio::task::yield_now().await;
    }
}

fn id(body: &str) -> String {
    let project = ProjectId::new("load").expect("a name");
    Report::parse(body.as_bytes()).expect("a report").id(&project).to_string()
}

/// `count` reports over four connections.
fn options(collector: &Collector, count: u64) -> Options {
    let arguments = LoadArguments {
        rate: None,
        connections: 4,
        duration: None,
        count: Some(count),
        size: None,
        seed: Some(1),
        receipts: None,
    };
    Options { endpoint: collector.endpoint.clone(), token: TOKEN.to_owned(), arguments }
}

async fn sent(options: Options) -> Summary {
    let now = TimestampMs(1_795_284_061_873);
    send(options, now, std::future::pending()).await.expect("a summary")
}

#[tokio::test]
async fn every_report_is_acknowledged_once_and_its_receipt_written() {
    let collector = Collector::start(|number| Reply::Acknowledge { pieces: 1 + number % 7 }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(&collector, 500);
    options.arguments.receipts = Some(folder.path().join("receipts"));
    let summary = sent(options).await;
    assert_eq!((summary.sent, summary.acknowledged, summary.problem()), (500, 500, None));
    let text = std::fs::read_to_string(folder.path().join("receipts")).expect("receipts");
    let ids: BTreeSet<String> = collector.bodies().iter().map(|body| id(body)).collect();
    assert_eq!(ids.len(), 500, "no two are one invocation");
    assert_eq!(text.lines().map(str::to_owned).collect::<BTreeSet<_>>(), ids);
    assert_eq!(text.lines().count(), 500);
}

#[tokio::test]
async fn refusals_are_counted_by_status_with_an_example() {
    let collector = Collector::start(|number| match number % 10 {
        0 => Reply::Refuse(503, "the stream is full"),
        1 | 2 => Reply::Refuse(401, "the token is revoked"),
        _ => Reply::Acknowledge { pieces: 1 },
    })
    .await;
    let summary = sent(options(&collector, 100)).await;
    assert_eq!((summary.sent, summary.acknowledged), (100, 70));
    let failures = |status| summary.errors[&Failure::Status(status)].clone();
    assert_eq!((failures(503).count, failures(503).example.as_str()), (10, "the stream is full"));
    assert_eq!((failures(401).count, failures(401).example.as_str()), (20, "the token is revoked"));
    assert_eq!(summary.problem().as_deref(), Some("30 of 100 reports are not acknowledged"));
}

#[tokio::test]
async fn a_connection_that_breaks_is_opened_again() {
    let collector = Collector::start(|number| match number % 20 {
        3 => Reply::Say("HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{\"id\":"),
        7 => Reply::Say(""),
        11 => Reply::Say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"),
        15 => Reply::Say("HTTP/1.1 503 x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"),
        _ => Reply::Acknowledge { pieces: 1 },
    })
    .await;
    let mut options = options(&collector, 40);
    options.arguments.connections = 1;
    let summary = sent(options).await;
    assert_eq!((summary.sent, summary.acknowledged), (40, 32));
    assert_eq!(summary.errors[&Failure::Connection].count, 4, "{summary}");
    assert_eq!(summary.errors[&Failure::Connection].example, "closed before the answer was complete");
    assert_eq!(summary.errors[&Failure::Unreadable].example, "a 200 without an id");
    assert_eq!(summary.errors[&Failure::Status(503)].count, 2);
    assert_eq!(collector.bodies().len(), 40, "none was sent twice");
    assert_eq!(summary.stopped, None);
}

#[tokio::test]
async fn a_collector_that_dies_ends_the_run_with_all_receipts_written() {
    let collector =
        Collector::start(|number| if number < 200 { Reply::Acknowledge { pieces: 1 } } else { Reply::Die }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(&collector, 1_000_000);
    options.arguments.receipts = Some(folder.path().join("receipts"));
    let summary = sent(options).await;
    assert!(summary.stopped.as_deref().is_some_and(|why| why.starts_with("the collector is gone: ")), "{summary}");
    assert_eq!(summary.sent, summary.acknowledged + summary.errors[&Failure::Connection].count);
    let text = std::fs::read_to_string(folder.path().join("receipts")).expect("receipts");
    assert_eq!(text.lines().count() as u64, summary.acknowledged);
    assert_eq!(summary.acknowledged, 200);
}

#[tokio::test]
async fn a_collector_that_only_closes_is_gone() {
    let collector = Collector::start(|_| Reply::Say("")).await;
    let mut options = options(&collector, 10);
    options.arguments.connections = 1;
    let summary = sent(options).await;
    assert_eq!((summary.sent, summary.acknowledged), (3, 0));
    let why = "the collector is gone: closed before the answer was complete, 3 times in a row";
    assert_eq!(summary.problem().as_deref(), Some(why));
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_not_waited_for() {
    let collector = Collector::start(|_| Reply::Keep).await;
    let endpoint = Endpoint::parse(&collector.endpoint).expect("a URL");
    let (begun, now) = (Instant::now(), TimestampMs(1_795_284_061_873));
    let head = endpoint.head(TOKEN).expect("a token");
    let run = Rc::new(Run {
        addresses: endpoint.resolve().await.expect("an address"),
        pace: Pace::new(begun, None, None, Some(10)),
        source: RefCell::new(Source::new(&head, TOKEN, None, 1, (begun, now)).expect("a source")),
        tally: RefCell::new(Tally::default()),
        receipts: None,
        answer_timeout: Duration::from_millis(10),
    });
    let stop = sender::send(&run, 1, std::future::pending()).await.expect_err("nobody answers");
    assert_eq!(stop.to_string(), "the collector is gone: no answer in time, 3 times in a row");
    let summary = run.tally.borrow().summary(1, 1, Duration::ZERO, None);
    assert_eq!((summary.sent, summary.errors[&Failure::Timeout].count), (3, 3), "each report was sent once");
}

#[tokio::test]
async fn an_interrupt_ends_the_run_early_and_loses_no_answer() {
    let collector = Collector::start(|_| Reply::Acknowledge { pieces: 3 }).await;
    let bodies = Arc::clone(&collector.bodies);
    let interrupt = async move {
        while bodies.lock().expect("no panic").len() < 20 {
            tokio::task::yield_now().await;
        }
    };
    let summary =
        send(options(&collector, u64::MAX), TimestampMs(1_795_284_061_873), interrupt).await.expect("a summary");
    assert_eq!(summary.problem().as_deref(), Some("interrupted"));
    assert_eq!(summary.sent, summary.acknowledged);
    assert_eq!(summary.acknowledged, collector.bodies().len() as u64);
}

#[tokio::test]
async fn what_can_t_be_sent_says_why() {
    let collector = Collector::start(|_| Reply::Die).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut no_file = options(&collector, 1);
    no_file.arguments.receipts = Some(folder.path().to_owned());
    let mut no_token = options(&collector, 1);
    no_token.token = "no token".to_owned();
    let now = TimestampMs(1_795_284_061_873);
    let error = send(no_file, now, std::future::pending()).await.expect_err("a folder is no file").to_string();
    assert!(error.starts_with("the file of receipts "), "{error}");
    let error = send(no_token, now, std::future::pending()).await.expect_err("a space").to_string();
    assert_eq!(error, "the token is empty, too long, or has characters that no token has");
}

#[test]
fn requests_of_every_size_are_admitted_and_no_two_are_one_invocation() {
    let now = TimestampMs(1_795_284_061_873);
    let project = ProjectId::new("load").expect("a name");
    let mut ids = HashSet::new();
    for (size, count) in [(None, 5000), (Some(1000), 5000), (Some(20_000), 1000)] {
        let begun = Instant::now();
        let mut source = Source::new("", TOKEN, size, 9, (begun, now)).expect("a source");
        let mut request = Vec::new();
        for _ in 0..count {
            let bytes = source.next(begun, &mut request);
            let body = request.split_off(request.len() - bytes);
            let report = Report::parse(&body).expect("a report");
            admit(&report, now).expect("admitted");
            ids.insert(report.id(&project));
        }
    }
    assert_eq!(ids.len(), 11_000);
}

#[test]
fn a_sample_is_a_report_of_its_own_that_ended_now() {
    let (one, other) = (sample(2500, TOKEN).expect("a report"), sample(2500, TOKEN).expect("a report"));
    let (one, other) = (Report::parse(&one).expect("a report"), Report::parse(&other).expect("a report"));
    admit(&one, clock::now()).expect("admitted");
    assert_ne!(one.request_id(), other.request_id());
    assert_eq!(one.client_id().as_deref(), Some(TOKEN));
}

#[test]
fn the_arguments_have_their_ranges_and_defaults() {
    use clap::{Args, Command, FromArgMatches};
    let parse = |arguments: &[&str]| {
        let command = LoadArguments::augment_args(Command::new("load").no_binary_name(true));
        command.try_get_matches_from(arguments).and_then(|matches| LoadArguments::from_arg_matches(&matches))
    };
    let defaults = parse(&[]).expect("nothing is needed");
    assert_eq!((defaults.connections, defaults.rate, defaults.duration), (16, None, None));
    let given = parse(&["--duration", "1h", "--size", "20000", "--rate", "5"]).expect("all right");
    assert_eq!((given.duration, given.size, given.rate), (Some(Duration::from_secs(3600)), Some(20_000), Some(5)));
    for wrong in
        [["--connections", "0"], ["--size", "10"], ["--size", "1000001"], ["--rate", "0"], ["--duration", "10"]]
    {
        assert!(parse(&wrong).is_err(), "{wrong:?}");
    }
}
