//! How much a log line matters.

use std::str::FromStr;

use serde::Serialize;

/// The level of a log line; greater matters more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Info,
    /// Somebody should look at it, some time.
    Warn,
    /// Something does not work now.
    Error,
}

impl Level {
    /// All levels.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warn, Self::Error];

    /// As it is printed and set.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(LevelError)
    }
}

/// A text that is no level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be info, warn or error")]
pub struct LevelError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_read_back_and_are_ordered() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
        }
        assert!(Level::Info < Level::Warn && Level::Warn < Level::Error);
        assert!("INFO".parse::<Level>().is_err());
    }
}
