//! The table `audit_event`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tributary_model::{ProjectId, TimestampMs};
use tributary_ports::PortError;
use tributary_ports::ledger::AuditEvent;

use super::call::{Database, number_parameter, text_parameter};

/// The detail is a text within the JSON, so that it is kept as it was written.
const APPEND: &str = "
    INSERT INTO audit_event (id, project, at, actor, action, subject, detail)
    SELECT id, project, at, actor, action, subject, CAST(detail AS json)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS input(
        place int, id text, project text, at bigint, actor text, action text, subject text, detail text)
    ORDER BY place
    ON CONFLICT (id) DO NOTHING";

const SELECT: &str = "SELECT id, project, at, actor, action, subject, detail FROM audit_event";

/// The latest first.
const LATEST_FIRST: &str = "AND (at, id) < (:at, :id) ORDER BY at DESC, id DESC LIMIT :limit";

/// An event as it is sent.
#[derive(Serialize)]
struct Sent {
    place: usize,
    id: String,
    project: Option<ProjectId>,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

/// An event as it is read.
#[derive(Deserialize)]
struct Stored {
    id: String,
    project: Option<ProjectId>,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    detail: Map<String, Value>,
}

/// Writes each, unless it is there already.
pub(super) async fn append(database: &Database, events: Vec<AuditEvent>) -> Result<(), PortError> {
    let sent = |(place, event): (usize, AuditEvent)| {
        let detail = event.detail_json()?;
        let AuditEvent { id, project, at, actor, action, subject, .. } = event;
        Ok(Sent { place, id, project, at: at.0, actor, action, subject, detail })
    };
    let events = events.into_iter().enumerate().map(sent).collect::<Result<Vec<Sent>, PortError>>()?;
    database.write("ledger.append_audit_events", APPEND, &events).await
}

/// Those of a project, or of none, the latest first, behind `after`.
pub(super) async fn list(
    database: &Database,
    project: Option<&ProjectId>,
    after: Option<&AuditEvent>,
    limit: usize,
) -> Result<Vec<AuditEvent>, PortError> {
    // A parameter that a statement does not name is an error.
    let owner = if project.is_some() { "project = :project" } else { "project IS NULL" };
    // Nothing is done at the end of time.
    let after = after.map_or((i64::MAX, ""), |event| (event.at.0, event.id.as_str()));
    let parameters = |last: Option<&Stored>, limit| {
        let (at, id) = last.map_or(after, |event| (event.at, event.id.as_str()));
        let project = project.map(|project| text_parameter("project", project.as_str()));
        let others = [number_parameter("at", at), text_parameter("id", id), number_parameter("limit", limit)];
        project.into_iter().chain(others).collect()
    };
    let query = format!("{SELECT} WHERE {owner} {LATEST_FIRST}");
    let events = database.list("ledger.audit_events", &query, limit, parameters).await?;
    Ok(events.into_iter().map(event).collect())
}

fn event(stored: Stored) -> AuditEvent {
    let Stored { id, project, at, actor, action, subject, detail } = stored;
    AuditEvent { id, project, at: TimestampMs(at), actor, action, subject, detail }
}
