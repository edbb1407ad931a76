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
    /// It was delivered as often as a consumer delivers a record, and no delivery came to its end.
    Exhausted,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::TooLarge,
        Self::Unsupported,
        Self::MissingField,
        Self::InvalidField,
        Self::Refused,
        Self::Panic,
        Self::Exhausted,
    ];

    /// What kind of error an operator takes it for.
    #[must_use]
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::Malformed | Self::Unsupported => ErrorClass::Parse,
            Self::TooLarge => ErrorClass::TooLarge,
            Self::MissingField => ErrorClass::Missing,
            Self::InvalidField | Self::Refused => ErrorClass::Value,
            Self::Panic | Self::Exhausted => ErrorClass::Intermittent,
        }
    }

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
            Self::Exhausted => "exhausted",
        }
    }
}

/// The classes of error by which operators sort dead letters; a [`Reason`] tells its class.
///
/// No reason of today is of the classes `Connection`, `RateLimit` and `Duplicate`: a store that can't be reached or takes
/// no more redelivers, and a report that is there already is no error. They are names that a filter may use all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// A field's value is of the wrong type, out of range, or refused by the store.
    Value,
    /// A field that must be there is not.
    Missing,
    /// The store could not be reached.
    Connection,
    /// It failed where the next attempt may succeed, with a later version at the latest.
    Intermittent,
    /// The store took no more.
    RateLimit,
    /// It is larger than a limit.
    TooLarge,
    /// It can't be read.
    Parse,
    /// Another one has its place.
    Duplicate,
}

impl ErrorClass {
    /// All classes.
    pub const ALL: [Self; 8] = [
        Self::Value,
        Self::Missing,
        Self::Connection,
        Self::Intermittent,
        Self::RateLimit,
        Self::TooLarge,
        Self::Parse,
        Self::Duplicate,
    ];

    /// The class as it is printed and asked for.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Missing => "missing",
            Self::Connection => "connection",
            Self::Intermittent => "intermittent",
            Self::RateLimit => "rate-limit",
            Self::TooLarge => "too-large",
            Self::Parse => "parse",
            Self::Duplicate => "duplicate",
        }
    }

    /// The reasons of this class.
    pub fn reasons(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| reason.class() == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_their_json() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).expect("JSON"), reason.as_str());
        }
        for class in ErrorClass::ALL {
            assert_eq!(serde_json::to_value(class).expect("JSON"), class.as_str());
        }
    }

    #[test]
    fn every_reason_is_found_by_its_class() {
        let found: Vec<Reason> = ErrorClass::ALL.into_iter().flat_map(ErrorClass::reasons).collect();
        assert_eq!(found.len(), Reason::ALL.len());
        assert_eq!(ErrorClass::Parse.reasons().collect::<Vec<_>>(), [Reason::Malformed, Reason::Unsupported]);
        assert_eq!(ErrorClass::Connection.reasons().count(), 0);
    }
}
