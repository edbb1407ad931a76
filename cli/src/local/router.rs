//! Which function answers a request, and the two answers that are the process's own.
//!
//! | path | by |
//! |---|---|
//! | `/v0/event`, `/.well-known/jwks.json` | the collector |
//! | `/v1/...` | the read API |
//! | `GET /healthz` | 200 while everything that runs is well, else 503; without a token |
//! | `GET /metrics` | without a token: nothing in it is a customer's, and this process is reached from its own machine |

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tributary_access::{DirectoryCache, problem_response};
use tributary_collector::Collector;
use tributary_model::{Problem, TimestampMs};
use tributary_ports::Stream;
use tributary_query::Query;
use tributary_telemetry::{METRICS_CONTENT_TYPE, Telemetry};

use super::consumers::Consumers;
use crate::clock;
use crate::http::Answer;

pub(super) struct Router {
    pub(super) collector: Option<Collector>,
    pub(super) query: Option<Query>,
    pub(super) directories: Arc<DirectoryCache>,
    pub(super) stream: Arc<dyn Stream>,
    pub(super) consumers: Consumers,
    pub(super) telemetry: Arc<Telemetry>,
}

impl Answer for Router {
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (begun, now) = (Instant::now(), clock::now());
        match (request.uri().path(), &self.collector, &self.query) {
            ("/v0/event" | "/.well-known/jwks.json", Some(collector), _) => {
                let mut handled = tributary_collector::handle(collector, now, request).await;
                handled.facts.duration_us = micros(begun);
                self.telemetry.emit(now, &handled.facts);
                handled.response
            }
            (path, _, Some(query)) if path.starts_with("/v1/") => {
                let mut handled = tributary_query::handle(query, now, request).await;
                handled.facts.duration_us = micros(begun);
                self.telemetry.emit(now, &handled.facts);
                handled.response
            }
            ("/healthz", ..) => get_only(&request, self.health(now).await),
            ("/metrics", ..) => get_only(&request, self.metrics()),
            (path, ..) => problem_response(&Problem::not_found(nothing_at(path))),
        }
    }
}

impl Router {
    async fn health(&self, now: TimestampMs) -> Response<Bytes> {
        let directory = self.directories.current(now).map(|_| ()).map_err(|error| error.to_string());
        let stream = self.stream.shards().await.map(|_| ()).map_err(|error| error.to_string());
        let consumers = self.consumers.check(now);
        let parts = [("directory", directory), ("stream", stream), ("consumers", consumers)];
        let well = parts.iter().all(|(_, part)| part.is_ok());
        let parts: serde_json::Map<_, _> = parts
            .into_iter()
            .map(|(name, part)| (name.to_owned(), part.map_or_else(|error| error.into(), |()| "ok".into())))
            .collect();
        let body = json!({"status": if well { "ok" } else { "failing" }, "parts": parts});
        let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        text(status, "application/json", body.to_string())
    }

    fn metrics(&self) -> Response<Bytes> {
        text(StatusCode::OK, METRICS_CONTENT_TYPE, self.telemetry.prometheus())
    }
}

fn get_only(request: &Request<Bytes>, response: Response<Bytes>) -> Response<Bytes> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return response;
    }
    problem_response(&Problem::method_not_allowed("this path is read with GET", "GET, HEAD"))
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A path that would have been there is not, if its function does not run.
fn nothing_at(path: &str) -> &'static str {
    match path {
        "/v0/event" => "this process does not run the collector (--only)",
        path if path.starts_with("/v1/") => "this process does not run the read API (--only)",
        _ => "nothing is here; reports are sent to /v0/event, invocations are read at /v1/invocations",
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
