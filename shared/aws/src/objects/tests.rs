use super::*;
use crate::testing::{Answer, Asked, Scripted};

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/data";

async fn store(server: &Scripted) -> Arc<S3Objects> {
    S3Objects::new(&server.config().await, "eu-west-1", "bucket", KEY)
}

fn stored() -> Answer {
    Answer::Whole(200, vec![("etag", "\"one\"".to_owned())], Bytes::new())
}

fn failure(status: u16, code: &str) -> Answer {
    Answer::Whole(status, Vec::new(), format!("<Error><Code>{code}</Code><Message>CANARY</Message></Error>").into())
}

fn header<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    asked.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_put_is_encrypted_under_a_context_and_has_a_checksum() {
    let server = Scripted::start(|_, _| stored()).await;
    let store = store(&server).await;
    let unchanged = Condition::Unchanged(Etag("\"zero\"".into()));
    for condition in [Condition::Always, Condition::Absent, unchanged] {
        let etag = store.put("a/b.bin", "content".into(), condition).await.unwrap();
        assert_eq!(etag, Etag("\"one\"".into()));
    }
    let asked = server.asked();
    for put in &asked {
        assert_eq!((put.method.as_str(), put.target.as_str()), ("PUT", "/bucket/a/b.bin?x-id=PutObject"));
        assert_eq!(header(put, "x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(header(put, "x-amz-server-side-encryption-aws-kms-key-id"), Some(KEY));
        assert_eq!(header(put, "x-amz-server-side-encryption-bucket-key-enabled"), Some("true"));
        let context = STANDARD.decode(header(put, "x-amz-server-side-encryption-context").unwrap()).unwrap();
        assert_eq!(context, br#"{"tributary:bucket":"bucket"}"#);
        // CRC-32 of `content`, by Python's `zlib`.
        assert_eq!(header(put, "x-amz-checksum-crc32"), Some("/sUwqQ=="));
        assert_eq!(put.body, "content");
    }
    let conditions: Vec<_> = asked.iter().map(|put| (header(put, "if-none-match"), header(put, "if-match"))).collect();
    assert_eq!(conditions, [(None, None), (Some("*"), None), (None, Some("\"zero\""))]);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_a_conflict_whatever_s3_calls_it() {
    for (status, code) in [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict"), (404, "NoSuchKey")] {
        let server = Scripted::start(move |_, _| failure(status, code)).await;
        let unchanged = Condition::Unchanged(Etag("\"zero\"".into()));
        let error = store(&server).await.put("a", "x".into(), unchanged).await.unwrap_err();
        assert_eq!((error.kind, server.asked().len()), (PortErrorKind::Conflict, 1), "{error}");
    }
}

#[tokio::test]
async fn failures_are_told_by_code_and_tell_nothing_of_the_service_s_text() {
    for (status, code, kind) in [
        (403, "AccessDenied", PortErrorKind::Denied),
        (403, "SignatureDoesNotMatch", PortErrorKind::Denied),
        (400, "ExpiredToken", PortErrorKind::Denied),
        (400, "KMS.DisabledException", PortErrorKind::Denied),
        (404, "NoSuchBucket", PortErrorKind::NotFound),
        (503, "SlowDown", PortErrorKind::Throttled),
        (500, "InternalError", PortErrorKind::Unavailable),
    ] {
        let server = Scripted::start(move |_, _| failure(status, code)).await;
        let store = store(&server).await;
        for error in [
            store.put("a", "x".into(), Condition::Always).await.unwrap_err(),
            store.get("a").await.unwrap_err(),
            store.list("", None, 1).await.unwrap_err(),
            store.delete("a").await.unwrap_err(),
        ] {
            assert_eq!(error.kind, kind, "{code}: {error}");
            assert!(!format!("{error:?} {error}").contains("CANARY"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_object_is_told_from_a_missing_bucket() {
    let server = Scripted::start(|_, _| failure(404, "NoSuchKey")).await;
    assert_eq!(store(&server).await.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn an_object_that_is_too_long_is_not_read() {
    for bytes in [OBJECT_BYTES_MAX + 1, 3 * OBJECT_BYTES_MAX] {
        let server = Scripted::start(move |_, _| {
            Answer::Whole(200, vec![("etag", "\"one\"".to_owned())], vec![0; bytes].into())
        })
        .await;
        let error = store(&server).await.get("large").await.unwrap_err();
        assert_eq!((error.kind, server.asked().len()), (PortErrorKind::Invalid, 1), "{bytes}: {error}");
    }
}

#[tokio::test]
async fn content_that_is_not_what_was_put_is_refused() {
    let server = Scripted::start(|_, _| {
        let headers = vec![("etag", "\"one\"".to_owned()), ("x-amz-checksum-crc32", "/sUwqQ==".to_owned())];
        Answer::Whole(200, headers, "c0ntent".into())
    })
    .await;
    let error = store(&server).await.get("a").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    assert_eq!(header(&server.asked()[0], "x-amz-checksum-mode"), Some("ENABLED"));
}

#[tokio::test]
async fn a_store_for_reading_sends_no_put() {
    let server = Scripted::start(|_, _| stored()).await;
    let store = S3Objects::read_only(&server.config().await, "eu-west-1", "bucket");
    let error = store.put("a", "x".into(), Condition::Always).await.unwrap_err();
    assert_eq!((error.kind, server.asked().len()), (PortErrorKind::Denied, 0), "{error}");
}

#[tokio::test]
async fn a_list_passes_over_what_is_no_key_of_ours() {
    let server = Scripted::start(|before, _| {
        let page = |more: bool, keys: &[&str]| {
            let keys: String = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
            let body = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{keys}</ListBucketResult>");
            Answer::Whole(200, Vec::new(), body.into())
        };
        if before == 0 { page(true, &["FOREIGN", "a"]) } else { page(false, &["b"]) }
    })
    .await;
    assert_eq!(store(&server).await.list("", None, 2).await.unwrap(), ["a", "b"]);
    let asked = server.asked();
    assert!(asked[0].target.contains("max-keys=2") && !asked[0].target.contains("start-after"), "{}", asked[0].target);
    assert!(
        asked[1].target.contains("max-keys=1&") && asked[1].target.contains("start-after=a"),
        "{}",
        asked[1].target
    );
}
