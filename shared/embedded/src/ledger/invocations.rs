//! The table `invocation`.

use rusqlite::{OptionalExtension, Row, Transaction, named_params};
use tributary_model::{Day, ProjectId, ReportId, TimestampMs, Version};
use tributary_ports::Upserted;
use tributary_ports::ledger::InvocationRow;

use super::error::refusal;
use super::read::{number, read, retention_class};

const UPSERT: &str = "
    INSERT INTO invocation
    VALUES (:day, :hash, :version, :project, :account, :region, :function, :timestamp, :received_at, :retention_days,
        :token, :duration_ms, :coldstart, :error_fingerprint, :report_bytes)
    ON CONFLICT (day, hash) DO UPDATE SET
        version = excluded.version, project = excluded.project, account = excluded.account, region = excluded.region,
        function = excluded.function, timestamp = excluded.timestamp, received_at = excluded.received_at,
        retention_days = excluded.retention_days, token = excluded.token, duration_ms = excluded.duration_ms,
        coldstart = excluded.coldstart, error_fingerprint = excluded.error_fingerprint,
        report_bytes = excluded.report_bytes
    WHERE excluded.version > version";

/// Writes the rows one after the other; a failure that is not a row's own fault ends all.
pub(super) fn upsert(transaction: &Transaction<'_>, rows: &[InvocationRow]) -> rusqlite::Result<Vec<Upserted>> {
    let upserted = rows.iter().map(|row| match upsert_one(transaction, row) {
        Err(error) => refusal(&error).map(Upserted::Refused).ok_or(error),
        upserted => upserted,
    });
    upserted.collect()
}

fn upsert_one(transaction: &Transaction<'_>, row: &InvocationRow) -> rusqlite::Result<Upserted> {
    if row.duration_ms.is_some_and(|duration| !duration.is_finite()) {
        return Ok(Upserted::Refused("duration_ms is not a finite number".to_owned()));
    }
    let Ok(version) = i64::try_from(row.version.as_u64()) else {
        return Ok(Upserted::Refused("version has more than 63 bits".to_owned()));
    };
    let changed = transaction.prepare_cached(UPSERT)?.execute(named_params! {
        ":day": row.id.day.0,
        ":hash": row.id.hash,
        ":version": version,
        ":project": row.project.as_str(),
        ":account": row.account.as_str(),
        ":region": row.region.as_str(),
        ":function": row.function,
        ":timestamp": row.timestamp.0,
        ":received_at": row.received_at.0,
        ":retention_days": row.retention.days(),
        ":token": row.token.as_str(),
        ":duration_ms": row.duration_ms,
        ":coldstart": row.coldstart,
        ":error_fingerprint": row.error_fingerprint,
        ":report_bytes": row.report_bytes,
    })?;
    if changed > 0 {
        return Ok(Upserted::Applied);
    }
    let there = version_of(transaction, row.id)?;
    Ok(if there == row.version { Upserted::AlreadyThere } else { Upserted::Superseded })
}

fn version_of(transaction: &Transaction<'_>, id: ReportId) -> rusqlite::Result<Version> {
    let mut statement = transaction.prepare_cached("SELECT version FROM invocation WHERE day = ?1 AND hash = ?2")?;
    statement.query_row((id.day.0, id.hash), |row| number(row, "version").map(Version::from_u64))
}

/// The rows of these ids, in their order.
pub(super) fn find(transaction: &Transaction<'_>, ids: &[ReportId]) -> rusqlite::Result<Vec<Option<InvocationRow>>> {
    let mut statement = transaction.prepare_cached("SELECT * FROM invocation WHERE day = ?1 AND hash = ?2")?;
    let mut find = |id: &ReportId| statement.query_row((id.day.0, id.hash), from_row).optional();
    ids.iter().map(&mut find).collect()
}

/// How many a project has with `from <= timestamp < to`.
pub(super) fn count(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    from: TimestampMs,
    to: TimestampMs,
) -> rusqlite::Result<u64> {
    let sql =
        "SELECT count(*) AS invocations FROM invocation WHERE project = ?1 AND timestamp >= ?2 AND timestamp < ?3";
    transaction.prepare_cached(sql)?.query_row((project.as_str(), from.0, to.0), |row| number(row, "invocations"))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<InvocationRow> {
    Ok(InvocationRow {
        id: ReportId { day: Day(row.get("day")?), hash: row.get("hash")? },
        version: Version::from_u64(number(row, "version")?),
        project: read(row, "project")?,
        account: read(row, "account")?,
        region: read(row, "region")?,
        function: row.get("function")?,
        timestamp: TimestampMs(row.get("timestamp")?),
        received_at: TimestampMs(row.get("received_at")?),
        retention: retention_class(row, "retention_days")?,
        token: read(row, "token")?,
        duration_ms: row.get("duration_ms")?,
        coldstart: row.get("coldstart")?,
        error_fingerprint: row.get("error_fingerprint")?,
        report_bytes: row.get("report_bytes")?,
    })
}
