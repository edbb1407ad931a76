//! The collector: HTTP request to one record in the stream.
//!
//! `POST /v0/event` takes one report. It answers 200 and the receipt `{"id": "..."}` after the stream holds the record, or
//! the overflow if the stream refuses it, and never before; anything else is a problem (RFC 9457) with the status that its cause has. It never redirects and
//! never compresses: the published agents follow no redirect and decode no gzip, and each waits for the answer while
//! its customer's function waits for it. `GET /.well-known/jwks.json` gives the public keys of the tokens.

mod event;
mod headers;
mod jwks;
mod refusal;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use tributary_access::{Authority, problem_response};
use tributary_model::{Problem, Region, TimestampMs};
use tributary_ports::{Overflow, Stream};
use tributary_telemetry::CollectorFacts;

use refusal::Refusal;

/// What the collector works with; made once, shared by all requests.
pub struct Collector {
    authority: Authority,
    stream: Arc<dyn Stream>,
    overflow: Overflow,
    region: Region,
}

/// The answer to one request, and what is worth knowing about it.
#[derive(Debug)]
pub struct Handled {
    /// What goes back to the sender.
    pub response: Response<Bytes>,
    /// What is to be logged and counted; `duration_us` is the caller's to fill in.
    pub facts: CollectorFacts,
}

impl Collector {
    /// A collector in `region` that lets in whom `authority` knows and appends to `stream`, or to `overflow`.
    #[must_use]
    pub fn new(authority: Authority, stream: Arc<dyn Stream>, overflow: Overflow, region: Region) -> Self {
        Self { authority, stream, overflow, region }
    }
}

/// Answers one request. Its body is as it was sent, `Content-Encoding` and all, and was read to its end by the caller,
/// who bounds its size (`BODY_BYTES_MAX`) and time.
pub async fn handle(collector: &Collector, now: TimestampMs, request: Request<Bytes>) -> Handled {
    let body_bytes = request.body().len();
    let mut facts =
        CollectorFacts { status: 200, reason: "accepted", project: None, body_bytes, duration_us: 0, error: None };
    let response = match route(collector, now, request, &mut facts).await {
        Ok(response) => response,
        Err(refusal) => {
            facts.reason = refusal.reason;
            facts.error = refusal.error;
            problem_response(&refusal.problem)
        }
    };
    facts.status = response.status().as_u16();
    Handled { response, facts }
}

async fn route(
    collector: &Collector,
    now: TimestampMs,
    request: Request<Bytes>,
    facts: &mut CollectorFacts,
) -> Result<Response<Bytes>, Refusal> {
    match (request.uri().path(), request.method()) {
        ("/v0/event", &Method::POST) => event::take_in(collector, now, request, facts).await,
        ("/v0/event", _) => Err(Problem::method_not_allowed("a report is sent with POST", "POST").into()),
        ("/.well-known/jwks.json", &Method::GET | &Method::HEAD) => {
            facts.reason = "public-keys";
            jwks::answer(collector, now, request.method()).await
        }
        ("/.well-known/jwks.json", _) => {
            Err(Problem::method_not_allowed("the public keys are read with GET", "GET, HEAD").into())
        }
        _ => Err(Problem::not_found("nothing is here; reports are sent to /v0/event").into()),
    }
}
