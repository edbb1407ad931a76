//! A problem: how every HTTP function says what went wrong, as `application/problem+json` (RFC 9457).
//!
//! `type` is left out, which means `about:blank`: the title is the status's own phrase, and the detail names the field,
//! the limit and the value's size, never the value.

use std::borrow::Cow;

use serde::Serialize;

use crate::rejection::{Reason, Rejection};

/// The `Content-Type` of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The body of an answer that is no success, and the one or two headers that belong to its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The HTTP status, repeated in the body for readers who see only that.
    pub status: u16,
    /// The status's phrase.
    pub title: &'static str,
    /// A sentence for the person who has to mend it.
    pub detail: String,
    /// When to send the same again (`Retry-After`), seconds.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
    /// The header that the status asks for: `WWW-Authenticate`, `Allow` or `Accept-Encoding`.
    #[serde(skip)]
    pub header: Option<(&'static str, &'static str)>,
}

impl Problem {
    fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), retry_after_s: None, header: None }
    }

    fn with_header(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    fn with_retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// 400: the request is not readable.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "Bad Request", detail)
    }

    /// 401: no token, or one that is not valid. `challenge` is the value of `WWW-Authenticate` (RFC 6750, 3).
    pub fn unauthorized(detail: impl Into<String>, challenge: &'static str) -> Self {
        Self::new(401, "Unauthorized", detail).with_header("www-authenticate", challenge)
    }

    /// 403: a valid token that does not allow this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", detail)
    }

    /// 404: nothing is there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, "Not Found", detail)
    }

    /// 405: the path takes only the methods of `allow`, `GET, HEAD`.
    pub fn method_not_allowed(detail: impl Into<String>, allow: &'static str) -> Self {
        Self::new(405, "Method Not Allowed", detail).with_header("allow", allow)
    }

    /// 408: the request did not arrive in time.
    pub fn request_timeout(detail: impl Into<String>) -> Self {
        Self::new(408, "Request Timeout", detail)
    }

    /// 413: larger than a limit.
    pub fn content_too_large(detail: impl Into<String>) -> Self {
        Self::new(413, "Content Too Large", detail)
    }

    /// 415: a type of content that is not taken.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(415, "Unsupported Media Type", detail)
    }

    /// 415: a content coding that is not taken; `codings` are those that are (RFC 9110, 15.5.16).
    pub fn unsupported_content_coding(detail: impl Into<String>, codings: &'static str) -> Self {
        Self::unsupported_media_type(detail).with_header("accept-encoding", codings)
    }

    /// 422: readable, but it cannot be what it should be.
    pub fn unprocessable_content(detail: impl Into<String>) -> Self {
        Self::new(422, "Unprocessable Content", detail)
    }

    /// 429: too much at once; the same again after `retry_after_s`.
    pub fn too_many_requests(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self::new(429, "Too Many Requests", detail).with_retry_after(retry_after_s)
    }

    /// 431: the request line and headers are more than is read.
    pub fn header_fields_too_large(detail: impl Into<String>) -> Self {
        Self::new(431, "Request Header Fields Too Large", detail)
    }

    /// 500: our own code failed.
    pub fn internal_error(detail: impl Into<String>) -> Self {
        Self::new(500, "Internal Server Error", detail)
    }

    /// 503: nothing is wrong with the request; the same again after `retry_after_s`.
    pub fn service_unavailable(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self::new(503, "Service Unavailable", detail).with_retry_after(retry_after_s)
    }

    /// The headers that go with it besides `Content-Type` and `Content-Length`, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, Cow<'static, str>)> + use<> {
        let own = self.header.map(|(name, value)| (name, Cow::Borrowed(value)));
        let retry = self.retry_after_s.map(|seconds| ("retry-after", Cow::Owned(seconds.to_string())));
        own.into_iter().chain(retry)
    }

    /// The body.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // two texts and a number always serialise
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection.reason {
            Reason::Malformed => Self::bad_request(rejection.detail),
            Reason::TooLarge => Self::content_too_large(rejection.detail),
            Reason::Unsupported => Self::unsupported_media_type(rejection.detail),
            Reason::MissingField | Reason::InvalidField | Reason::Refused | Reason::Panic | Reason::Exhausted => {
                Self::unprocessable_content(rejection.detail)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_that_of_rfc_9457() {
        let problem = Problem::too_many_requests("the queue holds 64 MiB, its limit", 2);
        assert_eq!(
            String::from_utf8(problem.to_json()).expect("UTF-8"),
            r#"{"status":429,"title":"Too Many Requests","detail":"the queue holds 64 MiB, its limit"}"#
        );
    }

    #[test]
    fn each_status_brings_its_header() {
        let headers = |problem: Problem| problem.headers().map(|(name, value)| format!("{name}: {value}")).collect();
        let cases: [(Problem, Vec<&str>); 5] = [
            (Problem::bad_request("x"), vec![]),
            (Problem::unauthorized("x", "Bearer"), vec!["www-authenticate: Bearer"]),
            (Problem::method_not_allowed("x", "POST"), vec!["allow: POST"]),
            (Problem::unsupported_content_coding("x", "gzip"), vec!["accept-encoding: gzip"]),
            (Problem::service_unavailable("x", 7), vec!["retry-after: 7"]),
        ];
        for (problem, expected) in cases {
            let found: Vec<String> = headers(problem);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_rejection_becomes_the_sender_s_error() {
        for (reason, status) in [
            (Reason::Malformed, 400),
            (Reason::TooLarge, 413),
            (Reason::Unsupported, 415),
            (Reason::MissingField, 422),
            (Reason::InvalidField, 422),
        ] {
            assert_eq!(Problem::from(Rejection::new(reason, "x")).status, status);
        }
    }
}
