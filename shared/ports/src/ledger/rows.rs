//! The rows of a ledger.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tributary_model::directory::Scopes;
use tributary_model::limits::AUDIT_DETAIL_BYTES_MAX;
use tributary_model::rejection::Reason;
use tributary_model::{AccountId, ProjectId, Region, ReportId, RetentionClass, TimestampMs, TokenId, Version};

use crate::{PortError, PortErrorKind, Target};

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
    /// When the invocation began; it lies in the day of `id`.
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
    /// The consumers that met it and have not resolved it since. A row is folded over them.
    pub targets: Vec<Target>,
    /// When it was first met.
    pub first_seen: TimestampMs,
    /// When it was last met.
    pub last_seen: TimestampMs,
    /// The object that holds the bytes.
    pub object_key: String,
    /// Bytes of the record.
    pub record_bytes: u32,
    /// How many records were met under this id, told apart by `object_key`: the same record again, of either consumer and
    /// at any time, is not another one. A row that is written counts as one record, whatever this says.
    pub count: u32,
}

/// Which dead letters a list holds: those of which all is true.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetterFilter {
    /// They are of this project; without one, of no project.
    pub project: Option<ProjectId>,
    /// Their reason is one of these. Without them any is; of an empty list none is.
    pub reasons: Option<Vec<Reason>>,
    /// This consumer met them.
    pub target: Option<Target>,
    /// `last_seen` is this or later.
    pub from: Option<TimestampMs>,
    /// `last_seen` is earlier than this.
    pub to: Option<TimestampMs>,
}

/// What ends a dead letter: its record was applied after all, or is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The dead letter's id.
    pub id: String,
    /// The consumers for which it ends.
    pub targets: Vec<Target>,
    /// The latest `last_seen` that this knows of. What was met again later has not ended.
    pub seen_until: TimestampMs,
}

/// A dead letter that is no longer there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedDeadLetter {
    /// Its id.
    pub id: String,
    /// The objects of all its records, which nothing points to now: for the caller to delete. In byte order.
    pub object_keys: Vec<String>,
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

/// A time in which a store was not to be used, or the consumer's rights there had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageRow {
    /// Its id, made by who notices the outage, since the ledger may be what failed: `ledger-eu-west-1-20261121T180101Z`.
    pub id: String,
    /// The store.
    pub target: Target,
    /// The region whose consumer met it.
    pub region: Region,
    /// What the store answered.
    pub cause: PortErrorKind,
    /// When it began.
    pub started_at: TimestampMs,
    /// When the store was first used again; none while the outage lasts.
    pub ended_at: Option<TimestampMs>,
    /// Batches that failed in it.
    pub failed_batches: u64,
    /// Records of those batches. A record whose batch failed twice counts twice.
    pub failed_records: u64,
    /// When this was known. Of two writes of an id the later one is kept.
    pub updated_at: TimestampMs,
}

/// Something that a person or a schedule did, for those who ask later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its id, made by who did it, so that writing it again does not double it.
    pub id: String,
    /// The project that may read it; without one those alone who run the installation.
    pub project: Option<ProjectId>,
    /// When it was done.
    pub at: TimestampMs,
    /// Who did it: a token's id, or the function's name where nobody asked.
    pub actor: String,
    /// What was done: `replay.start`, `dead-letter.discard`.
    pub action: String,
    /// To what: an id.
    pub subject: String,
    /// What else is to be known of it, without customer data. At most [`AUDIT_DETAIL_BYTES_MAX`] bytes as JSON.
    pub detail: Map<String, Value>,
}

impl AuditEvent {
    /// The detail as JSON.
    ///
    /// # Errors
    /// `Invalid` if it is larger than [`AUDIT_DETAIL_BYTES_MAX`].
    pub fn detail_json(&self) -> Result<String, PortError> {
        let invalid = |problem: String| PortError::new(PortErrorKind::Invalid, "ledger.append_audit_events", problem);
        let text = serde_json::to_string(&self.detail).map_err(|error| invalid(error.to_string()))?;
        if text.len() <= AUDIT_DETAIL_BYTES_MAX {
            return Ok(text);
        }
        Err(invalid(format!("an event's detail has {} bytes; at most {AUDIT_DETAIL_BYTES_MAX} are kept", text.len())))
    }
}
