//! Bad data: what can never be applied, however often it is tried. Bad luck is `PortError`, in the ports.

use serde::{Deserialize, Serialize};

/// Why a body, a report or a record is refused. Never retried: a client error, or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Rejection {
    /// The class, on which a caller decides (a status, a dead letter's class).
    pub reason: Reason,
    /// A sentence that names the field, the limit and the value's size; never the value itself.
    pub detail: String,
}

impl Rejection {
    /// A rejection of the class `reason`, explained by `detail`.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// The classes of [`Rejection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Not readable: not UTF-8, not JSON, a broken compression or framing.
    Malformed,
    /// Larger than a limit.
    TooLarge,
    /// An encoding, codec, kind or version that this build does not know.
    Unsupported,
    /// Readable, but a field that must be there is missing.
    MissingField,
    /// Readable, but a field's value is of the wrong type or out of range.
    InvalidField,
    /// The store refused the document or row as such.
    Refused,
    /// Our own code panicked on it.
    Panic,
}

impl Reason {
    /// The class as it is printed and counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::Unsupported => "unsupported",
            Self::MissingField => "missing-field",
            Self::InvalidField => "invalid-field",
            Self::Refused => "refused",
            Self::Panic => "panic",
        }
    }
}
