//! From the SDK's failures to [`PortError`]: one table, by error code and status.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use http_body_util::LengthLimitError;
use tributary_ports::{PortError, PortErrorKind};

use crate::connector::AnswerTooLong;

/// What the error codes of Kinesis, KMS, S3, the Data API and Lambda mean. A KMS key that is gone or switched off is like
/// a right that was taken away: somebody has to give it back. A `DatabaseErrorException` may be anything that a database
/// meets, a full disk as well as wrong SQL; which of them only its text says, and waiting loses nothing.
const CODES: &[(PortErrorKind, &[&str])] = &[
    (
        PortErrorKind::Throttled,
        &[
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "KMSThrottlingException",
            "LimitExceededException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ],
    ),
    (
        PortErrorKind::Unavailable,
        &[
            "DatabaseErrorException",
            "DatabaseResumingException",
            "DatabaseUnavailableException",
            "DependencyTimeoutException",
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "InternalServerErrorException",
            "InvalidResourceStateException",
            "KMSInternalException",
            "KeyUnavailableException",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServiceException",
            "ServiceUnavailable",
            "ServiceUnavailableError",
            "ServiceUnavailableException",
            "StatementTimeoutException",
        ],
    ),
    (
        PortErrorKind::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "AccountProblem",
            "AllAccessDisabled",
            "DisabledException",
            "ExpiredToken",
            "ExpiredTokenException",
            "ForbiddenException",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSecretException",
            "InvalidSignatureException",
            "InvalidToken",
            // How S3 passes on what KMS refused.
            "KMS.DisabledException",
            "KMS.KMSInvalidStateException",
            "KMS.NotFoundException",
            "KMSAccessDeniedException",
            "KMSDisabledException",
            "KMSInvalidStateException",
            "KMSNotFoundException",
            "KMSOptInRequired",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "OptInRequired",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SecretsErrorException",
            "SignatureDoesNotMatch",
            "UnauthorizedOperation",
            "UnrecognizedClientException",
        ],
    ),
    (
        PortErrorKind::NotFound,
        &[
            "DatabaseNotFoundException",
            "NoSuchBucket",
            "NoSuchKey",
            "NotFound",
            "NotFoundException",
            "ResourceNotFoundException",
            "TransactionNotFoundException",
        ],
    ),
    (
        PortErrorKind::Conflict,
        &[
            "ConditionalRequestConflict",
            "ConflictException",
            "OperationAborted",
            "PreconditionFailed",
            "ResourceConflictException",
            "ResourceInUseException",
        ],
    ),
];

/// What an answer says about its failure. The service's own text is left out: it may quote what was sent.
#[derive(Debug, thiserror::Error)]
#[error("{status} {} (request {})", .code.as_deref().unwrap_or("without a code"), .request.as_deref().unwrap_or("unknown"))]
struct Answered {
    status: u16,
    code: Option<String>,
    request: Option<String>,
}

/// What kept an answer from coming, in words of ours and of the operating system.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("no answer in time")]
    TimedOut,
    #[error("not connected: {0}")]
    Io(io::ErrorKind),
    #[error("no usable credentials: {0}")]
    Credentials(&'static str),
    #[error("the call could not be made")]
    NotMade,
    #[error(transparent)]
    TooLong(AnswerTooLong),
    #[error("the connection or its answer failed")]
    Broken,
}

/// The port's form of a failed call.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(crate) fn port_error<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(failure) => {
            let code = failure.err().code();
            answered(operation, failure.raw(), code)
        }
        // What is no answer of the service (a proxy's page, a body cut off) is told by its status.
        SdkError::ResponseError(failure) if failure.raw().status().as_u16() >= 400 => {
            answered(operation, failure.raw(), None)
        }
        _ => {
            let (kind, source) = unanswered(&error);
            PortError::new(kind, operation, source)
        }
    }
}

/// The kind of a failure with this status and error code. The code decides where it is known.
pub(crate) fn kind(status: u16, code: Option<&str>) -> PortErrorKind {
    code.and_then(kind_of_code).unwrap_or_else(|| kind_of_status(status))
}

fn answered(operation: &'static str, answer: &HttpResponse, code: Option<&str>) -> PortError {
    let status = answer.status().as_u16();
    let headers = answer.headers();
    let request = ["x-amzn-requestid", "x-amz-request-id"].iter().find_map(|name| headers.get(name));
    let source = Answered { status, code: code.map(str::to_owned), request: request.map(str::to_owned) };
    let error = PortError::new(kind(status, code), operation, source);
    match retry_after(answer) {
        Some(after) => error.retry_after(after),
        None => error,
    }
}

/// When the service asks to be called again: seconds in `retry-after`, or milliseconds in `x-amz-retry-after`.
fn retry_after(answer: &HttpResponse) -> Option<Duration> {
    let number = |name| answer.headers().get(name)?.trim().parse::<u64>().ok();
    number("x-amz-retry-after").map(Duration::from_millis).or_else(|| number("retry-after").map(Duration::from_secs))
}

fn kind_of_code(code: &str) -> Option<PortErrorKind> {
    CODES.iter().find(|(_, codes)| codes.contains(&code)).map(|(kind, _)| *kind)
}

const fn kind_of_status(status: u16) -> PortErrorKind {
    match status {
        401 | 403 => PortErrorKind::Denied,
        404 | 410 => PortErrorKind::NotFound,
        409 | 412 => PortErrorKind::Conflict,
        429 => PortErrorKind::Throttled,
        400..=499 if status != 408 => PortErrorKind::Invalid,
        _ => PortErrorKind::Unavailable,
    }
}

fn unanswered<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> (PortErrorKind, Unanswered) {
    if let Some(credentials) = cause::<CredentialsError>(error) {
        return without_credentials(credentials);
    }
    let source = match error {
        SdkError::TimeoutError(_) => Unanswered::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Unanswered::TimedOut,
        SdkError::ConstructionFailure(_) => return (PortErrorKind::Invalid, Unanswered::NotMade),
        _ if cause::<AnswerTooLong>(error).is_some() || cause::<LengthLimitError>(error).is_some() => {
            Unanswered::TooLong(AnswerTooLong)
        }
        _ => cause::<io::Error>(error).map_or(Unanswered::Broken, |error| Unanswered::Io(error.kind())),
    };
    (PortErrorKind::Unavailable, source)
}

/// Where credentials come from may be slow or down, like any other service; that there are none is for an operator.
const fn without_credentials(error: &CredentialsError) -> (PortErrorKind, Unanswered) {
    let (kind, text) = match error {
        CredentialsError::CredentialsNotLoaded(_) => (PortErrorKind::Denied, "there are none"),
        CredentialsError::InvalidConfiguration(_) => (PortErrorKind::Denied, "their settings are wrong"),
        CredentialsError::ProviderTimedOut(_) => (PortErrorKind::Unavailable, "their provider did not answer in time"),
        _ => (PortErrorKind::Unavailable, "their provider failed"),
    };
    (kind, Unanswered::Credentials(text))
}

/// The first error of type `C` among an error and its causes.
pub(crate) fn cause<'a, C: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a C> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests;
