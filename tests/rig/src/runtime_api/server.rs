//! The Runtime API of one process (2018-06-01): hands out invocations, takes answers.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::{Answer, FunctionError};

const PREFIX: &str = "/2018-06-01/runtime";

/// A Runtime API on a port of its own; gone when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    slot: Mutex<Slot>,
    /// An invocation was offered.
    offered: Notify,
    /// One was taken.
    taken: Notify,
    asked: Notify,
    first_next: OnceLock<Instant>,
    init_error: Mutex<Option<FunctionError>>,
}

/// The one invocation at a time.
#[derive(Default)]
struct Slot {
    count: u64,
    offered: Option<(Bytes, Duration)>,
    answer: Option<(String, oneshot::Sender<Answer>)>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let state = Arc::<State>::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes `event` what the next `next` answers.
    pub(super) fn offer(&self, event: Bytes, timeout: Duration) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let mut slot = self.state.slot.lock().expect("a lock");
        slot.count += 1;
        slot.answer = Some((format!("8476a536-e9f4-11e8-9739-{:012}", slot.count), sender));
        slot.offered = Some((event, timeout));
        self.state.offered.notify_one();
        receiver
    }

    /// Waits until the invocation that was offered last is with the process.
    pub(super) async fn taken(&self) {
        self.state.taken.notified().await;
    }

    pub(super) async fn first_next(&self) -> Instant {
        loop {
            let asked = self.state.asked.notified();
            if let Some(at) = self.state.first_next.get() {
                return *at;
            }
            asked.await;
        }
    }

    pub(super) fn init_error(&self) -> Option<FunctionError> {
        self.state.init_error.lock().expect("a lock").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((connection, _)) = listener.accept().await {
        let _ = connection.set_nodelay(true); // without it answers are only later
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(request, Arc::clone(&state)));
            // A process that is killed breaks its connection.
            let _ =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let response = match (head.method.as_str(), path.split('/').collect::<Vec<_>>().as_slice()) {
        ("GET", ["", "invocation", "next"]) => state.next().await,
        ("POST", ["", "invocation", id, "response"]) => state.answer(id, Answer::Response(body)),
        ("POST", ["", "invocation", id, "error"]) => state.answer(id, Answer::Error(function_error(&body))),
        ("POST", ["", "init", "error"]) => {
            *state.init_error.lock().expect("a lock") = Some(function_error(&body));
            status(StatusCode::ACCEPTED)
        }
        _ => status(StatusCode::NOT_FOUND),
    };
    Ok(response)
}

impl State {
    async fn next(&self) -> Response<Full<Bytes>> {
        if self.first_next.set(Instant::now()).is_ok() {
            self.asked.notify_waiters();
        }
        loop {
            if let Some(response) = self.take() {
                self.taken.notify_one();
                return response;
            }
            self.offered.notified().await;
        }
    }

    fn take(&self) -> Option<Response<Full<Bytes>>> {
        let mut slot = self.slot.lock().expect("a lock");
        let (event, timeout) = slot.offered.take()?;
        let (id, _) = slot.answer.as_ref()?;
        #[expect(clippy::disallowed_methods, reason = "a deadline of the real clock")]
        let deadline = SystemTime::now() + timeout;
        let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970").as_millis();
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:tributary")
            .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0");
        Some(response.body(Full::new(event)).expect("a response"))
    }

    fn answer(&self, id: &str, answer: Answer) -> Response<Full<Bytes>> {
        let mut slot = self.slot.lock().expect("a lock");
        match slot.answer.take_if(|(expected, _)| expected == id) {
            Some((_, sender)) => {
                let _ = sender.send(answer); // nobody waits for it after a timeout
                status(StatusCode::ACCEPTED)
            }
            None => status(StatusCode::BAD_REQUEST),
        }
    }
}

fn function_error(body: &[u8]) -> FunctionError {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    FunctionError { kind: text("errorType"), message: text("errorMessage") }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"status":"OK"}"#)));
    *response.status_mut() = status;
    response
}
