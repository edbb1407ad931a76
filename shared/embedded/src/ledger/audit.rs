//! The table `audit_event`.

use rusqlite::{Row, Transaction, named_params};
use tributary_model::{ProjectId, TimestampMs};
use tributary_ports::ledger::AuditEvent;

use super::read::{damaged, read_optional, row_limit};

const INSERT: &str = "
    INSERT INTO audit_event (id, project, at, actor, action, subject, detail)
    VALUES (:id, :project, :at, :actor, :action, :subject, :detail)
    ON CONFLICT (id) DO NOTHING";

/// The latest first. `IS` compares as `=` does, and finds null too.
pub(super) const LIST: &str = "
    SELECT * FROM audit_event WHERE project IS ?1 AND (at, id) < (?2, ?3)
    ORDER BY at DESC, id DESC LIMIT ?4";

/// Writes each, unless it is there already; its detail stands beside it as JSON.
pub(super) fn append(transaction: &Transaction<'_>, events: &[(AuditEvent, String)]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(INSERT)?;
    for (event, detail) in events {
        statement.execute(named_params! {
            ":id": event.id,
            ":project": event.project.as_ref().map(ProjectId::as_str),
            ":at": event.at.0,
            ":actor": event.actor,
            ":action": event.action,
            ":subject": event.subject,
            ":detail": detail,
        })?;
    }
    Ok(())
}

/// Those of a project, or of none, the latest first, behind `after`.
pub(super) fn list(
    transaction: &Transaction<'_>,
    project: Option<&ProjectId>,
    after: Option<&AuditEvent>,
    limit: usize,
) -> rusqlite::Result<Vec<AuditEvent>> {
    // Nothing is done at the end of time.
    let (at, id) = after.map_or((i64::MAX, ""), |event| (event.at.0, event.id.as_str()));
    let parameters = (project.map(ProjectId::as_str), at, id, row_limit(limit));
    transaction.prepare_cached(LIST)?.query_map(parameters, from_row)?.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AuditEvent> {
    let detail = row.get_ref("detail")?.as_str()?;
    Ok(AuditEvent {
        id: row.get("id")?,
        project: read_optional(row, "project")?,
        at: TimestampMs(row.get("at")?),
        actor: row.get("actor")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        detail: serde_json::from_str(detail).map_err(|error| damaged(row, "detail", error))?,
    })
}
