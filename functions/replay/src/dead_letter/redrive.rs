//! The records of a dead letter once more, through the worker's own apply, into the stores that have not got them.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tributary_model::dead_letter::PREFIX;
use tributary_model::limits::DEAD_LETTER_RECORDS_MAX;
use tributary_model::{Outcome, Record, Target, TimestampMs, TokenId};
use tributary_ports::PortError;
use tributary_ports::ledger::{DeadLetterRow, Resolution};
use tributary_ports::stream::{Batch, SequenceNumber, ShardId, StreamRecord};
use tributary_worker::{Foreseen, foresee};

use super::{OpenedDeadLetter, delete_objects, read_dead_letter};
use crate::Replays;
use crate::trail::{self, Deed};

/// What became of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redriven {
    /// Its id.
    pub id: String,
    /// The stores that have its records now.
    pub resolved: Vec<Target>,
    /// Those for which it is a dead letter still.
    pub left: Vec<Target>,
    /// Why a store did not get a record: bad luck, without customer data.
    pub error: Option<String>,
}

/// Applies the records of a dead letter for the bearer of the token `by`. A store that has them all takes part in the dead
/// letter no more; when none is left, it is gone.
///
/// # Errors
/// Bad luck with the object store, the key store or the ledger. The same again is safe.
pub async fn redrive(
    replays: &Replays,
    now: TimestampMs,
    by: &TokenId,
    row: &DeadLetterRow,
) -> Result<Redriven, PortError> {
    let prefix = format!("{PREFIX}{}/", row.id);
    let mut records = Vec::new();
    for key in replays.objects.list(&prefix, None, DEAD_LETTER_RECORDS_MAX).await? {
        let opened = read_dead_letter(replays.objects.as_ref(), replays.keys.as_ref(), &key).await?;
        records.extend(opened.map(|OpenedDeadLetter { record, .. }| record));
    }
    drive(replays, now, by, row, records, "dead-letter.retry").await
}

/// Applies this record, which stands for all of the dead letter: see [`edited`](super::edited).
///
/// # Errors
/// As [`redrive`].
pub async fn redrive_edited(
    replays: &Replays,
    now: TimestampMs,
    by: &TokenId,
    row: &DeadLetterRow,
    record: Bytes,
) -> Result<Redriven, PortError> {
    drive(replays, now, by, row, vec![record], "dead-letter.edit").await
}

async fn drive(
    replays: &Replays,
    now: TimestampMs,
    by: &TokenId,
    row: &DeadLetterRow,
    records: Vec<Bytes>,
    action: &'static str,
) -> Result<Redriven, PortError> {
    let mut driven = Redriven { id: row.id.clone(), resolved: Vec::new(), left: Vec::new(), error: None };
    for target in row.targets.iter().copied() {
        let mut applied = !records.is_empty();
        for record in &records {
            let (outcome, error) = apply(replays, now, target, record).await;
            driven.error = driven.error.or(error);
            applied &= !matches!(outcome, Outcome::DeadLettered | Outcome::Redelivered);
        }
        if applied { driven.resolved.push(target) } else { driven.left.push(target) }
    }
    let detail = json!({"resolved": driven.resolved, "left": driven.left, "why": row.reason});
    trail::write(replays, now, Deed { by, action, project: row.project.as_ref(), subject: &row.id, detail }).await?;
    let (id, targets) = (row.id.clone(), driven.resolved.clone());
    if !targets.is_empty() {
        // What failed in one store was met again by its redrive, at this time.
        let resolution = Resolution { id, targets, seen_until: row.last_seen.max(now) };
        let removed = replays.ledger.resolve_dead_letters(vec![resolution]).await?;
        delete_objects(replays.objects.as_ref(), &removed).await?;
    }
    Ok(driven)
}

/// Applies one record to one store. What can't be read is not given to the worker: it would name the record by a place
/// in a stream, and this one has none any more.
async fn apply(replays: &Replays, now: TimestampMs, target: Target, data: &Bytes) -> (Outcome, Option<String>) {
    let (Ok(header), Foreseen::Write { .. }) = (Record::decode(data), foresee(data, now.day())) else {
        let expired = matches!(foresee(data, now.day()), Foreseen::Expired);
        return (if expired { Outcome::Expired } else { Outcome::DeadLettered }, None);
    };
    let record = StreamRecord {
        sequence_number: SequenceNumber("0".into()),
        partition_key: header.id.to_string().into(),
        arrived_at: header.received_at,
        data: data.clone(),
    };
    let batch = Batch { shard: ShardId("dead-letter".into()), records: vec![record] };
    let handled = replays.worker(&header.region, target).handle(now, &batch).await;
    (handled.outcomes.first().copied().unwrap_or(Outcome::Redelivered), handled.facts.error)
}
