//! A request that is answered by a problem.

use tributary_model::limits::{RETRY_AFTER, RETRY_AFTER_MAX};
use tributary_model::{Problem, Rejection};
use tributary_ports::PortError;

/// A problem, and the bad luck behind it, which is for the log alone: it may name hosts and indexes.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    pub(crate) error: Option<String>,
}

impl Failure {
    /// Something that our own stores hold is not as we wrote it.
    pub(crate) fn damaged(error: impl Into<String>) -> Self {
        let problem = Problem::service_unavailable("what is stored of it can't be read", seconds(RETRY_AFTER_MAX));
        Self { problem, error: Some(error.into()) }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem, error: None }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        let retry_after = error.retry_after.unwrap_or(RETRY_AFTER).min(RETRY_AFTER_MAX);
        let problem = Problem::service_unavailable("the store does not answer now; try again", seconds(retry_after));
        Self { problem, error: Some(error.to_string()) }
    }
}

impl From<Rejection> for Failure {
    /// Of a stored report: it was readable when it was stored.
    fn from(rejection: Rejection) -> Self {
        Self::damaged(rejection.detail)
    }
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tributary_ports::PortErrorKind;

    use super::*;

    #[test]
    fn bad_luck_is_told_without_its_cause() {
        let error = PortError::new(PortErrorKind::Denied, "search.find", "role arn:aws:iam::1:role/x is not allowed");
        let failure = Failure::from(error.retry_after(Duration::from_millis(1500)));
        assert_eq!((failure.problem.status, failure.problem.retry_after_s), (503, Some(2)));
        assert!(!failure.problem.detail.contains("arn:"));
        assert!(failure.error.is_some_and(|error| error.starts_with("search.find: denied: role arn:")));
    }

    #[test]
    fn a_wish_to_come_again_much_later_is_bounded() {
        let error = PortError::new(PortErrorKind::Throttled, "search.find", "busy").retry_after(Duration::MAX);
        assert_eq!(Failure::from(error).problem.retry_after_s, Some(60));
    }
}
