use std::time::Duration;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_kinesis::Client;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;
use tokio::net::TcpListener;
use tributary_model::limits::AWS_RESPONSE_BYTES_MAX;
use tributary_ports::PortErrorKind::{self, Conflict, Denied, Invalid, NotFound, Throttled, Unavailable};

use super::*;
use crate::testing::{Answer, Scripted, config};

/// Status, code, kind: what the services document, and what proxies before them say.
const TABLE: &[(u16, &str, PortErrorKind)] = &[
    // Kinesis
    (400, "ProvisionedThroughputExceededException", Throttled),
    (400, "LimitExceededException", Throttled),
    (400, "KMSThrottlingException", Throttled),
    (400, "KMSAccessDeniedException", Denied),
    (400, "KMSDisabledException", Denied),
    (400, "KMSInvalidStateException", Denied),
    (400, "KMSNotFoundException", Denied),
    (400, "KMSOptInRequired", Denied),
    (500, "InternalFailure", Unavailable),
    (400, "ResourceNotFoundException", NotFound),
    (400, "ResourceInUseException", Conflict),
    (400, "InvalidArgumentException", Invalid),
    (400, "ValidationException", Invalid),
    (400, "ExpiredIteratorException", Invalid),
    // every service
    (400, "ThrottlingException", Throttled),
    (400, "Throttling", Throttled),
    (503, "ServiceUnavailable", Unavailable),
    (403, "AccessDeniedException", Denied),
    (400, "AccessDeniedException", Denied),
    (400, "ExpiredTokenException", Denied),
    (403, "InvalidClientTokenId", Denied),
    (400, "UnrecognizedClientException", Denied),
    (403, "InvalidSignatureException", Denied),
    (400, "IncompleteSignature", Denied),
    (400, "MissingAuthenticationToken", Denied),
    // KMS
    (400, "DisabledException", Denied),
    (400, "NotFoundException", NotFound),
    (500, "KMSInternalException", Unavailable),
    (500, "KeyUnavailableException", Unavailable),
    (500, "DependencyTimeoutException", Unavailable),
    (400, "InvalidCiphertextException", Invalid),
    // S3
    (503, "SlowDown", Throttled),
    (404, "NoSuchKey", NotFound),
    (404, "NoSuchBucket", NotFound),
    (412, "PreconditionFailed", Conflict),
    (409, "ConditionalRequestConflict", Conflict),
    (409, "OperationAborted", Conflict),
    (403, "AccessDenied", Denied),
    (400, "KMS.DisabledException", Denied),
    (400, "KMS.KMSInvalidStateException", Denied),
    (400, "KMS.NotFoundException", Denied),
    (400, "ExpiredToken", Denied),
    (403, "RequestTimeTooSkewed", Denied),
    (403, "SignatureDoesNotMatch", Denied),
    (400, "RequestTimeout", Unavailable),
    (500, "InternalError", Unavailable),
    (400, "BadDigest", Invalid),
    // Data API
    (403, "ForbiddenException", Denied),
    (400, "InvalidSecretException", Denied),
    (400, "SecretsErrorException", Denied),
    (400, "DatabaseErrorException", Unavailable),
    (400, "BadRequestException", Invalid),
    (400, "HttpEndpointNotEnabledException", Invalid),
    (400, "UnsupportedResultException", Invalid),
    (400, "StatementTimeoutException", Unavailable),
    (400, "DatabaseResumingException", Unavailable),
    (400, "InvalidResourceStateException", Unavailable),
    (404, "DatabaseNotFoundException", NotFound),
    (404, "TransactionNotFoundException", NotFound),
    (500, "InternalServerErrorException", Unavailable),
    (503, "ServiceUnavailableError", Unavailable),
    (504, "DatabaseUnavailableException", Unavailable),
    // Lambda
    (429, "TooManyRequestsException", Throttled),
    (409, "ResourceConflictException", Conflict),
    (500, "ServiceException", Unavailable),
    (400, "InvalidParameterValueException", Invalid),
    // codes that nobody has met yet, and pages of proxies, go by their status
    (400, "Unheard", Invalid),
    (401, "Unheard", Denied),
    (403, "Unheard", Denied),
    (404, "Unheard", NotFound),
    (408, "Unheard", Unavailable),
    (409, "Unheard", Conflict),
    (412, "Unheard", Conflict),
    (413, "Unheard", Invalid),
    (429, "Unheard", Throttled),
    (500, "Unheard", Unavailable),
    (502, "Unheard", Unavailable),
    (503, "Unheard", Unavailable),
    (504, "Unheard", Unavailable),
];

#[test]
fn every_row_of_the_table_has_its_kind() {
    for (status, code, expected) in TABLE {
        assert_eq!(kind(*status, Some(code)), *expected, "{status} {code}");
    }
    assert_eq!(kind(503, None), Unavailable);
    assert_eq!(kind(403, None), Denied);
}

