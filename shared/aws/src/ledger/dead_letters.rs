//! The tables `dead_letter` and `dead_letter_record`.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use tributary_model::limits::{LEDGER_OBJECT_KEYS_MAX, LEDGER_ROWS_MAX};
use tributary_model::{ProjectId, Reason, Target, TimestampMs};
use tributary_ports::PortError;
use tributary_ports::ledger::{DeadLetterFilter, DeadLetterRow, RemovedDeadLetter, Resolution};

use super::call::{
    Database, Statement, Transaction, json_parameter, number, number_parameter, optional_number_parameter,
    optional_text_parameter, text, text_parameter,
};

/// Folds the rows of a page by id, and then into what is there. Of two that were met in the same millisecond one wins
/// whatever came first, so that the order of writes never matters.
const UPSERT: &str = "
    WITH input AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS input(
            id text COLLATE \"C\", project text COLLATE \"C\", reason text COLLATE \"C\", detail text COLLATE \"C\",
            targets smallint, first_seen bigint, last_seen bigint, object_key text COLLATE \"C\", record_bytes bigint)
    ), joined AS (
        SELECT id, bit_or(targets) AS targets, min(first_seen) AS first_seen FROM input GROUP BY id
    ), latest AS (
        SELECT DISTINCT ON (id) id, project, reason, detail, last_seen, object_key, record_bytes
        FROM input
        ORDER BY id, last_seen DESC, object_key DESC, reason DESC, detail DESC, record_bytes DESC,
            coalesce(project, '') DESC
    ), folded AS (
        INSERT INTO dead_letter AS stored
            (id, project, reason, detail, targets, first_seen, last_seen, object_key, record_bytes)
        SELECT id, project, reason, detail, targets, first_seen, last_seen, object_key, record_bytes
        FROM joined JOIN latest USING (id)
        ORDER BY id
        ON CONFLICT (id) DO UPDATE SET
            targets = stored.targets | excluded.targets,
            first_seen = least(stored.first_seen, excluded.first_seen),
            (project, reason, detail, last_seen, object_key, record_bytes) = (
                SELECT project, reason, detail, last_seen, object_key, record_bytes
                FROM (VALUES
                    (stored.project, stored.reason, stored.detail, stored.last_seen, stored.object_key,
                        stored.record_bytes),
                    (excluded.project, excluded.reason, excluded.detail, excluded.last_seen, excluded.object_key,
                        excluded.record_bytes)
                ) AS met (project, reason, detail, last_seen, object_key, record_bytes)
                ORDER BY last_seen DESC, object_key DESC, reason DESC, detail DESC, record_bytes DESC,
                    coalesce(project, '') DESC
                LIMIT 1)
    )
    INSERT INTO dead_letter_record (id, object_key)
    SELECT DISTINCT id, object_key FROM input ORDER BY id, object_key
    ON CONFLICT DO NOTHING";

/// A row and its count.
const SELECT: &str = "
    SELECT id, project, reason, detail, targets, first_seen, last_seen, object_key, record_bytes,
        (SELECT count(*) FROM dead_letter_record AS record WHERE record.id = dead_letter.id) AS count
    FROM dead_letter";

const FILTER: &str = "
    id > :after
    AND (CAST(:reasons AS jsonb) IS NULL OR reason IN (SELECT jsonb_array_elements_text(CAST(:reasons AS jsonb))))
    AND (CAST(:target AS smallint) IS NULL OR targets & CAST(:target AS smallint) <> 0)
    AND last_seen >= :seen_from AND last_seen < :seen_to";

/// What a resolution names and can end, the rows locked in the order of their ids.
const LOCK: &str = "
    SELECT stored.id, stored.targets & ~input.targets AS targets
    FROM jsonb_to_recordset(CAST(:resolutions AS jsonb)) AS input(id text, targets smallint, seen_until bigint)
        JOIN dead_letter AS stored ON stored.id = input.id AND stored.last_seen <= input.seen_until
    ORDER BY stored.id";

const KEEP: &str = "
    UPDATE dead_letter AS stored SET targets = input.targets
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS input(id text, targets smallint)
    WHERE stored.id = input.id";

