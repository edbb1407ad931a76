//! The audit trail: who did what. An event is an object first, since the ledger may be what failed, and then a row.

use serde_json::{Map, Value, json};
use tributary_model::{ProjectId, TimestampMs, TokenId};
use tributary_ports::PortError;
use tributary_ports::kept::encode;
use tributary_ports::ledger::AuditEvent;
use tributary_ports::objects::Condition;

use crate::Replays;
use crate::state::Replay;

/// What the keys of events begin with; the day follows.
pub(crate) const AUDIT: &str = "audit/";

/// What was done: its name, and to what.
pub(crate) struct Deed<'a> {
    pub(crate) by: &'a TokenId,
    pub(crate) action: &'static str,
    pub(crate) project: Option<&'a ProjectId>,
    pub(crate) subject: &'a str,
    pub(crate) detail: Value,
}

/// Writes down what was done at the time `now`. The same again writes the same.
///
/// The row is written if the ledger takes it; `tributary ledger restore` makes up for it.
///
/// # Errors
/// Bad luck with the object store.
pub(crate) async fn write(replays: &Replays, now: TimestampMs, deed: Deed<'_>) -> Result<(), PortError> {
    let detail = match deed.detail {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let event = AuditEvent {
        id: format!("{}.{}.{}", now.0, deed.action, deed.subject),
        project: deed.project.cloned(),
        at: now,
        actor: deed.by.to_string(),
        action: deed.action.to_owned(),
        subject: deed.subject.to_owned(),
        detail,
    };
    let key = format!("{AUDIT}{}/{}.json", now.day(), event.id.to_ascii_lowercase());
    replays.objects.put(&key, encode(&key, &event)?, Condition::Always).await?;
    let _ = replays.ledger.append_audit_events(vec![event]).await;
    Ok(())
}

/// Writes down what was done to a replay.
pub(crate) async fn of_replay(
    replays: &Replays,
    now: TimestampMs,
    by: &TokenId,
    action: &'static str,
    replay: &Replay,
) -> Result<(), PortError> {
    let request = &replay.request;
    let detail = json!({
        "mode": request.mode, "from": request.from, "to": request.to, "function": request.function,
        "targets": request.targets, "ids": request.ids.len(), "shards": replay.parts.len(),
    });
    write(replays, now, Deed { by, action, project: request.project.as_ref(), subject: &replay.id, detail }).await
}
