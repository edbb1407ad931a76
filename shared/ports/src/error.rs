//! Bad luck: a port that could not do what was asked, though what was asked may be right.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a caller decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortErrorKind {
    /// Too much at once: the same call later, not before `retry_after`.
    Throttled,
    /// Not reachable, not answering, or broken: the same call later.
    Unavailable,
    /// Credentials or rights are missing or expired: stop and raise an alarm, never drop.
    Denied,
    /// What was named is not there.
    NotFound,
    /// It has changed, or is held by another: read it again.
    Conflict,
    /// The request itself is wrong, whoever sends it: a bug or a wrong setting. Retrying does not help; nothing is dropped.
    Invalid,
}

impl PortErrorKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Throttled, Self::Unavailable, Self::Denied, Self::NotFound, Self::Conflict, Self::Invalid];

    /// The kind as it is printed and counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
        }
    }
}

/// A port's failure.
#[derive(Debug)]
pub struct PortError {
    /// What a caller decides on.
    pub kind: PortErrorKind,
    /// The call that failed, `stream.append`.
    pub operation: &'static str,
    /// What the adapter met.
    pub source: Box<dyn Error + Send + Sync>,
    /// When the store asked to be called again.
    pub retry_after: Option<Duration>,
}

impl PortError {
    /// A failure of `operation`, without a wish for when to retry.
    pub fn new(kind: PortErrorKind, operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, operation, source: source.into(), retry_after: None }
    }

    /// The same, to be retried after `after`.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.operation, self.kind.as_str(), self.source)
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}
