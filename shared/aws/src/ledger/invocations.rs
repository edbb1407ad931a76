//! The table `invocation`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_rdsdata::types::Field;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tributary_model::limits::{LEDGER_ATTEMPTS_MAX, LEDGER_DAYS_KNOWN_MAX, LEDGER_IDS_MAX, LEDGER_TEXTS_BYTES_MAX};
use tributary_model::{AccountId, Day, ProjectId, Region, ReportId, RetentionClass, TimestampMs, TokenId, Version};
use tributary_ports::ledger::InvocationRow;
use tributary_ports::{PortError, PortErrorKind, Upserted};

use super::call::{
    Database, Page, Record, Statement, json_parameter, number, number_parameter, text_parameter, unreadable,
};

const UPSERT_OPERATION: &str = "ledger.upsert_invocations";

/// Writes one version of each id, and answers where something was there before: the position and the version, or null if
/// another writer came between.
///
/// What is there is locked first, in the order of the ids, so that of two writers one waits for the other and none for
/// ever.
const UPSERT: &str = "
    WITH input AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS input(
            place int, day date, hash text, version bigint, project text, account text, region text, function text,
            timestamp bigint, received_at bigint, retention_days smallint, token text, duration_ms double precision,
            coldstart boolean, error_fingerprint text, report_bytes bigint)
    ), there AS (
        SELECT input.place, stored.version
        FROM input JOIN invocation AS stored ON stored.day = input.day AND stored.hash = decode(input.hash, 'hex')
        ORDER BY input.place
        FOR UPDATE OF stored
    ), written AS (
        INSERT INTO invocation AS stored (day, hash, version, project, account, region, function, timestamp,
            received_at, retention_days, token, duration_ms, coldstart, error_fingerprint, report_bytes)
        SELECT day, decode(hash, 'hex'), input.version, project, account, region, function, timestamp,
            received_at, retention_days, token, duration_ms, coldstart, error_fingerprint, report_bytes
        FROM input LEFT JOIN there USING (place)
        WHERE there.version IS NULL OR there.version < input.version
        ORDER BY place
        ON CONFLICT (day, hash) DO UPDATE SET
            version = excluded.version, project = excluded.project, account = excluded.account,
            region = excluded.region, function = excluded.function, timestamp = excluded.timestamp,
            received_at = excluded.received_at, retention_days = excluded.retention_days, token = excluded.token,
            duration_ms = excluded.duration_ms, coldstart = excluded.coldstart,
            error_fingerprint = excluded.error_fingerprint, report_bytes = excluded.report_bytes
        WHERE excluded.version > stored.version
        RETURNING stored.day, stored.hash
    )
    SELECT input.place, there.version
    FROM input LEFT JOIN there USING (place)
        LEFT JOIN written ON written.day = input.day AND written.hash = decode(input.hash, 'hex')
    WHERE there.version IS NOT NULL OR written.hash IS NULL";

const CREATE_DAYS: &str = "
    SELECT count(create_invocation_day(CAST(day AS date)))
    FROM jsonb_array_elements_text(CAST(:days AS jsonb)) AS days(day)";

const FIND: &str = "
    SELECT asked.place, to_char(stored.day, 'YYYYMMDD') AS day, encode(stored.hash, 'hex') AS hash, version, project,
        account, region, function, timestamp, received_at, retention_days, token, duration_ms, coldstart,
        error_fingerprint, report_bytes
    FROM jsonb_to_recordset(CAST(:ids AS jsonb)) AS asked(place int, day date, hash text)
        JOIN invocation AS stored ON stored.day = asked.day AND stored.hash = decode(asked.hash, 'hex')
    ORDER BY asked.place";

/// A timestamp lies in its row's day, so that other days' partitions are not looked at.
const COUNT: &str = "
    SELECT count(*) FROM invocation
    WHERE project = :project AND timestamp >= :from AND timestamp < :to
        AND day BETWEEN CAST(:first_day AS date) AND CAST(:last_day AS date)";

/// An id that is asked for.
#[derive(Serialize)]
struct Asked {
    place: usize,
    day: String,
    hash: String,
}

impl Asked {
    fn of(place: usize, id: ReportId) -> Self {
        Self { place, day: id.day.to_string(), hash: HEXLOWER.encode(&id.hash) }
    }
}

/// A row as it is sent and read.
#[derive(Debug, Serialize, Deserialize)]
struct Columns {
    place: usize,
    day: String,
    hash: String,
    version: u64,
    project: ProjectId,
    account: AccountId,
    region: Region,
    function: String,
    timestamp: i64,
    received_at: i64,
    retention_days: u16,
    token: TokenId,
    duration_ms: Option<f64>,
    coldstart: bool,
    error_fingerprint: Option<String>,
    report_bytes: u32,
}

