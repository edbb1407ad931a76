//! The smallest functions: one answers a request with what it was, one takes batches (`PROBE_BATCHES`). Both fail in the
//! ways in which a function can fail, so that the rig can show what then becomes of the process and of the invocation.

use std::io;
use std::process::ExitCode;

use bytes::Bytes;
use http::{Request, Response};
use serde::Serialize;
use tributary_lambda::{Error, Invoked};
use tributary_model::Level;
use tributary_ports::stream::{Batch, SequenceNumber};
use tributary_telemetry::{Facts, Metrics, Telemetry};

/// What was handled: a request's target, or the records' contents.
#[derive(Serialize)]
struct ProbeFacts {
    handled: String,
}

impl Facts for ProbeFacts {
    const EVENT: &'static str = "probe";

    fn level(&self) -> Level {
        Level::Info
    }

    fn count(&self, _metrics: &Metrics) {}
}

fn main() -> ExitCode {
    tributary_lambda::run(async {
        if std::env::var_os("PROBE_REFUSES").is_some() {
            return Err(Error::from("ONE is wrong\nTWO is wrong"));
        }
        Ok(async {
            let telemetry = Telemetry::new(Some(Level::Info), Box::new(io::stdout()));
            if std::env::var_os("PROBE_BATCHES").is_some() {
                tributary_lambda::serve_batches(&telemetry, take).await
            } else {
                tributary_lambda::serve_http(&telemetry, answer).await
            }
        })
    })
}

async fn answer(_: Invoked, request: Request<Bytes>) -> (Response<Bytes>, ProbeFacts) {
    let (head, body) = request.into_parts();
    fail(head.uri.path(), &body).await;
    let mut response = Response::new(body);
    for cookie in head.headers.get_all("cookie") {
        response.headers_mut().append("set-cookie", cookie.clone());
    }
    (response, ProbeFacts { handled: format!("{} {}", head.method, head.uri) })
}

async fn take(_: Invoked, batch: Batch) -> (Vec<SequenceNumber>, ProbeFacts) {
    let mut handled = Vec::new();
    let mut redeliver = Vec::new();
    for record in &batch.records {
        let content = String::from_utf8_lossy(&record.data);
        fail(&content, &record.data).await;
        if content == "/again" {
            redeliver.push(record.sequence_number.clone());
        } else {
            handled.push(content.into_owned());
        }
    }
    (redeliver, ProbeFacts { handled: handled.join(" ") })
}

#[expect(clippy::panic, reason = "what it is for")]
async fn fail(how: &str, with: &Bytes) {
    match how {
        "/panic" => panic!("secret: {with:?}"),
        "/abort" => std::process::abort(),
        "/hang" => std::future::pending().await,
        _ => {}
    }
}