const REMOVE_RECORDS: &str = "
    DELETE FROM dead_letter_record WHERE (id, object_key) IN (
        SELECT id, object_key FROM dead_letter_record
        WHERE id IN (SELECT jsonb_array_elements_text(CAST(:ids AS jsonb)))
        LIMIT :limit)
    RETURNING id, object_key";

const REMOVE: &str = "DELETE FROM dead_letter WHERE id IN (SELECT jsonb_array_elements_text(CAST(:ids AS jsonb)))";

const EXPIRED: &str = "SELECT id FROM dead_letter WHERE last_seen < :before ORDER BY last_seen, id LIMIT :limit";

/// A row as it is sent and read.
#[derive(Debug, Serialize, Deserialize)]
struct Columns {
    id: String,
    project: Option<ProjectId>,
    reason: Reason,
    detail: String,
    targets: u8,
    first_seen: i64,
    last_seen: i64,
    object_key: String,
    record_bytes: u32,
    count: u32,
}

impl From<DeadLetterRow> for Columns {
    fn from(row: DeadLetterRow) -> Self {
        Self {
            id: row.id,
            project: row.project,
            reason: row.reason,
            detail: row.detail,
            targets: bits_of(&row.targets),
            first_seen: row.first_seen.0,
            last_seen: row.last_seen.0,
            object_key: row.object_key,
            record_bytes: row.record_bytes,
            count: row.count,
        }
    }
}

