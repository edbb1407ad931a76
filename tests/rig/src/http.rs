//! One request with JSON to a peer on this machine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// The status and the body (null if it is no JSON) of the answer, if one comes. A body of null is sent as none.
pub(crate) async fn ask(
    port: u16,
    user: Option<(&str, &str)>,
    method: &str,
    path: &str,
    body: &Value,
) -> Option<(u16, Value)> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    // It ends with the sender.
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", format!("127.0.0.1:{port}"));
    if let Some((user, password)) = user {
        request = request.header("authorization", format!("Basic {}", BASE64.encode(format!("{user}:{password}"))));
    }
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let answer = sender.send_request(request.body(Full::new(body)).ok()?).await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some((status, serde_json::from_slice(&body).unwrap_or_default()))
}
