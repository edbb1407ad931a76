//! The ledger: compact rows for accounting and repair.

mod rows;

use async_trait::async_trait;
use tributary_model::{ProjectId, ReportId, TimestampMs, TokenId};

pub use rows::{
    AuditEvent, DeadLetterFilter, DeadLetterRow, InvocationRow, OutageRow, RemovedDeadLetter, Resolution, TokenRow,
};

use crate::{PortError, Upserted};

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

    /// Writes dead letters, folding each into the row of its id: targets are joined, `first_seen` keeps the earliest, the
    /// records are counted, and the rest is that of the one last seen. The same again changes nothing, and the order of
    /// writes does not matter.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn upsert_dead_letters(&self, rows: Vec<DeadLetterRow>) -> Result<(), PortError>;

    /// Dead letters by id in byte order, at most `limit`, beginning behind the id `after` (which need not be there). Those
    /// of other projects cost nothing.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetterRow>, PortError>;

    /// One dead letter.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetterRow>, PortError>;

    /// Takes the targets out of the rows. A row that then has none is removed, and so are its records: it is answered
    /// once, for the caller to delete its objects. What is not there, or was met again later, is left as it is.
    ///
    /// # Errors
    /// Bad luck of any kind. The same call again is safe; it does not answer again what was removed before.
    async fn resolve_dead_letters(&self, resolutions: Vec<Resolution>) -> Result<Vec<RemovedDeadLetter>, PortError>;

    /// Removes at most `limit` dead letters that were last met before `before` ([`DEAD_LETTER_RETENTION`] ago, mostly), the
    /// oldest first, and answers them as [`Ledger::resolve_dead_letters`] does. Fewer than `limit` means that there are no
    /// more.
    ///
    /// [`DEAD_LETTER_RETENTION`]: tributary_model::limits::DEAD_LETTER_RETENTION
    ///
    /// # Errors
    /// Bad luck of any kind. The same call again is safe.
    async fn expire_dead_letters(&self, before: TimestampMs, limit: usize)
    -> Result<Vec<RemovedDeadLetter>, PortError>;

    /// Writes outages. Of two writes of one id the one with the later `updated_at` is kept; the same again changes
    /// nothing, and the order of writes does not matter.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn upsert_outages(&self, rows: Vec<OutageRow>) -> Result<(), PortError>;

    /// One outage.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn outage(&self, id: &str) -> Result<Option<OutageRow>, PortError>;

    /// Outages by their start, the latest first (of one millisecond the greatest id first), at most `limit`, beginning
    /// behind the row `after`.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn outages(&self, after: Option<&OutageRow>, limit: usize) -> Result<Vec<OutageRow>, PortError>;

    /// Appends to the audit trail. An event with an id that is there already is left as it is; none is ever changed or
    /// removed.
    ///
    /// # Errors
    /// `Invalid` if a detail is too large, and then none is written; otherwise bad luck of any kind.
    async fn append_audit_events(&self, events: Vec<AuditEvent>) -> Result<(), PortError>;

    /// The audit trail of a project, or what is of none, the latest first (of one millisecond the greatest id first), at
    /// most `limit`, beginning behind the event `after`.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn audit_events(
        &self,
        project: Option<&ProjectId>,
        after: Option<&AuditEvent>,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, PortError>;

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
