//! The two stores that take what the stream carries.

use serde::{Deserialize, Serialize};

/// The two stores; each is a consumer of the stream of its own, with its own checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The search index.
    Search,
    /// The ledger.
    Ledger,
}

impl Target {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Search, Self::Ledger];

    /// `search` or `ledger`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Ledger => "ledger",
        }
    }
}
