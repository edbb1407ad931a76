//! Why a request is not answered with 200: what the sender is told, and what is counted.

use tributary_access::{AuthError, DirectoryUnavailable, SignedError};
use tributary_model::limits::{RETRY_AFTER, RETRY_AFTER_MAX};
use tributary_model::{Problem, Rejection};
use tributary_ports::{PortError, PortErrorKind};

/// A refusal. The problem is for the sender; the error behind it, if it is bad luck, for the log.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Boxed, so that the way of an accepted report does not carry its size along.
    pub(crate) problem: Box<Problem>,
    /// One of a fixed set, since it is a metric's label.
    pub(crate) reason: &'static str,
    pub(crate) error: Option<String>,
}

impl Refusal {
    pub(crate) fn new(problem: Problem, reason: &'static str) -> Self {
        Self { problem: Box::new(problem), reason, error: None }
    }

    /// Neither the stream nor the overflow took the record: 429 if the stream has too much at once, 503 for all other bad
    /// luck; never a 4xx that would blame the sender. One of them may hold it after all; then nobody was told, and a sender
    /// who tries again makes no second one, since the id is the same.
    pub(crate) fn nowhere(stream: &PortError, overflow: &PortError) -> Self {
        let after = retry_after_s(stream);
        let refusal = match stream.kind {
            PortErrorKind::Throttled => {
                let detail = "the stream takes no more just now; send the report again, it counts once";
                Self::new(Problem::too_many_requests(detail, after), "throttled")
            }
            _ => {
                let detail = "the stream did not say that it has the report; send it again, it counts once";
                Self::new(Problem::service_unavailable(detail, after), "unavailable")
            }
        };
        Self { error: Some(format!("{stream}; {overflow}")), ..refusal }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let reason = match problem.status {
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not-found",
            405 => "method-not-allowed",
            413 => "too-large",
            415 => "unsupported",
            503 => "unavailable",
            _ => "malformed",
        };
        Self::new(problem, reason)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let reason = rejection.reason.as_str();
        Self::new(rejection.into(), reason)
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Problem::from(error).into()
    }
}

impl From<DirectoryUnavailable> for Refusal {
    fn from(error: DirectoryUnavailable) -> Self {
        AuthError::from(error).into()
    }
}

impl From<SignedError> for Refusal {
    fn from(error: SignedError) -> Self {
        Problem::from(error).into()
    }
}

/// Whole seconds, rounded up: what the store wishes, within bounds.
fn retry_after_s(error: &PortError) -> u32 {
    let wish = error.retry_after.unwrap_or(RETRY_AFTER).min(RETRY_AFTER_MAX);
    u32::try_from(wish.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn retry_after_is_whole_seconds_within_bounds() {
        let error = || PortError::new(PortErrorKind::Throttled, "stream.append", "full");
        assert_eq!(retry_after_s(&error()), 1);
        for (wish_ms, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_500, 60), (3_600_000, 60)] {
            let error = error().retry_after(Duration::from_millis(wish_ms));
            assert_eq!(retry_after_s(&error), seconds, "{wish_ms} ms");
        }
    }
}