impl Columns {
    fn of(place: usize, row: &InvocationRow) -> Self {
        let row = row.clone();
        Self {
            place,
            day: row.id.day.to_string(),
            hash: HEXLOWER.encode(&row.id.hash),
            version: row.version.as_u64(),
            project: row.project,
            account: row.account,
            region: row.region,
            function: row.function,
            timestamp: row.timestamp.0,
            received_at: row.received_at.0,
            retention_days: row.retention.days(),
            token: row.token,
            duration_ms: row.duration_ms,
            coldstart: row.coldstart,
            error_fingerprint: row.error_fingerprint,
            report_bytes: row.report_bytes,
        }
    }

    /// The row; a value that no version of ours wrote is an error.
    fn row(self, id: ReportId) -> Result<InvocationRow, PortError> {
        let retention = RetentionClass::from_days(self.retention_days);
        Ok(InvocationRow {
            id,
            version: Version::from_u64(self.version),
            project: self.project,
            account: self.account,
            region: self.region,
            function: self.function,
            timestamp: TimestampMs(self.timestamp),
            received_at: TimestampMs(self.received_at),
            retention: retention.map_err(|error| unreadable("ledger.invocations", error))?,
            token: self.token,
            duration_ms: self.duration_ms,
            coldstart: self.coldstart,
            error_fingerprint: self.error_fingerprint,
            report_bytes: self.report_bytes,
        })
    }
}

/// The days whose partitions are there, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Days(Mutex<BTreeSet<Day>>);

impl Days {
    /// Makes the partitions that may be missing: one call for the first batch of a day, and none after it.
    async fn make(&self, database: &Database, rows: &[Write]) -> Result<(), PortError> {
        let days: BTreeSet<Day> = rows.iter().map(|row| row.day).collect();
        let unknown: Vec<String> = days.difference(&self.known()).map(Day::to_string).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let parameters = vec![json_parameter("days", &unknown)];
        database.execute(Statement { operation: UPSERT_OPERATION, sql: CREATE_DAYS, parameters }).await?;
        let mut known = self.known();
        if known.len() + days.len() > LEDGER_DAYS_KNOWN_MAX {
            known.clear();
        }
        known.extend(days);
        Ok(())
    }

    /// Asks again for each day: one that was known may have been removed.
    fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<Day>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is written of one id: the first row of its greatest version.
struct Write {
    day: Day,
    row: InvocationRow,
    /// All versions of the id in the batch, by position.
    versions: Vec<(usize, Version)>,
}

impl Write {
    fn of(position: usize, row: InvocationRow) -> Self {
        Self { day: row.id.day, versions: vec![(position, row.version)], row }
    }

    fn add(&mut self, position: usize, row: InvocationRow) {
        self.versions.push((position, row.version));
        if row.version > self.row.version {
            self.row = row;
        }
    }

