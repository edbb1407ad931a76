//! The ledger: compact rows for accounting and repair.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tributary_model::directory::Scopes;
use tributary_model::rejection::Reason;
use tributary_model::{AccountId, ProjectId, Region, ReportId, RetentionClass, TimestampMs, TokenId, Version};

use crate::{PortError, Target, Upserted};

/// What accounting, counts and quotas need of one invocation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvocationRow {
    /// The report's id.
    pub id: ReportId,
    /// Decides which of two writes of the id wins.
    pub version: Version,
    /// The project.
    pub project: ProjectId,
    /// The account.
    pub account: AccountId,
    /// The function's region.
    pub region: Region,
    /// The function's name.
    pub function: String,
    /// When the invocation began.
    pub timestamp: TimestampMs,
    /// When the collector took it in.
    pub received_at: TimestampMs,
    /// For how long it is kept.
    pub retention: RetentionClass,
    /// The sender's token.
    pub token: TokenId,
    /// How long it ran.
    pub duration_ms: Option<f64>,
    /// Whether it was a cold start.
    pub coldstart: bool,
    /// The error's fingerprint, if there was one.
    pub error_fingerprint: Option<String>,
    /// Bytes of the report before compression.
    pub report_bytes: u32,
}

/// The index entry of a dead letter; its bytes are an object, written first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterRow {
    /// Its id: the report's, or `record-<region>-<shard>-<sequence number>` where the record could not be read.
    pub id: String,
    /// The project, if the record's header could be read.
    pub project: Option<ProjectId>,
    /// Why it could not be applied.
    pub reason: Reason,
    /// A sentence without customer data.
    pub detail: String,
    /// The consumers that met it. A row is folded over them.
    pub targets: Vec<Target>,
    /// When it was first met.
    pub first_seen: TimestampMs,
    /// When it was last met.
    pub last_seen: TimestampMs,
    /// The object that holds the bytes.
    pub object_key: String,
    /// Bytes of the record.
    pub record_bytes: u32,
}

/// An issued token; the token itself is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// The claim `jti`.
    pub id: TokenId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// What it allows.
    pub scopes: Scopes,
    /// The key that signed it.
    pub kid: String,
    /// When it was issued.
    pub issued_at: TimestampMs,
    /// When it ends.
    pub expires_at: TimestampMs,
}

/// The ledger.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Writes rows by version, in one round trip, and answers for each, as if they were written one after the other in
    /// their order. What the store can't hold (a text with a NUL in it, a number that is not finite) it may refuse, row by
    /// row.
    ///
    /// # Errors
    /// If the store could not be asked or could not finish. The same call again is safe.
    async fn upsert_invocations(&self, rows: Vec<InvocationRow>) -> Result<Vec<Upserted>, PortError>;

    /// The rows of these ids, in their order; none where there is none.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn invocations(&self, ids: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError>;

    /// How many invocations a project has with `from <= timestamp < to`.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn count_invocations(
        &self,
        project: &ProjectId,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<u64, PortError>;

    /// Writes dead letters, folding each into the row of its id: targets are joined, `first_seen` keeps the earliest, and
    /// the rest is that of the one last seen. The same again changes nothing, and the order of writes does not matter.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn upsert_dead_letters(&self, rows: Vec<DeadLetterRow>) -> Result<(), PortError>;

    /// Dead letters of a project, or those of none, by id in byte order, at most `limit`, beginning behind the id `after`
    /// (which need not be there). Those of others cost nothing.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn dead_letters(
        &self,
        project: Option<&ProjectId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetterRow>, PortError>;

    /// One dead letter.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetterRow>, PortError>;

    /// Writes an issued token; one with this id that is there already is left as it is.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn insert_token(&self, row: TokenRow) -> Result<(), PortError>;

    /// One issued token.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn token(&self, id: &TokenId) -> Result<Option<TokenRow>, PortError>;

    /// Issued tokens of a project, the latest first (of one millisecond the greatest id first), at most `limit`, beginning
    /// behind the row `after`.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn tokens(
        &self,
        project: &ProjectId,
        after: Option<&TokenRow>,
        limit: usize,
    ) -> Result<Vec<TokenRow>, PortError>;
}
