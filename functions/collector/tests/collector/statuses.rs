//! The bad input table: one row per way to be refused, with the whole body and the headers of the answer.

use std::io::Write as _;

use bytes::Bytes;
use http::{Method, Request};
use tributary_model::directory::OBJECT_KEY;
use tributary_ports::Objects as _;

use crate::fixture::{Fixture, NOW, detail, post, post_as, report, request};

/// A request, the status, the detail, and headers that the answer must have besides those that all have.
struct Row {
    request: Request<Bytes>,
    status: u16,
    reason: &'static str,
    detail: String,
    headers: &'static [(&'static str, &'static str)],
}

fn row(request: Request<Bytes>, status: u16, reason: &'static str, detail: impl Into<String>) -> Row {
    Row { request, status, reason, detail: detail.into(), headers: &[] }
}

fn title(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).map_or("", |phrase| {
        match phrase {
            "Payload Too Large" => "Content Too Large", // RFC 9110's words; the crate has RFC 7231's
            "Unprocessable Entity" => "Unprocessable Content",
            phrase => phrase,
        }
    })
}

async fn check(fixture: &Fixture, row: Row) {
    let label = format!("{} {}: {}", row.status, row.reason, row.detail);
    let handled = fixture.send(row.request).await;
    let body = format!(
        r#"{{"status":{},"title":"{}","detail":{}}}"#,
        row.status,
        title(row.status),
        serde_json::to_string(&row.detail).expect("JSON")
    );
    assert_eq!(handled.response.body(), body.as_bytes(), "{label}");
    assert_eq!(handled.response.status(), row.status, "{label}");
    assert_eq!((handled.facts.status, handled.facts.reason), (row.status, row.reason), "{label}");
    let headers = handled.response.headers();
    assert_eq!(headers["content-type"], "application/problem+json", "{label}");
    assert_eq!(headers["content-length"], body.len().to_string(), "{label}");
    for (name, value) in row.headers {
        assert_eq!(headers[*name], *value, "{label}");
    }
    assert_eq!(headers.len(), 2 + row.headers.len(), "{label}: {headers:?}");
    assert!(fixture.take_stored().is_empty(), "{label}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

#[tokio::test]
async fn paths_and_methods() {
    let fixture = Fixture::new().await;
    for (method, path) in
        [(Method::GET, "/"), (Method::POST, "/v0/event/"), (Method::POST, "/V0/event"), (Method::POST, "/event")]
    {
        check(
            &fixture,
            row(request(method, path, &[], ""), 404, "not-found", "nothing is here; reports are sent to /v0/event"),
        )
        .await;
    }
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let refused =
            row(request(method, "/v0/event", &[], ""), 405, "method-not-allowed", "a report is sent with POST");
        check(&fixture, Row { headers: &[("allow", "POST")], ..refused }).await;
    }
    let post_keys = request(Method::POST, "/.well-known/jwks.json", &[], "");
    let refused = row(post_keys, 405, "method-not-allowed", "the public keys are read with GET");
    check(&fixture, Row { headers: &[("allow", "GET, HEAD")], ..refused }).await;
}

#[tokio::test]
async fn types_and_encodings_of_the_body() {
    let fixture = Fixture::new().await;
    let token = format!("Bearer {}", fixture.token().await);
    for media_type in ["text/plain", "application/jsonp", "application/x-www-form-urlencoded", "", "json", "*/*"] {
        let sent = post(&[("authorization", &token), ("content-type", media_type)], report(""));
        let detail = "Content-Type must be application/json, or application/jose for a signed report";
        check(&fixture, row(sent, 415, "unsupported", detail)).await;
    }
    for encodings in [&["br"][..], &["deflate"], &["gzip, gzip"], &["gzip", "gzip"]] {
        let mut headers = vec![("authorization", token.as_str()), ("content-type", "application/json")];
        headers.extend(encodings.iter().map(|encoding| ("content-encoding", *encoding)));
        let detail = "Content-Encoding is not supported; a body may be sent as it is, or as one of gzip and zstd";
        let refused = row(post(&headers, report("")), 415, "unsupported", detail);
        check(&fixture, Row { headers: &[("accept-encoding", "gzip, zstd, identity")], ..refused }).await;
    }
}

/// S1: however large a body says it is, or becomes.
#[tokio::test]
async fn bodies_that_are_too_large() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let bearer = format!("Bearer {token}");
    let with = |name: &'static str, value: &str, body: Vec<u8>| {
        post(&[("authorization", &bearer), ("content-type", "application/json"), (name, value)], body)
    };
    let long_report = report(&format!(r#","x":"{}""#, "x".repeat(1_000_000)));
    let deep = report(&format!(r#","x":{}{}"#, "[".repeat(40), "]".repeat(40)));
    let many = report(&format!(r#","x":[{}1]"#, "1,".repeat(50_000)));
    let bomb = |bytes: usize| " ".repeat(bytes);
    let gzip_bomb = gzip(bomb(10_000_000).as_bytes());
    let zstd_bomb = zstd::bulk::compress(bomb(10_000_000).as_bytes(), 19).expect("compressed");
    let rows = [
        (post_as(&token, bomb(1_400_001)), "the body has 1400001 bytes; the limit is 1400000".to_owned()),
        (
            with("content-length", "99999999999", Vec::new()),
            "the body has 99999999999 bytes; the limit is 1400000".to_owned(),
        ),
        (
            post_as(&token, long_report.clone()),
            format!("the report has {} bytes; the limit is 1000000", long_report.len()),
        ),
        (with("content-encoding", "gzip", gzip(long_report.as_bytes())), {
            let sent = gzip(long_report.as_bytes()).len();
            format!(
                "the body's {sent} bytes decompress to more than {} bytes, 200 for each; that is the limit",
                sent * 200
            )
        }),
        (
            with("content-encoding", "gzip", gzip_bomb.clone()),
            "the body decompresses to more than 1400000 bytes; that is the limit".to_owned(),
        ),
        (with("content-encoding", "zstd", zstd_bomb.clone()), {
            let limit = (zstd_bomb.len() * 200).clamp(65_536, 1_400_000);
            format!(
                "the body's {} bytes decompress to more than {limit} bytes, 200 for each; that is the limit",
                zstd_bomb.len()
            )
        }),
    ];
    for (sent, detail) in rows {
        check(&fixture, row(sent, 413, "too-large", detail)).await;
    }
    for (body, detail) in [
        (deep, "the JSON is nested deeper than the limit of 32, at byte "),
        (many, "the JSON has more values than the limit of 50000, at byte "),
    ] {
        let handled = fixture.send(post_as(&token, body)).await;
        assert_eq!((handled.facts.status, handled.facts.reason), (413, "too-large"));
        assert!(self::detail(&handled).starts_with(detail), "{}", self::detail(&handled));
    }
}

#[tokio::test]
async fn bodies_that_are_not_readable() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let bearer = format!("Bearer {token}");
    let with =
        |encoding: &str, body: Vec<u8>| post(&[("authorization", &bearer), ("content-encoding", encoding)], body);
    let whole = report("");
    let packed = gzip(whole.as_bytes());
    let frame = zstd::bulk::compress(whole.as_bytes(), 3).expect("compressed");
    let mut not_utf8 = whole.clone().into_bytes();
    not_utf8.splice(2..3, [0xff]);
    let rows = [
        (post_as(&token, ""), "not JSON at byte 0: the text ends where a JSON value was expected".to_owned()),
        (post_as(&token, not_utf8), "the text is not UTF-8 at byte 2".to_owned()),
        (
            post_as(&token, whole.trim_end_matches('}').to_owned()),
            format!("not JSON at byte {}: a comma or the end of an array or object was expected", whole.len() - 1),
        ),
        (
            post_as(&token, format!("{whole}{whole}")),
            format!("not JSON at byte {}: there is more text after the JSON value", whole.len()),
        ),
        (with("gzip", whole.clone().into_bytes()), "the body is not readable as gzip".to_owned()),
        (with("zstd", whole.clone().into_bytes()), "the body is not readable as zstd".to_owned()),
        (
            with("gzip", packed[..packed.len() - 1].to_vec()),
            "the body is cut short: its gzip compression does not end".to_owned(),
        ),
        (
            with("zstd", frame[..frame.len() - 1].to_vec()),
            "the body is cut short: its zstd compression does not end".to_owned(),
        ),
        (with("gzip", gzip(&packed)), "the text is not UTF-8 at byte 1".to_owned()),
    ];
    for (sent, detail) in rows {
        check(&fixture, row(sent, 400, "malformed", detail)).await;
    }
}

#[tokio::test]
async fn reports_that_can_t_be_taken() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let at = |timestamp: i64| format!(r#"{{"processId":"p","aws":{{"awsRequestId":"r"}},"timestamp":{timestamp}}}"#);
    let day_ms = 86_400_000;
    let rows = [
        ("[]".to_owned(), "invalid-field", "a report is a JSON object, not an array"),
        ("{}".to_owned(), "missing-field", "processId is missing; it names the report"),
        (r#"{"processId":[]}"#.to_owned(), "invalid-field", "processId is an array; a string or a number is needed"),
        (
            r#"{"processId":"p","aws":7}"#.to_owned(),
            "missing-field",
            "aws.awsRequestId is missing; it names the report",
        ),
        (
            at(NOW.0 - 8 * day_ms - 1),
            "invalid-field",
            "timestamp is 2026-11-13T18:04:59.999Z, 691200 seconds before the report's arrival; the limit is 691200 seconds before it",
        ),
        (
            at(NOW.0 + 900_001),
            "invalid-field",
            "timestamp is 2026-11-21T18:20:00.001Z, 900 seconds after the report's arrival; the limit is 900 seconds after it",
        ),
    ];
    for (body, reason, detail) in rows {
        check(&fixture, row(post_as(&token, body), 422, reason, detail)).await;
    }
}

#[tokio::test]
async fn callers_that_are_not_let_in() {
    const CHALLENGE: &[(&str, &str)] = &[("www-authenticate", r#"Bearer realm="tributary""#)];
    const INVALID: &[(&str, &str)] = &[("www-authenticate", r#"Bearer realm="tributary", error="invalid_token""#)];
    let fixture = Fixture::new().await;
    let missing = "there is no token; send it as `Authorization: Bearer <token>`";
    let shape = "the token is not three parts of base64url joined by dots";
    for (headers, body, detail, challenge) in [
        (vec![], report(""), missing, CHALLENGE),
        (vec![("authorization", "")], report(""), missing, CHALLENGE),
        (vec![("authorization", "Bearer ")], report(r#","client_id":"""#), missing, CHALLENGE),
        (vec![], report(r#","client_id":null"#), missing, CHALLENGE),
        (vec![], report(r#","client_id":7"#), missing, CHALLENGE),
        (vec![("content-type", "application/jose")], report(""), missing, CHALLENGE),
        (vec![], report(r#","client_id":"nonsense""#), shape, INVALID),
        (vec![("authorization", "Basic dXNlcjpwYXNz")], report(""), shape, INVALID),
        (vec![("authorization", "Bearer \u{fc}")], report(""), "the Authorization header is not ASCII", INVALID),
    ] {
        let refused = row(post(&headers, body), 401, "unauthorized", detail);
        check(&fixture, Row { headers: challenge, ..refused }).await;
    }
    let read_only = fixture.token_with(&serde_json::json!({}), &serde_json::json!({"scope": "read operate"})).await;
    let detail = "the token does not have the scope `ingest`, which this needs";
    check(&fixture, row(post_as(&read_only, report("")), 403, "forbidden", detail)).await;

    fixture.change(|directory| directory.projects.values_mut().for_each(|project| project.signed_only = true)).await;
    let detail = "the project takes signed reports only (Content-Type: application/jose)";
    check(&fixture, row(post_as(&fixture.token().await, report("")), 403, "forbidden", detail)).await;
}

#[tokio::test]
async fn a_directory_that_is_too_old_lets_nobody_in() {
    let fixture = Fixture::new().await;
    fixture.objects.delete(OBJECT_KEY).await.expect("gone");
    let token = fixture.token().await;
    let late = NOW.plus_ms(86_400_001);
    for sent in [post_as(&token, report("")), request(Method::GET, "/.well-known/jwks.json", &[], "")] {
        let handled = fixture.send_at(late, sent).await;
        assert_eq!((handled.facts.status, handled.facts.reason), (503, "unavailable"));
        assert_eq!(handled.response.headers()["retry-after"], "1");
        assert_eq!(detail(&handled), "the directory of projects and keys can't be read");
    }
}
