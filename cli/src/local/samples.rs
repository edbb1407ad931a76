//! Captured reports of all agents, sent through the front door with fresh times and ids.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tributary_model::TimestampMs;

use crate::captures;
use crate::failure::{Context, Failure};

/// Time between two of them, as if they had come one after another.
const APART_MS: i64 = 7_000;

/// Sends all captured reports to the collector at `address`, the last one as if it had just happened. Answers how many.
///
/// # Errors
/// If one of them is not acknowledged.
pub async fn send(address: SocketAddr, token: &str, now: TimestampMs) -> Result<usize, Failure> {
    let reports = captures::reports().context("captured reports")?;
    let count = reports.len();
    let stream = TcpStream::connect(address).await.context("sample")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("sample")?;
    let driver = tokio::spawn(connection);
    for (number, (name, mut report)) in reports.into_iter().enumerate() {
        let ago = i64::try_from(count - number).unwrap_or(0).saturating_mul(APART_MS);
        captures::move_to(&mut report, now.plus_ms(-ago));
        rename(&mut report, token);
        let request = request(name, address, token, &report)?;
        post(&mut sender, request).await.context(name)?;
    }
    drop(sender);
    driver.await.context("sample")?.context("sample")?;
    Ok(count)
}

/// Another invocation than the captured one, by this token.
fn rename(report: &mut Value, token: &str) {
    let id = format!("{:032x}", rand::random::<u128>());
    if let Some(request_id) = report.pointer_mut("/aws/awsRequestId") {
        let local = request_id.as_str().is_some_and(|old| old.starts_with("local|"));
        *request_id = if local { format!("local|{id}") } else { id }.into();
    }
    if let Some(client_id) = report.get_mut("client_id") {
        *client_id = token.into();
    }
}

/// The request as the report's agent sends it: the Java agent writes the token alone, the Go agent only into the body.
fn request(name: &str, address: SocketAddr, token: &str, report: &Value) -> Result<Request<Full<Bytes>>, Failure> {
    let authorization = match name.split('-').next() {
        Some("go") => None,
        Some("java") => Some(token.to_owned()),
        _ => Some(format!("Bearer {token}")),
    };
    let request = Request::post("/v0/event").header(HOST, address.to_string()).header(CONTENT_TYPE, "application/json");
    let request = authorization.into_iter().fold(request, |request, value| request.header(AUTHORIZATION, value));
    request.body(Full::from(serde_json::to_vec(report).context("JSON")?)).context("request")
}

async fn post(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<(), Failure> {
    sender.ready().await.context("request")?;
    let response = sender.send_request(request).await.context("request")?;
    let status = response.status();
    let body = response.into_body().collect().await.context("answer")?.to_bytes();
    if status == StatusCode::OK { Ok(()) } else { Err(Failure::new(String::from_utf8_lossy(&body))) }
}