impl From<Columns> for DeadLetterRow {
    fn from(columns: Columns) -> Self {
        Self {
            id: columns.id,
            project: columns.project,
            reason: columns.reason,
            detail: columns.detail,
            targets: targets_of(columns.targets),
            first_seen: TimestampMs(columns.first_seen),
            last_seen: TimestampMs(columns.last_seen),
            object_key: columns.object_key,
            record_bytes: columns.record_bytes,
            count: columns.count,
        }
    }
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

/// Folds each into the row of its id.
pub(super) async fn upsert(database: &Database, rows: Vec<DeadLetterRow>) -> Result<(), PortError> {
    let rows: Vec<Columns> = rows.into_iter().map(Columns::from).collect();
    database.write("ledger.upsert_dead_letters", UPSERT, &rows).await
}

/// Those of the filter, by id, behind `after`.
pub(super) async fn list(
    database: &Database,
    filter: &DeadLetterFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<DeadLetterRow>, PortError> {
    // A parameter that a statement does not name is an error.
    let owner = if filter.project.is_some() { "project = :project" } else { "project IS NULL" };
    let query = format!("{SELECT} WHERE {owner} AND {FILTER} ORDER BY id LIMIT :limit");
    let parameters = |last: Option<&Columns>, limit| {
        let reasons = filter.reasons.as_ref().map(|reasons| serde_json::json!(reasons).to_string());
        // No id is empty, so the empty text is before all of them.
        let after = last.map_or(after.unwrap_or_default(), |last| &last.id);
        let project = filter.project.as_ref().map(|project| text_parameter("project", project.as_str()));
        let others = [
            text_parameter("after", after),
            optional_text_parameter("reasons", reasons.as_deref()),
            optional_number_parameter("target", filter.target.map(|target| i64::from(bit_of(target)))),
            number_parameter("seen_from", filter.from.map_or(i64::MIN, |from| from.0)),
            number_parameter("seen_to", filter.to.map_or(i64::MAX, |to| to.0)),
            number_parameter("limit", limit),
        ];
        project.into_iter().chain(others).collect()
    };
    let rows = database.list("ledger.dead_letters", &query, limit, parameters).await?;
    Ok(rows.into_iter().map(DeadLetterRow::from).collect())
}

/// The one of this id.
pub(super) async fn find(database: &Database, id: &str) -> Result<Option<DeadLetterRow>, PortError> {
    let parameters = vec![text_parameter("id", id)];
    let page = database.page::<Columns>("ledger.dead_letter", &format!("{SELECT} WHERE id = :id"), parameters).await?;
    Ok(page.rows.into_iter().next().map(DeadLetterRow::from))
}

/// The targets that a row is left with.
#[derive(Serialize)]
struct Left {
    id: String,
    targets: i64,
}

/// A resolution as it is sent.
#[derive(Serialize)]
struct Ending {
    id: String,
    targets: u8,
    seen_until: i64,
}

/// Takes targets out of rows; answers the rows that had no other and are removed, by id.
pub(super) async fn resolve(
    database: &Database,
    operation: &'static str,
    resolutions: Vec<Resolution>,
) -> Result<Vec<RemovedDeadLetter>, PortError> {
    let endings: Vec<Ending> = resolutions
        .into_iter()
        .map(|Resolution { id, targets, seen_until }| Ending {
            id,
            targets: bits_of(&targets),
            seen_until: seen_until.0,
        })
        .collect();
    let mut removed = Vec::new();
    for page in database.pages(&endings) {
        // Mostly there is nothing to resolve, which one round trip tells.
        let parameters = vec![text_parameter("resolutions", &page)];
        if !database.execute(Statement { operation, sql: LOCK, parameters }).await?.is_empty() {
            removed.extend(resolve_page(database, operation, &page).await?);
        }
    }
    Ok(removed)
}

/// Both tables change together or not at all.
async fn resolve_page(
    database: &Database,
    operation: &'static str,
    page: &str,
) -> Result<Vec<RemovedDeadLetter>, PortError> {
    let transaction = database.begin(operation).await?;
    match resolve_in(&transaction, operation, page).await {
        Ok(removed) => transaction.commit().await.map(|()| removed),
        Err(error) => {
            transaction.roll_back().await;
            Err(error)
        }
    }
}

async fn resolve_in(
    transaction: &Transaction<'_>,
    operation: &'static str,
    page: &str,
) -> Result<Vec<RemovedDeadLetter>, PortError> {
    let lock = format!("{LOCK} FOR UPDATE OF stored");
    let locked = transaction.execute(&lock, vec![text_parameter("resolutions", page)]).await?;
    let mut removed = BTreeMap::new();
    let mut left = Vec::new();
    for record in &locked {
        let id = text(operation, record, 0)?.to_owned();
        match number(operation, record, 1)? {
            0 => drop(removed.insert(id, Vec::new())),
            targets => left.push(Left { id, targets }),
        }
    }
    if !left.is_empty() {
        transaction.execute(KEEP, vec![json_parameter("rows", &left)]).await?;
    }
    if removed.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&String> = removed.keys().collect();
    let ids = json_parameter("ids", &ids);
    loop {
        let limit = number_parameter("limit", LEDGER_OBJECT_KEYS_MAX);
        let records = transaction.execute(REMOVE_RECORDS, vec![ids.clone(), limit]).await?;
        for record in &records {
            if let Some(keys) = removed.get_mut(text(operation, record, 0)?) {
                keys.push(text(operation, record, 1)?.to_owned());
            }
        }
        if i64::try_from(records.len()).is_ok_and(|there| there < LEDGER_OBJECT_KEYS_MAX) {
            break;
        }
    }
    transaction.execute(REMOVE, vec![ids]).await?;
    Ok(removed.into_iter().map(removed_letter).collect())
}

fn removed_letter((id, mut object_keys): (String, Vec<String>)) -> RemovedDeadLetter {
    object_keys.sort();
    RemovedDeadLetter { id, object_keys }
}

/// Removes the oldest of those last met before `before`.
pub(super) async fn expire(
    database: &Database,
    before: TimestampMs,
    limit: usize,
) -> Result<Vec<RemovedDeadLetter>, PortError> {
    const OPERATION: &str = "ledger.expire_dead_letters";
    let limit = i64::try_from(limit.min(LEDGER_ROWS_MAX)).unwrap_or(i64::MAX);
    let parameters = vec![number_parameter("before", before.0), number_parameter("limit", limit)];
    let records = database.execute(Statement { operation: OPERATION, sql: EXPIRED, parameters }).await?;
    let seen_until = before.plus_ms(-1);
    let expired = records.iter().map(|record| {
        let id = text(OPERATION, record, 0)?.to_owned();
        Ok(Resolution { id, targets: Target::ALL.to_vec(), seen_until })
    });
    let expired = expired.collect::<Result<Vec<Resolution>, PortError>>()?;
    let places: HashMap<String, usize> =
        expired.iter().enumerate().map(|(place, expired)| (expired.id.clone(), place)).collect();
    let mut removed = resolve(database, OPERATION, expired).await?;
    removed.sort_by_key(|letter| places.get(&letter.id).copied());
    Ok(removed)
}