    /// How each version fares where `there` was before.
    fn answers(&self, mut there: Option<Version>) -> impl Iterator<Item = (usize, Upserted)> {
        self.versions.iter().map(move |(position, version)| {
            let answer = match there {
                Some(there) if there == *version => Upserted::AlreadyThere,
                Some(there) if there > *version => Upserted::Superseded,
                _ => Upserted::Applied,
            };
            there = there.max(Some(*version));
            (*position, answer)
        })
    }
}

/// Writes rows by version; answers for each as if they were written one after the other.
pub(super) async fn upsert(
    database: &Database,
    days: &Days,
    rows: Vec<InvocationRow>,
) -> Result<Vec<Upserted>, PortError> {
    let mut answers = Vec::with_capacity(rows.len());
    let mut writes: BTreeMap<ReportId, Write> = BTreeMap::new();
    for (position, row) in rows.into_iter().enumerate() {
        let refusal = refusal(&row);
        if refusal.is_none() {
            match writes.entry(row.id) {
                Entry::Occupied(mut write) => write.get_mut().add(position, row),
                Entry::Vacant(place) => drop(place.insert(Write::of(position, row))),
            }
        }
        // What is not refused has its answer below.
        answers.push(refusal.map_or(Upserted::Applied, Upserted::Refused));
    }
    let writes: Vec<Write> = writes.into_values().collect();
    days.make(database, &writes).await?;
    let before = write(database, &writes).await.inspect_err(|_| days.forget())?;
    for (position, answer) in writes.iter().zip(before).flat_map(|(write, there)| write.answers(there)) {
        if let Some(place) = answers.get_mut(position) {
            *place = answer;
        }
    }
    Ok(answers)
}

/// Why PostgreSQL can't hold this row.
fn refusal(row: &InvocationRow) -> Option<String> {
    let texts = || [Some(&row.function), row.error_fingerprint.as_ref()].into_iter().flatten();
    if texts().any(|text| text.contains('\0')) {
        return Some("a text has a NUL in it".to_owned());
    }
    if row.duration_ms.is_some_and(|duration| !duration.is_finite()) {
        return Some("duration_ms is not a finite number".to_owned());
    }
    if i64::try_from(row.version.as_u64()).is_err() {
        return Some("version has more than 63 bits".to_owned());
    }
    if Day::new(row.id.day.0).is_err() {
        return Some("the id's day is none of the calendar".to_owned());
    }
    let bytes: usize = texts().map(String::len).sum();
    let too_large = || format!("its texts have {bytes} bytes; the ledger takes {LEDGER_TEXTS_BYTES_MAX}");
    (bytes > LEDGER_TEXTS_BYTES_MAX).then(too_large)
}

/// Writes rows of different ids; answers the version that was there before each.
async fn write(database: &Database, writes: &[Write]) -> Result<Vec<Option<Version>>, PortError> {
    let mut before = vec![None; writes.len()];
    let mut waiting: Vec<Columns> =
        writes.iter().enumerate().map(|(place, write)| Columns::of(place, &write.row)).collect();
    for _ in 0..LEDGER_ATTEMPTS_MAX {
        let mut again = BTreeSet::new();
        for page in database.pages(&waiting) {
            let parameters = vec![text_parameter("rows", &page)];
            let statement = Statement { operation: UPSERT_OPERATION, sql: UPSERT, parameters };
            for record in database.execute(statement).await? {
                let (place, there) = answered(&record)?;
                *before.get_mut(place).ok_or_else(|| unreadable(UPSERT_OPERATION, "a row that was not sent"))? = there;
                if there.is_none() {
                    again.insert(place);
                }
            }
        }
        waiting.retain(|row| again.contains(&row.place));
        if waiting.is_empty() {
            return Ok(before);
        }
    }
    let detail = "other writers came between at each attempt";
    Err(PortError::new(PortErrorKind::Conflict, UPSERT_OPERATION, detail))
}

fn answered(record: &Record) -> Result<(usize, Option<Version>), PortError> {
    let unsigned = |number: i64| u64::try_from(number).map_err(|error| unreadable(UPSERT_OPERATION, error));
    let place = unsigned(number(UPSERT_OPERATION, record, 0)?)?;
    let place = usize::try_from(place).map_err(|error| unreadable(UPSERT_OPERATION, error))?;
    if matches!(record.get(1), Some(Field::IsNull(_))) {
        return Ok((place, None));
    }
    let version = unsigned(number(UPSERT_OPERATION, record, 1)?)?;
    Ok((place, Some(Version::from_u64(version))))
}

/// The rows of these ids, in their order.
pub(super) async fn find(database: &Database, ids: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError> {
    const OPERATION: &str = "ledger.invocations";
    let mut found = vec![None; ids.len()];
    let asked: Vec<Asked> = ids.iter().enumerate().map(|(place, id)| Asked::of(place, *id)).collect();
    for chunk in asked.chunks(LEDGER_IDS_MAX) {
        let mut rest = chunk;
        loop {
            let parameters = vec![json_parameter("ids", &rest)];
            let page: Page<Columns> = database.page(OPERATION, FIND, parameters).await?;
            let Some(last) = page.rows.last().map(|row| row.place) else { break };
            for row in page.rows {
                if let (Some(place), Some(id)) = (found.get_mut(row.place), ids.get(row.place)) {
                    *place = Some(row.row(*id)?);
                }
            }
            rest = rest.get(rest.partition_point(|asked| asked.place <= last)..).unwrap_or_default();
            if !page.more {
                break;
            }
        }
    }
    Ok(found)
}

/// How many a project has with `from <= timestamp < to`.
pub(super) async fn count(
    database: &Database,
    project: &ProjectId,
    from: TimestampMs,
    to: TimestampMs,
) -> Result<u64, PortError> {
    const OPERATION: &str = "ledger.count_invocations";
    let parameters = vec![
        text_parameter("project", project.as_str()),
        number_parameter("from", from.0),
        number_parameter("to", to.0),
        text_parameter("first_day", &from.day().to_string()),
        text_parameter("last_day", &to.day().to_string()),
    ];
    let records = database.execute(Statement { operation: OPERATION, sql: COUNT, parameters }).await?;
    let record = records.first().ok_or_else(|| unreadable(OPERATION, "no row"))?;
    u64::try_from(number(OPERATION, record, 0)?).map_err(|error| unreadable(OPERATION, error))
}
