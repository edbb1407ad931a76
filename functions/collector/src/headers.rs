//! What a request's headers say about its body.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use tributary_model::Problem;
use tributary_model::limits::BODY_BYTES_MAX;
use tributary_pipeline::decode::Encoding;

use crate::refusal::Refusal;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A report as JSON.
    Json,
    /// A report as the payload of a compact JWS.
    Jose,
}

/// `application/json` or `application/jose`, with any parameters (the Java agent sends a charset). Absent means JSON:
/// that is all that there was when the oldest agents were made.
pub(crate) fn format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Format::Json) };
    let text = value.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        Ok(Format::Json)
    } else if media_type.eq_ignore_ascii_case("application/jose") {
        Ok(Format::Jose)
    } else {
        let detail = "Content-Type must be application/json, or application/jose for a signed report";
        Err(Problem::unsupported_media_type(detail).into())
    }
}

/// The body's encoding; identity if nothing is said.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Encoding::Identity) };
    let several = headers.get_all(CONTENT_ENCODING).iter().nth(1).is_some();
    let text = value.to_str().ok().filter(|_| !several).unwrap_or("several or unreadable");
    let refuse = |rejection: tributary_model::Rejection| {
        Problem::unsupported_content_coding(rejection.detail, "gzip, zstd, identity")
    };
    Ok(Encoding::from_header(text).map_err(refuse)?)
}

/// Refuses a body that is too large by what it says of itself or by what came.
pub(crate) fn check_length(headers: &HeaderMap, body_bytes: usize) -> Result<(), Refusal> {
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let bytes: u64 = said.unwrap_or(0).max(u64::try_from(body_bytes).unwrap_or(u64::MAX));
    if u64::try_from(BODY_BYTES_MAX).is_ok_and(|limit| bytes <= limit) {
        return Ok(());
    }
    Err(Problem::content_too_large(format!("the body has {bytes} bytes; the limit is {BODY_BYTES_MAX}")).into())
}
