//! The directory: projects, retention classes, public keys and revocations; one small versioned object per region.
//!
//! It is the authority for what it holds: collectors and workers read it and never ask the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ProjectId, RetentionClass, TokenId};
use crate::time::{Day, TimestampMs};

/// The object under which the directory is published.
pub const OBJECT_KEY: &str = "directory.json";

/// Everything that admitting and placing a report needs to know about customers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Directory {
    /// Counts the changes; every published directory has a greater one.
    pub version: u64,
    /// The issuer (`iss`) that every token must name.
    pub issuer: String,
    /// Projects by name.
    pub projects: BTreeMap<ProjectId, Project>,
    /// Public keys for tokens, by `kid`; a rotated key stays until its last token has ended.
    pub token_keys: BTreeMap<String, TokenKey>,
    /// Revoked tokens, with the end of their validity, after which the entry can go.
    pub revoked: BTreeMap<TokenId, TimestampMs>,
}

/// Where a function reads the directory. It is the whole directory, not its public keys alone: who may send and what was
/// revoked stands in it as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryPlace {
    /// An object in a bucket of the function's own region.
    Object {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// An address that answers GET with it.
    Url(String),
    /// A file.
    File(PathBuf),
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The account that owns it.
    pub account: AccountId,
    /// Retention classes by the day from which each holds; a changed plan begins on a later day.
    pub retention: BTreeMap<Day, RetentionClass>,
    /// Whether only signed reports are taken.
    #[serde(default)]
    pub signed_only: bool,
    /// Public keys for signed reports, by key id.
    #[serde(default)]
    pub sender_keys: BTreeMap<String, SenderKey>,
}

impl Project {
    /// A project of `account` that keeps invocations for [`RetentionClass::DEFAULT`].
    #[must_use]
    pub fn new(account: AccountId) -> Self {
        Self { account, retention: BTreeMap::new(), signed_only: false, sender_keys: BTreeMap::new() }
    }

    /// The class of an invocation of `day`: a function of project and day alone.
    #[must_use]
    pub fn retention_on(&self, day: Day) -> RetentionClass {
        self.retention.range(..=day).next_back().map_or(RetentionClass::DEFAULT, |(_, class)| *class)
    }
}

/// A public key that verifies tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey {
    /// The key as a JSON Web Key (RFC 7517); `alg` is `ES256`, `EdDSA` or `RS256`.
    pub jwk: serde_json::Value,
    /// From when on no new token is signed with it; tokens that it signed stay valid. Absent for the current key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<TimestampMs>,
}

/// A sender's public key for signed reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderKey {
    /// The key as a JSON Web Key; `alg` is `EdDSA`, `ES256` or `RS256`.
    pub jwk: serde_json::Value,
    /// When it was registered.
    pub added_at: TimestampMs,
    /// From when on reports signed with it are refused. What it signed before can still be verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<TimestampMs>,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send reports.
    Ingest,
    /// Search the project's invocations.
    Read,
    /// Operate: dead letters, replays, audits, metrics.
    Operate,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Read, Self::Operate];

    /// As it stands in a token's `scope` claim.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

/// The scopes of one token.
pub type Scopes = BTreeSet<Scope>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_plan_begins_on_its_day() {
        let mut project = Project::new(AccountId::new("acme").expect("account"));
        let long = RetentionClass::from_days(90).expect("class");
        project.retention.insert(Day(20_261_201), long);
        assert_eq!(project.retention_on(Day(20_261_130)), RetentionClass::DEFAULT);
        assert_eq!(project.retention_on(Day(20_261_201)), long);
        assert_eq!(project.retention_on(Day(20_270_101)), long);
    }
}
