//! The public keys of the tokens, as a JWK set (RFC 7517, 5).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use serde::Serialize;
use serde_json::Value;
use tributary_model::TimestampMs;
use tributary_model::limits::DIRECTORY_REFRESH;

use crate::Collector;
use crate::refusal::Refusal;

#[derive(Serialize)]
struct KeySet<'a> {
    keys: Vec<&'a Value>,
}

/// May be kept for as long as a directory is before it is read again. HEAD has the headers alone.
pub(crate) async fn answer(
    collector: &Collector,
    now: TimestampMs,
    method: &Method,
) -> Result<Response<Bytes>, Refusal> {
    let directory = collector.authority.directory(now).await?;
    let keys = directory.token_keys.values().map(|key| &key.jwk).collect();
    let body = Bytes::from(serde_json::to_vec(&KeySet { keys }).unwrap_or_default()); // values always serialise
    let max_age = format!("public, max-age={}", DIRECTORY_REFRESH.as_secs());
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    if let Ok(max_age) = HeaderValue::from_str(&max_age) {
        headers.insert(CACHE_CONTROL, max_age);
    }
    if method == Method::GET {
        *response.body_mut() = body;
    }
    Ok(response)
}
