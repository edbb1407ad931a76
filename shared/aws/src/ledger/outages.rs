//! The table `outage`.

use serde::{Deserialize, Serialize};
use tributary_model::{Region, Target, TimestampMs};
use tributary_ports::ledger::OutageRow;
use tributary_ports::{PortError, PortErrorKind};

use super::call::{Database, number_parameter, text_parameter};

/// Of two that were written in the same millisecond one wins whatever came first, so that the order of writes never
/// matters. A page has one row of each id: the one that wins.
const UPSERT: &str = "
    INSERT INTO outage AS stored
        (id, target, region, cause, started_at, ended_at, failed_batches, failed_records, updated_at)
    SELECT DISTINCT ON (id) id, target, region, cause, started_at, ended_at, failed_batches, failed_records, updated_at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS input(
        id text COLLATE \"C\", target text COLLATE \"C\", region text COLLATE \"C\", cause text COLLATE \"C\",
        started_at bigint, ended_at bigint, failed_batches bigint, failed_records bigint, updated_at bigint)
    ORDER BY id, updated_at DESC, ended_at DESC NULLS LAST, failed_batches DESC, failed_records DESC, started_at DESC,
        cause DESC, target DESC, region DESC
    ON CONFLICT (id) DO UPDATE SET
        target = excluded.target, region = excluded.region, cause = excluded.cause, started_at = excluded.started_at,
        ended_at = excluded.ended_at, failed_batches = excluded.failed_batches,
        failed_records = excluded.failed_records, updated_at = excluded.updated_at
    WHERE (excluded.updated_at, excluded.ended_at IS NOT NULL, coalesce(excluded.ended_at, 0),
            excluded.failed_batches, excluded.failed_records, excluded.started_at, excluded.cause, excluded.target,
            excluded.region)
        > (stored.updated_at, stored.ended_at IS NOT NULL, coalesce(stored.ended_at, 0), stored.failed_batches,
            stored.failed_records, stored.started_at, stored.cause, stored.target, stored.region)";

const SELECT: &str = "
    SELECT id, target, region, cause, started_at, ended_at, failed_batches, failed_records, updated_at FROM outage";

/// The latest first.
const LATEST_FIRST: &str = "WHERE (started_at, id) < (:started_at, :id) ORDER BY started_at DESC, id DESC LIMIT :limit";

/// A row as it is sent and read.
#[derive(Debug, Serialize, Deserialize)]
struct Columns {
    id: String,
    target: Target,
    region: Region,
    cause: PortErrorKind,
    started_at: i64,
    ended_at: Option<i64>,
    failed_batches: i64,
    failed_records: i64,
    updated_at: i64,
}

impl From<OutageRow> for Columns {
    fn from(row: OutageRow) -> Self {
        Self {
            id: row.id,
            target: row.target,
            region: row.region,
            cause: row.cause,
            started_at: row.started_at.0,
            ended_at: row.ended_at.map(|ended_at| ended_at.0),
            failed_batches: i64::try_from(row.failed_batches).unwrap_or(i64::MAX),
            failed_records: i64::try_from(row.failed_records).unwrap_or(i64::MAX),
            updated_at: row.updated_at.0,
        }
    }
}

impl From<Columns> for OutageRow {
    fn from(columns: Columns) -> Self {
        Self {
            id: columns.id,
            target: columns.target,
            region: columns.region,
            cause: columns.cause,
            started_at: TimestampMs(columns.started_at),
            ended_at: columns.ended_at.map(TimestampMs),
            failed_batches: u64::try_from(columns.failed_batches).unwrap_or_default(),
            failed_records: u64::try_from(columns.failed_records).unwrap_or_default(),
            updated_at: TimestampMs(columns.updated_at),
        }
    }
}

/// Writes each, unless a later one is there.
pub(super) async fn upsert(database: &Database, rows: Vec<OutageRow>) -> Result<(), PortError> {
    let rows: Vec<Columns> = rows.into_iter().map(Columns::from).collect();
    database.write("ledger.upsert_outages", UPSERT, &rows).await
}

/// The one of this id.
pub(super) async fn find(database: &Database, id: &str) -> Result<Option<OutageRow>, PortError> {
    let query = format!("{SELECT} WHERE id = :id");
    let page = database.page::<Columns>("ledger.outage", &query, vec![text_parameter("id", id)]).await?;
    Ok(page.rows.into_iter().next().map(OutageRow::from))
}

/// The latest first, behind `after`.
pub(super) async fn list(
    database: &Database,
    after: Option<&OutageRow>,
    limit: usize,
) -> Result<Vec<OutageRow>, PortError> {
    // No outage begins at the end of time.
    let after = after.map_or((i64::MAX, ""), |row| (row.started_at.0, row.id.as_str()));
    let parameters = |last: Option<&Columns>, limit| {
        let (started_at, id) = last.map_or(after, |row| (row.started_at, row.id.as_str()));
        vec![number_parameter("started_at", started_at), text_parameter("id", id), number_parameter("limit", limit)]
    };
    let rows = database.list("ledger.outages", &format!("{SELECT} {LATEST_FIRST}"), limit, parameters).await?;
    Ok(rows.into_iter().map(OutageRow::from).collect())
}
