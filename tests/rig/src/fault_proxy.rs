//! What no peer of Kinesis does by itself: throttled shards, entries of a PutRecords that fail one by one, answers 500,
//! connections that are dropped before or after the request took effect, delays, throttled reads, expired iterators.
//!
//! The proxy stands between a client and a peer. Its [`Faults`] may change at any time; which requests and entries they
//! meet is drawn from a seed. A signature is not checked by the peers, so what is left of a PutRecords goes on under the
//! old one.

mod put_records;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use put_records::Shards;

/// What goes wrong. A share is a probability from 0 to 1; the default is that nothing does.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Share of entries answered ProvisionedThroughputExceededException.
    pub entries_throttled: f64,
    /// Share of entries answered InternalFailure.
    pub entries_failed: f64,
    /// What a shard takes in; more is throttled.
    pub shard_limit: Option<ShardLimit>,
    /// Share of requests answered 500 without effect.
    pub requests_failed: f64,
    /// Share of requests whose connection is dropped before they take effect.
    pub requests_dropped: f64,
    /// Share of requests that take effect, but whose connection is dropped before the answer.
    pub answers_dropped: f64,
    /// Share of requests that are held for `delay`.
    pub delayed: f64,
    /// How long a request is held.
    pub delay: Duration,
    /// Share of reads answered ProvisionedThroughputExceededException.
    pub reads_throttled: f64,
    /// Share of reads answered ExpiredIteratorException.
    pub iterators_expired: f64,
    /// Whether every connection is dropped: the stream is gone.
    pub is_gone: bool,
}

/// What a shard takes in a second, and at once after a second of rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShardLimit {
    /// Bytes of keys and data.
    pub bytes: f64,
    /// Records.
    pub records: f64,
}

impl ShardLimit {
    /// That of Kinesis.
    pub const KINESIS: Self = Self { bytes: 1_000_000.0, records: 1000.0 };
}

/// What the proxy did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests by operation, `PutRecords`.
    pub requests: BTreeMap<String, u64>,
    /// Entries of PutRecords that came.
    pub entries: u64,
    /// Of those, how many were throttled.
    pub entries_throttled: u64,
    /// Of those, how many failed otherwise.
    pub entries_failed: u64,
    /// Requests, other than for their entries, that met a fault.
    pub requests_faulted: u64,
}

/// A proxy before a Kinesis peer; ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    /// Where it listens, `http://127.0.0.1:PORT`.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    upstream: String,
    faults: Faults,
    random: StdRng,
    counts: Counts,
    shards: Shards,
}

type Body = BoxBody<Bytes, hyper::Error>;

impl FaultProxy {
    /// Starts a proxy without faults before the peer at `upstream`, `http://127.0.0.1:PORT`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(upstream: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound address"));
        let state = Arc::new(Mutex::new(State {
            upstream: upstream.trim_start_matches("http://").to_owned(),
            faults: Faults::default(),
            random: StdRng::seed_from_u64(seed),
            counts: Counts::default(),
            shards: Shards::default(),
        }));
        let of_task = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                if let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(serve(socket, Arc::clone(&of_task)));
                }
            }
        });
        Self { endpoint, state, task }
    }

    /// Replaces what goes wrong, from the next request on.
    pub fn set(&self, faults: Faults) {
        self.state.lock().unwrap().faults = faults;
    }

    /// What it did until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.lock().unwrap().counts.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What becomes of a request, apart from its entries.
#[derive(Debug)]
enum Fate {
    Passed,
    Answered(Response<Body>),
    Dropped,
    AnswerDropped,
}

impl State {
    fn meets(&mut self, share: f64) -> bool {
        share > 0.0 && self.random.random_bool(share.min(1.0))
    }

    fn fate(&mut self, operation: &str) -> Fate {
        *self.counts.requests.entry(operation.to_owned()).or_default() += 1;
        let faults = self.faults.clone();
        let is_read = operation == "GetRecords";
        let fate = if faults.is_gone || self.meets(faults.requests_dropped) {
            Fate::Dropped
        } else if self.meets(faults.requests_failed) {
            Fate::Answered(error(500, "InternalFailure"))
        } else if is_read && self.meets(faults.reads_throttled) {
            Fate::Answered(error(400, "ProvisionedThroughputExceededException"))
        } else if is_read && self.meets(faults.iterators_expired) {
            Fate::Answered(error(400, "ExpiredIteratorException"))
        } else if self.meets(faults.answers_dropped) {
            Fate::AnswerDropped
        } else {
            return Fate::Passed;
        };
        self.counts.requests_faulted += 1;
        fate
    }

    fn delay(&mut self) -> Duration {
        let Faults { delayed, delay, .. } = self.faults;
        if self.meets(delayed) { delay } else { Duration::ZERO }
    }
}

async fn serve(socket: TcpStream, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { answer(request, &state).await }
    });
    // A dropped connection ends here with an error, which is its purpose.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

/// An error drops the connection.
async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::from_parts(head, body);
    let operation = operation(&request);
    let (fate, delay) = {
        let mut state = state.lock().unwrap();
        (state.fate(&operation), state.delay())
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match fate {
        Fate::Dropped => Err(io::Error::other("dropped")),
        Fate::Answered(answer) => Ok(answer),
        Fate::AnswerDropped => {
            pass(request, &operation, state).await?;
            Err(io::Error::other("dropped behind the effect"))
        }
        Fate::Passed => pass(request, &operation, state).await,
    }
}

async fn pass(request: Request<Bytes>, operation: &str, state: &Mutex<State>) -> io::Result<Response<Body>> {
    match operation {
        "PutRecords" => put_records::answer(request, state).await,
        _ => forward(request, state).await,
    }
}

/// The peer's answer, whose body goes on as it comes.
async fn forward(request: Request<Bytes>, state: &Mutex<State>) -> io::Result<Response<Body>> {
    let upstream = state.lock().unwrap().upstream.clone();
    let socket = TcpStream::connect(&upstream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let answer = sender.send_request(request.map(Full::new)).await.map_err(io::Error::other)?;
    Ok(answer.map(|body| body.boxed()))
}

/// The peer's answer to another question of the same sender.
async fn ask(like: &Request<Bytes>, operation: &str, body: &Value, state: &Mutex<State>) -> io::Result<Value> {
    let mut request = like.clone();
    *request.body_mut() = body.to_string().into();
    let length = HeaderValue::from(request.body().len());
    request.headers_mut().insert(header::CONTENT_LENGTH, length);
    let target = HeaderValue::from_str(&format!("Kinesis_20131202.{operation}")).map_err(io::Error::other)?;
    request.headers_mut().insert("x-amz-target", target);
    let answer = forward(request, state).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    if status != StatusCode::OK {
        return Err(io::Error::other(format!("{operation}: {status}")));
    }
    serde_json::from_slice(&body).map_err(io::Error::other)
}

fn operation(request: &Request<Bytes>) -> String {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

fn error(status: u16, code: &str) -> Response<Body> {
    respond(status, &json!({ "__type": code, "message": "a fault of the proxy" }))
}

fn respond(status: u16, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed();
    let answer = Response::builder().status(status).header(header::CONTENT_TYPE, "application/x-amz-json-1.1");
    answer.body(body).expect("a well-formed answer")
}
