//! What a lost ledger held besides invocations, out of the object store.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use tributary_model::dead_letter::PREFIX;
use tributary_model::limits::{PAGE_ITEMS, PAGE_ITEMS_MAX};
use tributary_model::outages::WRITTEN;
use tributary_ports::ledger::{AuditEvent, DeadLetterRow, OutageRow};
use tributary_ports::{Keys, Ledger, Objects, PortError, PortErrorKind};

use crate::dead_letter::{OpenedDeadLetter, read_dead_letter};
use crate::trail::AUDIT;

/// Writes the row of every dead letter whose object is there, and answers how many there are. A row that is there is
/// folded with it.
///
/// # Errors
/// If a store fails, or an object is no dead letter.
pub async fn restore_dead_letters(
    objects: &dyn Objects,
    keys: &dyn Keys,
    ledger: &dyn Ledger,
) -> Result<usize, PortError> {
    let mut restored = 0;
    let mut after: Option<String> = None;
    loop {
        let found = objects.list(PREFIX, after.as_deref(), PAGE_ITEMS_MAX).await?;
        // One row an id and call: a report's several records are folded by the ledger, call after call.
        let mut rows: BTreeMap<String, DeadLetterRow> = BTreeMap::new();
        for key in &found {
            let Some(row) = row(objects, keys, key).await? else { continue };
            restored += 1;
            if let Some(other) = rows.insert(row.id.clone(), row) {
                ledger.upsert_dead_letters(vec![other]).await?;
            }
        }
        if !rows.is_empty() {
            ledger.upsert_dead_letters(rows.into_values().collect()).await?;
        }
        match found.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(restored),
        }
    }
}

async fn row(objects: &dyn Objects, keys: &dyn Keys, key: &str) -> Result<Option<DeadLetterRow>, PortError> {
    let Some(OpenedDeadLetter { letter, record }) = read_dead_letter(objects, keys, key).await? else {
        return Ok(None);
    };
    Ok(Some(DeadLetterRow {
        id: letter.id,
        project: letter.project,
        reason: letter.reason,
        detail: letter.detail,
        targets: vec![letter.target],
        first_seen: letter.seen_at,
        last_seen: letter.seen_at,
        object_key: key.to_owned(),
        record_bytes: u32::try_from(record.len()).unwrap_or(u32::MAX),
        count: 1,
    }))
}

/// Writes the rows of the audit trail, and answers how many there are. A row that is there is left as it is.
///
/// # Errors
/// If a store fails, or an object is no event.
pub async fn restore_audit_events(objects: &dyn Objects, ledger: &dyn Ledger) -> Result<usize, PortError> {
    let write = async |events: Vec<AuditEvent>| ledger.append_audit_events(events).await;
    restore_rows(objects, AUDIT, "audit.restore", write).await
}

/// Writes the rows of outages that the ledger had, and answers how many there are; what it never had, the custodian writes. A
/// row that is there and was known later is left as it is.
///
/// # Errors
/// If a store fails, or an object is no row.
pub async fn restore_outages(objects: &dyn Objects, ledger: &dyn Ledger) -> Result<usize, PortError> {
    let write = async |rows: Vec<OutageRow>| ledger.upsert_outages(rows).await;
    restore_rows(objects, WRITTEN, "outages.restore", write).await
}

/// Writes what the objects whose keys begin with `prefix` hold, page by page, and answers how many there are.
async fn restore_rows<R: DeserializeOwned>(
    objects: &dyn Objects,
    prefix: &str,
    operation: &'static str,
    write: impl AsyncFn(Vec<R>) -> Result<(), PortError>,
) -> Result<usize, PortError> {
    let mut restored = 0;
    let mut after: Option<String> = None;
    loop {
        let found = objects.list(prefix, after.as_deref(), PAGE_ITEMS).await?;
        let mut rows: Vec<R> = Vec::with_capacity(found.len());
        for key in &found {
            let Some(object) = objects.get(key).await? else { continue };
            let failed = |error| PortError::new(PortErrorKind::Invalid, operation, format!("{key}: {error}"));
            rows.push(serde_json::from_slice(&object.bytes).map_err(failed)?);
        }
        restored += rows.len();
        if !rows.is_empty() {
            write(rows).await?;
        }
        match found.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(restored),
        }
    }
}
