//! The tables `dead_letter` and `dead_letter_record`.

use rusqlite::{OptionalExtension, Row, Transaction, named_params};
use tributary_model::{ProjectId, Target, TimestampMs};
use tributary_ports::ledger::{DeadLetterFilter, DeadLetterRow, RemovedDeadLetter, Resolution};

use super::read::{read_name, read_optional, row_limit};

const INSERT_OR_JOIN: &str = "
    INSERT INTO dead_letter
        (id, project, reason, detail, targets, first_seen, last_seen, object_key, record_bytes)
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

const INSERT_RECORD: &str = "INSERT INTO dead_letter_record (id, object_key) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

/// A row and its count.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT *, (SELECT count(*) FROM dead_letter_record AS record WHERE record.id = dead_letter.id) AS count ",
            "FROM dead_letter ",
            $rest
        )
    };
}

const FIND: &str = select!("WHERE id = ?1");

/// No id is empty, so the empty text is before all of them. `IS` compares as `=` does, and finds null too.
pub(super) const LIST: &str = select!(
    "WHERE project IS :project AND id > :after
        AND (:reasons IS NULL OR reason IN (SELECT value FROM json_each(:reasons)))
        AND (:target IS NULL OR targets & :target <> 0)
        AND (:seen_from IS NULL OR last_seen >= :seen_from) AND (:seen_to IS NULL OR last_seen < :seen_to)
    ORDER BY id LIMIT :limit"
);

const RESOLVE: &str =
    "UPDATE dead_letter SET targets = targets & ~?2 WHERE id = ?1 AND last_seen <= ?3 RETURNING targets";

pub(super) const EXPIRED: &str = "SELECT id FROM dead_letter WHERE last_seen < ?1 ORDER BY last_seen, id LIMIT ?2";

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
    transaction.prepare_cached(INSERT_RECORD)?.execute([&row.id, &row.object_key])?;
    Ok(())
}

/// Those of the filter, by id, behind `after`.
pub(super) fn list(
    transaction: &Transaction<'_>,
    filter: &DeadLetterFilter,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<DeadLetterRow>> {
    let reasons = filter.reasons.as_ref().map(|reasons| {
        let names: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        serde_json::json!(names).to_string()
    });
    let parameters = named_params! {
        ":project": filter.project.as_ref().map(ProjectId::as_str),
        ":after": after.unwrap_or_default(),
        ":reasons": reasons,
        ":target": filter.target.map(bit_of),
        ":seen_from": filter.from.map(|from| from.0),
        ":seen_to": filter.to.map(|to| to.0),
        ":limit": row_limit(limit),
    };
    transaction.prepare_cached(LIST)?.query_map(parameters, from_row)?.collect()
}

/// The one of this id.
pub(super) fn find(transaction: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<DeadLetterRow>> {
    transaction.prepare_cached(FIND)?.query_row([id], from_row).optional()
}

/// Takes targets out of rows; answers the rows that had no other and are removed.
pub(super) fn resolve(
    transaction: &Transaction<'_>,
    resolutions: &[Resolution],
) -> rusqlite::Result<Vec<RemovedDeadLetter>> {
    let mut removed = Vec::new();
    for Resolution { id, targets, seen_until } in resolutions {
        let left: Option<u8> = transaction
            .prepare_cached(RESOLVE)?
            .query_row((id, bits_of(targets), seen_until.0), |row| row.get("targets"))
            .optional()?;
        if left == Some(0) {
            removed.push(remove(transaction, id.clone())?);
        }
    }
    Ok(removed)
}

/// Removes the oldest of those last met before `before`.
pub(super) fn expire(
    transaction: &Transaction<'_>,
    before: TimestampMs,
    limit: usize,
) -> rusqlite::Result<Vec<RemovedDeadLetter>> {
    let mut statement = transaction.prepare_cached(EXPIRED)?;
    let ids: rusqlite::Result<Vec<String>> =
        statement.query_map((before.0, row_limit(limit)), |row| row.get("id"))?.collect();
    ids?.into_iter().map(|id| remove(transaction, id)).collect()
}

fn remove(transaction: &Transaction<'_>, id: String) -> rusqlite::Result<RemovedDeadLetter> {
    transaction.prepare_cached("DELETE FROM dead_letter WHERE id = ?1")?.execute([&id])?;
    let sql = "DELETE FROM dead_letter_record WHERE id = ?1 RETURNING object_key";
    let mut statement = transaction.prepare_cached(sql)?;
    let keys: rusqlite::Result<Vec<String>> = statement.query_map([&id], |row| row.get("object_key"))?.collect();
    let mut object_keys = keys?;
    object_keys.sort();
    Ok(RemovedDeadLetter { id, object_keys })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<DeadLetterRow> {
    Ok(DeadLetterRow {
        id: row.get("id")?,
        project: read_optional(row, "project")?,
        reason: read_name(row, "reason")?,
        detail: row.get("detail")?,
        targets: targets_of(row.get("targets")?),
        first_seen: TimestampMs(row.get("first_seen")?),
        last_seen: TimestampMs(row.get("last_seen")?),
        object_key: row.get("object_key")?,
        record_bytes: row.get("record_bytes")?,
        count: row.get("count")?,
    })
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
