//! The table `dead_letter`.

use rusqlite::{OptionalExtension, Row, Transaction, named_params};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use tributary_model::{ProjectId, Reason, Target, TimestampMs};
use tributary_ports::ledger::DeadLetterRow;

use super::read::{damaged, read, row_limit};

const INSERT_OR_JOIN: &str = "
    INSERT INTO dead_letter
    VALUES (:id, :project, :reason, :detail, :targets, :first_seen, :last_seen, :object_key, :record_bytes)
    ON CONFLICT (id) DO UPDATE SET
        targets = targets | excluded.targets, first_seen = min(first_seen, excluded.first_seen)";

/// The rest of the row is the latest one's. Of two that were met in the same millisecond one wins whatever came first, so
/// that the order of writes never matters.
const TAKE_THE_LATEST: &str = "
    UPDATE dead_letter SET project = :project, reason = :reason, detail = :detail, last_seen = :last_seen,
        object_key = :object_key, record_bytes = :record_bytes
    WHERE id = :id
        AND (:last_seen, :object_key, :reason, :detail, :record_bytes, coalesce(:project, ''))
            > (last_seen, object_key, reason, detail, record_bytes, coalesce(project, ''))";

/// No id is empty, so the empty text is before all of them. `IS` compares as `=` does, and finds null too.
pub(super) const LIST: &str = "SELECT * FROM dead_letter WHERE project IS ?1 AND id > ?2 ORDER BY id LIMIT ?3";

/// Folds each into the row of its id.
pub(super) fn upsert(transaction: &Transaction<'_>, rows: &[DeadLetterRow]) -> rusqlite::Result<()> {
    rows.iter().try_for_each(|row| upsert_one(transaction, row))
}

fn upsert_one(transaction: &Transaction<'_>, row: &DeadLetterRow) -> rusqlite::Result<()> {
    transaction.prepare_cached(INSERT_OR_JOIN)?.execute(named_params! {
        ":id": row.id,
        ":project": row.project.as_ref().map(|project| project.as_str()),
        ":reason": row.reason.as_str(),
        ":detail": row.detail,
        ":targets": bits_of(&row.targets),
        ":first_seen": row.first_seen.0,
        ":last_seen": row.last_seen.0,
        ":object_key": row.object_key,
        ":record_bytes": row.record_bytes,
    })?;
    transaction.prepare_cached(TAKE_THE_LATEST)?.execute(named_params! {
        ":id": row.id,
        ":project": row.project.as_ref().map(|project| project.as_str()),
        ":reason": row.reason.as_str(),
        ":detail": row.detail,
        ":last_seen": row.last_seen.0,
        ":object_key": row.object_key,
        ":record_bytes": row.record_bytes,
    })?;
    Ok(())
}

/// Those of a project, or of none, by id, behind `after`.
pub(super) fn list(
    transaction: &Transaction<'_>,
    project: Option<&ProjectId>,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<DeadLetterRow>> {
    let parameters = (project.map(ProjectId::as_str), after.unwrap_or_default(), row_limit(limit));
    transaction.prepare_cached(LIST)?.query_map(parameters, from_row)?.collect()
}

/// The one of this id.
pub(super) fn find(transaction: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<DeadLetterRow>> {
    transaction.prepare_cached("SELECT * FROM dead_letter WHERE id = ?1")?.query_row([id], from_row).optional()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<DeadLetterRow> {
    let project = match row.get_ref("project")? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(read(row, "project")?),
    };
    Ok(DeadLetterRow {
        id: row.get("id")?,
        project,
        reason: reason(row)?,
        detail: row.get("detail")?,
        targets: targets_of(row.get("targets")?),
        first_seen: TimestampMs(row.get("first_seen")?),
        last_seen: TimestampMs(row.get("last_seen")?),
        object_key: row.get("object_key")?,
        record_bytes: row.get("record_bytes")?,
    })
}

fn reason(row: &Row<'_>) -> rusqlite::Result<Reason> {
    let name: StrDeserializer<'_, Error> = row.get_ref("reason")?.as_str()?.into_deserializer();
    Reason::deserialize(name).map_err(|error| damaged(row, "reason", error))
}

const fn bit_of(target: Target) -> u8 {
    match target {
        Target::Search => 1,
        Target::Ledger => 2,
    }
}

fn bits_of(targets: &[Target]) -> u8 {
    targets.iter().fold(0, |bits, target| bits | bit_of(*target))
}

fn targets_of(bits: u8) -> Vec<Target> {
    Target::ALL.into_iter().filter(|target| bits & bit_of(*target) != 0).collect()
}
