//! What every HTTP function shares: where a token stands in a request, and a problem as an answer.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tributary_model::problem::{self, Problem};

use crate::AuthError;

/// The token of a request: `Authorization: Bearer X` (the scheme in any case), else the bare value that the published
/// Java agent sends. None if there is no such header or it is empty.
///
/// # Errors
/// `Invalid` if the header holds anything but visible ASCII.
pub fn token_in(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| AuthError::Invalid("the Authorization header is not ASCII".into()))?.trim();
    let token = match text.split_at_checked(6) {
        Some((scheme, "")) if scheme.eq_ignore_ascii_case("bearer") => "",
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") && rest.starts_with(' ') => rest.trim_start(),
        _ => text,
    };
    Ok(Some(token).filter(|token| !token.is_empty()))
}

/// A problem as an answer, with `Content-Type`, `Content-Length` and the headers of its status.
#[must_use]
pub fn problem_response(problem: &Problem) -> Response<Bytes> {
    let body = Bytes::from(problem.to_json());
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    for (name, value) in problem.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_with_and_without_its_scheme() {
        for (value, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a.b.c ", Some("a.b.c")),
            ("BEARER a.b.c", Some("a.b.c")),
            ("a.b.c", Some("a.b.c")),
            ("bearerish", Some("bearerish")),
            ("", None),
            ("Bearer", None),
            ("Bearer ", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(token_in(&headers).expect(value), token, "{value:?}");
        }
        assert_eq!(token_in(&HeaderMap::new()).expect("no header"), None);
    }

    #[test]
    fn a_problem_keeps_its_headers() {
        let response = problem_response(&Problem::service_unavailable("the stream does not answer", 3));
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "3");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["content-length"], response.body().len().to_string());
    }
}
