//! What is done on a schedule beside the replays: an audit of each day, and the sweep of dead letters.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tributary_model::{Region, Target, TimestampMs, TokenId};
use tributary_ports::{Kept, PortError, PortErrorKind};

use crate::request::{Mode, Request};
use crate::start::{StartError, start};
use crate::{Replay, Replays};

/// The token in whose name the schedule acts.
const SCHEDULE: &str = "schedule";

/// When a chore was done last.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Done {
    at: TimestampMs,
}

/// Starts an audit of the day before, of each stream that can be reached, unless it was started; a schedule that was missed
/// is made up for by the next call. Its result is the replay's, with a row in the audit trail.
///
/// # Errors
/// Those of [`start`]; the next call tries again.
pub async fn audit_daily(replays: &Replays, now: TimestampMs) -> Result<Option<Replay>, StartError> {
    let today = now.day().start();
    for (region, stream) in &replays.streams {
        let key = format!("chores/audit-{region}.json");
        let kept = Kept::<Done>::read(replays.objects.as_ref(), key.clone()).await?;
        if kept.as_ref().is_some_and(|kept| kept.value.at >= today) {
            continue;
        }
        let oldest = now.minus(stream.retention().await?);
        let yesterday = today.plus_ms(-1).day().start();
        let from = yesterday.max(oldest);
        if from >= today {
            continue; // the stream keeps nothing of that day
        }
        let by =
            TokenId::new(SCHEDULE).map_err(|error| PortError::new(PortErrorKind::Invalid, "replay.audit", error))?;
        let replay = start(replays, now, &by, audit(region, from, today)).await?;
        record(replays, key, kept, now).await?;
        return Ok(Some(replay));
    }
    Ok(None)
}

fn audit(region: &Region, from: TimestampMs, to: TimestampMs) -> Request {
    Request {
        mode: Mode::Audit,
        from,
        to,
        regions: vec![region.clone()],
        shards: vec![],
        project: None,
        function: None,
        ids: vec![],
        targets: Target::ALL.to_vec(),
        records_per_second: None,
    }
}

/// Whether it is the caller's turn to do what one process does once in `interval`, of all that share the object store.
///
/// # Errors
/// Bad luck of any kind.
pub async fn has_turn(replays: &Replays, now: TimestampMs, chore: &str, interval: Duration) -> Result<bool, PortError> {
    let key = format!("chores/{chore}.json");
    let kept = Kept::<Done>::read(replays.objects.as_ref(), key.clone()).await?;
    if kept.as_ref().is_some_and(|kept| kept.value.at.plus(interval) > now) {
        return Ok(false);
    }
    match record(replays, key, kept, now).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind == PortErrorKind::Conflict => Ok(false), // another was faster
        Err(error) => Err(error),
    }
}

async fn record(replays: &Replays, key: String, kept: Option<Kept<Done>>, now: TimestampMs) -> Result<(), PortError> {
    Kept::replace(kept, replays.objects.as_ref(), key, Done { at: now }).await.map(drop)
}
