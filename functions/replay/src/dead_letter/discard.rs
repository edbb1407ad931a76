//! Giving a dead letter up.

use serde_json::json;
use tributary_model::{TimestampMs, TokenId};
use tributary_ports::PortError;
use tributary_ports::kept::encode;
use tributary_ports::ledger::{DeadLetterRow, Resolution};
use tributary_ports::objects::Condition;

use super::delete_objects;
use crate::Replays;
use crate::trail::{self, Deed};

/// What says that a dead letter was given up: an audit must not take its report for lost.
fn key(id: &str) -> String {
    format!("discarded/{}.json", id.to_ascii_lowercase())
}

/// Whether the dead letter `id` was given up.
pub(crate) async fn is_discarded(replays: &Replays, id: &str) -> Result<bool, PortError> {
    Ok(replays.objects.get(&key(id)).await?.is_some())
}

/// Gives a dead letter up for the bearer of the token `by`, and says why: its row and its bytes are gone, the reason stays.
/// A replay that reads the record again makes it a dead letter again.
///
/// # Errors
/// Bad luck of any kind. The same again is safe.
pub async fn discard(
    replays: &Replays,
    now: TimestampMs,
    by: &TokenId,
    row: &DeadLetterRow,
    reason: &str,
) -> Result<(), PortError> {
    let mark = json!({"id": row.id, "at": now, "by": by, "reason": reason});
    let place = key(&row.id);
    replays.objects.put(&place, encode(&place, &mark)?, Condition::Always).await?;
    let detail = json!({"reason": reason, "why": row.reason, "targets": row.targets});
    let deed = Deed { by, action: "dead-letter.discard", project: row.project.as_ref(), subject: &row.id, detail };
    trail::write(replays, now, deed).await?;
    let targets = row.targets.clone();
    let resolution = Resolution { id: row.id.clone(), targets, seen_until: row.last_seen };
    let removed = replays.ledger.resolve_dead_letters(vec![resolution]).await?;
    delete_objects(replays.objects.as_ref(), &removed).await
}
