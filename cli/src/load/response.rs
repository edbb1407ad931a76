//! One answer, read from the bytes of a connection.

use serde::Deserialize;
use tributary_model::ReportId;
use tributary_model::limits::{HEADERS_MAX, LOAD_ANSWER_BYTES_MAX};

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    /// The status code.
    pub(super) status: u16,
    /// The body; complete.
    pub(super) body: &'a [u8],
    /// Whether the connection takes another request.
    pub(super) keeps_alive: bool,
}

/// Bytes that are no answer as the collector gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the answer is not HTTP/1.1")]
    NotHttp,
    #[error("the answer has no Content-Length")]
    NoLength,
    #[error("the answer is longer than {LOAD_ANSWER_BYTES_MAX} bytes")]
    TooLong,
    #[error("there is more than the answer")]
    TooMuch,
}

impl<'a> Answer<'a> {
    /// Reads the answer that `bytes` begin with; none as long as it is not complete.
    ///
    /// # Errors
    /// If `bytes` can't become an answer, or hold more than one.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Unreadable> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(bytes).map_err(|_| Unreadable::NotHttp)? else {
            return short_of_limit(bytes.len());
        };
        let header = |name| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let length: usize = header("content-length")
            .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
            .ok_or(Unreadable::NoLength)?;
        let closes = header("connection").is_some_and(|header| header.value.eq_ignore_ascii_case(b"close"));
        let (status, keeps_alive) = (response.code.unwrap_or_default(), response.version == Some(1) && !closes);
        let rest = bytes.get(head..).unwrap_or_default();
        match rest.len().checked_sub(length) {
            None => short_of_limit(length.saturating_add(head)),
            Some(0) => Ok(Some(Self { status, body: rest, keeps_alive })),
            Some(_) => Err(Unreadable::TooMuch),
        }
    }

    /// The id in the body, if this acknowledges a report.
    pub(super) fn receipt(&self) -> Option<&'a str> {
        #[derive(Deserialize)]
        struct Receipt<'a> {
            id: &'a str,
        }
        let receipt = (self.status == 200).then(|| serde_json::from_slice::<Receipt<'_>>(self.body).ok())??;
        receipt.id.parse::<ReportId>().is_ok().then_some(receipt.id)
    }

    /// What a refusal says (RFC 9457).
    pub(super) fn detail(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Problem {
            detail: String,
        }
        serde_json::from_slice::<Problem>(self.body).ok().map(|problem| problem.detail)
    }
}

fn short_of_limit<T>(bytes: usize) -> Result<Option<T>, Unreadable> {
    if bytes > LOAD_ANSWER_BYTES_MAX { Err(Unreadable::TooLong) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "20261121-aaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn ok() -> String {
        let body = format!(r#"{{"id":"{ID}"}}"#);
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn an_acknowledgement_has_a_receipt_once_it_is_complete() {
        let text = ok();
        for cut in 0..text.len() {
            assert_eq!(Answer::parse(&text.as_bytes()[..cut]), Ok(None), "{cut} bytes");
        }
        let answer = Answer::parse(text.as_bytes()).expect("readable").expect("complete");
        assert_eq!((answer.receipt(), answer.keeps_alive), (Some(ID), true));
    }

    #[test]
    fn a_200_without_an_id_is_no_receipt() {
        for body in ["", "{}", r#"{"ok": true}"#, r#"{"id":"x"}"#, "{\"id\":\"20261121-\\n\"}"] {
            let answer = Answer { status: 200, body: body.as_bytes(), keeps_alive: true };
            assert_eq!(answer.receipt(), None, "{body}");
        }
        let body = format!(r#"{{"id":"{ID}"}}"#);
        assert_eq!(Answer { status: 202, body: body.as_bytes(), keeps_alive: true }.receipt(), None);
    }

    #[test]
    fn a_refusal_says_why_and_whether_it_ends_the_connection() {
        let text =
            "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 22\r\n\r\n{\"detail\":\"no token\"}\n";
        let answer = Answer::parse(text.as_bytes()).expect("readable").expect("complete");
        assert_eq!((answer.status, answer.keeps_alive), (401, false));
        assert_eq!(answer.detail().as_deref(), Some("no token"));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let long = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", LOAD_ANSWER_BYTES_MAX);
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(LOAD_ANSWER_BYTES_MAX));
        for (text, error) in [
            ("SSH-2.0-OpenSSH", Unreadable::NotHttp),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Unreadable::NoLength),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}", Unreadable::TooMuch),
            (&long, Unreadable::TooLong),
            (&endless, Unreadable::TooLong),
        ] {
            assert_eq!(Answer::parse(text.as_bytes()), Err(error), "{:.40}", text);
        }
    }
}