/// One attempt, so that a test waits for no pause.
async fn client(endpoint: &str) -> Client {
    let config = config(endpoint).await;
    let once = config.retry_config().unwrap().clone().with_max_attempts(1);
    Client::new(&config.into_builder().retry_config(once).build())
}

async fn failure(client: &Client) -> PortError {
    let error = client.list_shards().stream_name("s").send().await.expect_err("a failure");
    port_error("stream.shards", error)
}

async fn failure_of(answer: Answer) -> PortError {
    let server = Scripted::start(move |_, _| answer.clone()).await;
    failure(&client(&server.endpoint).await).await
}

#[tokio::test]
async fn a_failure_is_told_by_its_code_and_without_the_services_text() {
    for (status, code, kind) in [
        (400, "LimitExceededException", Throttled),
        (400, "AccessDeniedException", Denied),
        (500, "InternalFailure", Unavailable),
    ] {
        let error = failure_of(Answer::error(status, code)).await;
        assert_eq!(error.kind, kind);
        assert_eq!(error.to_string(), format!("stream.shards: {}: {status} {code} (request unknown)", kind.as_str()));
        assert!(!format!("{error:?}").contains("CANARY"));
    }
}

#[tokio::test]
async fn an_answer_that_is_none_of_the_service_goes_by_its_status() {
    for (status, kind) in [(503, Unavailable), (403, Denied), (429, Throttled), (404, NotFound)] {
        let page = Answer::Whole(status, vec![("x-amzn-requestid", "r-1".to_owned())], "<html>CANARY".into());
        let error = failure_of(page).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains("request r-1") && !format!("{error:?}").contains("CANARY"), "{error:?}");
    }
}

#[tokio::test]
async fn a_wish_for_when_to_come_again_is_kept() {
    for (name, value, after) in [
        ("retry-after", "7", Some(Duration::from_secs(7))),
        ("x-amz-retry-after", "250", Some(Duration::from_millis(250))),
        ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", None),
    ] {
        let error = failure_of(Answer::Whole(429, vec![(name, value.to_owned())], Bytes::new())).await;
        assert_eq!((error.kind, error.retry_after), (Throttled, after));
    }
}

/// L5: a connection that is refused and a name that is not found are bad luck, and pass.
#[tokio::test]
async fn what_never_answers_is_unavailable() {
    let dropped = failure_of(Answer::Dropped).await;
    assert_eq!(dropped.kind, Unavailable, "{dropped}");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = failure(&client(&format!("http://{closed}")).await).await;
    assert_eq!(refused.kind, Unavailable);
    assert_eq!(refused.to_string(), "stream.shards: unavailable: not connected: connection refused");
    let unknown = failure(&client("http://no-such-host.invalid").await).await;
    assert_eq!(unknown.kind, Unavailable, "{unknown}");
}

#[tokio::test]
async fn no_answer_in_time_is_unavailable() {
    let server = Scripted::start(|_, _| Answer::Never).await;
    let short = TimeoutConfig::builder().operation_timeout(Duration::from_millis(50)).build();
    let client = Client::new(&server.config().await.into_builder().timeout_config(short).build());
    let error = failure(&client).await;
    assert_eq!(error.to_string(), "stream.shards: unavailable: no answer in time");
}

#[tokio::test]
async fn without_credentials_a_call_is_denied() {
    let server = Scripted::start(|_, _| Answer::error(500, "InternalFailure")).await;
    let none = SharedCredentialsProvider::new(NoCredentials);
    let config = server.config().await.into_builder().credentials_provider(none);
    let error = failure(&Client::new(&config.build())).await;
    assert_eq!((error.kind, server.asked().len()), (Denied, 0), "{error}");
}

#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none in this test")))
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused_before_it_is_read() {
    let too_long = Answer::Whole(200, Vec::new(), Bytes::from(vec![b' '; AWS_RESPONSE_BYTES_MAX + 1]));
    let error = failure_of(too_long).await;
    assert_eq!(
        error.to_string(),
        format!("stream.shards: unavailable: the answer is longer than {AWS_RESPONSE_BYTES_MAX} bytes")
    );
}

#[tokio::test]
async fn an_answer_of_untold_length_is_cut_at_the_limit() {
    let piece = Bytes::from(vec![b' '; AWS_RESPONSE_BYTES_MAX / 8]);
    let mut pieces = vec![piece; 8];
    pieces.push("  {}".into());
    let error = failure_of(Answer::Chunked(pieces.clone())).await;
    assert_eq!(
        error.to_string(),
        format!("stream.shards: unavailable: the answer is longer than {AWS_RESPONSE_BYTES_MAX} bytes")
    );
    let server = Scripted::start(move |_, _| Answer::Chunked(pieces[1..].to_vec())).await;
    client(&server.endpoint).await.list_shards().stream_name("s").send().await.expect("an answer within the limit");
}
