//! What can keep the cluster from doing what was asked, and what it means to a caller.

use std::fmt;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use serde::Deserialize;
use tributary_model::limits::SEARCH_ANSWER_BYTES_MAX;
use tributary_ports::{PortError, PortErrorKind};

use crate::error::kind;

/// One attempt's failure. The cluster's own sentences are left out: they quote documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The cluster answered that it could not, for the whole request or for one item of it.
    #[error("the search cluster answered {0}")]
    Answered(Cause),
    #[error("the search cluster did not answer in time")]
    TimedOut,
    #[error("the search cluster was not reached: {0}")]
    Unreached(io::ErrorKind),
    #[error("the connection to the search cluster, or its answer, broke")]
    Broken,
    #[error("the search cluster's answer has more than {SEARCH_ANSWER_BYTES_MAX} bytes")]
    TooLong,
    #[error("the search cluster's answer is not of the form that was asked for")]
    Malformed,
    #[error("a document changed while it was looked at")]
    Changed,
    #[error("there are no usable credentials for the search cluster")]
    NoCredentials,
    #[error("the credentials' provider failed")]
    CredentialsFailed,
    #[error("the request could not be made")]
    NotMade,
    #[error("the index template of the search cluster is missing or older than this build: set the cluster up first")]
    NotSetUp,
}

/// A status, and the cluster's name for the error: `429 es_rejected_execution_exception`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) status: u16,
    pub(super) name: Option<String>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.name.as_deref().unwrap_or("without a cause"))
    }
}

impl Failure {
    /// What a caller decides on.
    pub(super) fn kind(&self) -> PortErrorKind {
        match self {
            Self::Answered(Cause { status, name }) => kind(*status, name.as_deref()),
            Self::TimedOut
            | Self::Unreached(_)
            | Self::Broken
            | Self::Malformed
            | Self::Changed
            | Self::CredentialsFailed => PortErrorKind::Unavailable,
            Self::NoCredentials => PortErrorKind::Denied,
            Self::TooLong | Self::NotMade | Self::NotSetUp => PortErrorKind::Invalid,
        }
    }

    /// Whether the same again may help soon.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.kind(), PortErrorKind::Throttled | PortErrorKind::Unavailable)
    }

    pub(super) fn port_error(self, operation: &'static str) -> PortError {
        PortError::new(self.kind(), operation, self)
    }

    /// Why no answer came.
    pub(super) fn unanswered(error: &ConnectorError) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
        let mut io = causes.filter_map(|error| error.downcast_ref::<io::Error>());
        io.next().map_or(Self::Broken, |error| Self::Unreached(error.kind()))
    }

    /// Where credentials come from may be slow or down, like any other service; that there are none is for an operator.
    pub(super) fn credentials(error: &CredentialsError) -> Self {
        match error {
            CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
                Self::NoCredentials
            }
            _ => Self::CredentialsFailed,
        }
    }
}

/// An error as the cluster tells it; the proxies before it tell theirs in other forms, which have no name.
#[derive(Deserialize)]
struct Told {
    error: Named,
}

#[derive(Deserialize)]
pub(super) struct Named {
    #[serde(rename = "type")]
    pub(super) name: String,
}

/// The failure of an answer with this status and body.
pub(super) fn answered(status: u16, body: &[u8]) -> Failure {
    let name = serde_json::from_slice::<Told>(body).ok().map(|told| told.error.name);
    Failure::Answered(Cause { status, name: name.filter(|name| is_name(name)) })
}

/// Whether a text is a name and no sentence: only names are repeated.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
