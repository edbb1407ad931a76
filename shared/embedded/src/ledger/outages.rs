//! The table `outage`.

use rusqlite::{OptionalExtension, Row, Transaction, named_params};
use tributary_model::TimestampMs;
use tributary_ports::ledger::OutageRow;

use super::read::{number, read, read_name, row_limit, saturated};

/// Of two that were written in the same millisecond one wins whatever came first, so that the order of writes never
/// matters.
const UPSERT: &str = "
    INSERT INTO outage (id, target, region, cause, started_at, ended_at, failed_batches, failed_records, updated_at)
    VALUES (:id, :target, :region, :cause, :started_at, :ended_at, :failed_batches, :failed_records, :updated_at)
    ON CONFLICT (id) DO UPDATE SET
        target = excluded.target, region = excluded.region, cause = excluded.cause, started_at = excluded.started_at,
        ended_at = excluded.ended_at, failed_batches = excluded.failed_batches,
        failed_records = excluded.failed_records, updated_at = excluded.updated_at
    WHERE (excluded.updated_at, excluded.ended_at IS NOT NULL, coalesce(excluded.ended_at, 0),
            excluded.failed_batches, excluded.failed_records, excluded.started_at, excluded.cause, excluded.target,
            excluded.region)
        > (updated_at, ended_at IS NOT NULL, coalesce(ended_at, 0), failed_batches, failed_records, started_at, cause,
            target, region)";

/// The latest first.
pub(super) const LIST: &str =
    "SELECT * FROM outage WHERE (started_at, id) < (?1, ?2) ORDER BY started_at DESC, id DESC LIMIT ?3";

/// Writes each, unless a later one is there.
pub(super) fn upsert(transaction: &Transaction<'_>, rows: &[OutageRow]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(UPSERT)?;
    for row in rows {
        statement.execute(named_params! {
            ":id": row.id,
            ":target": row.target.as_str(),
            ":region": row.region.as_str(),
            ":cause": row.cause.as_str(),
            ":started_at": row.started_at.0,
            ":ended_at": row.ended_at.map(|ended_at| ended_at.0),
            ":failed_batches": saturated(row.failed_batches),
            ":failed_records": saturated(row.failed_records),
            ":updated_at": row.updated_at.0,
        })?;
    }
    Ok(())
}

/// The one of this id.
pub(super) fn find(transaction: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<OutageRow>> {
    transaction.prepare_cached("SELECT * FROM outage WHERE id = ?1")?.query_row([id], from_row).optional()
}

/// The latest first, behind `after`.
pub(super) fn list(
    transaction: &Transaction<'_>,
    after: Option<&OutageRow>,
    limit: usize,
) -> rusqlite::Result<Vec<OutageRow>> {
    // No outage begins at the end of time.
    let (started_at, id) = after.map_or((i64::MAX, ""), |row| (row.started_at.0, row.id.as_str()));
    transaction.prepare_cached(LIST)?.query_map((started_at, id, row_limit(limit)), from_row)?.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<OutageRow> {
    Ok(OutageRow {
        id: row.get("id")?,
        target: read_name(row, "target")?,
        region: read(row, "region")?,
        cause: read_name(row, "cause")?,
        started_at: TimestampMs(row.get("started_at")?),
        ended_at: row.get::<_, Option<i64>>("ended_at")?.map(TimestampMs),
        failed_batches: number(row, "failed_batches")?,
        failed_records: number(row, "failed_records")?,
        updated_at: TimestampMs(row.get("updated_at")?),
    })
}
