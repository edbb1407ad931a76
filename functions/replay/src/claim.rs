//! Taking a shard to work on, and the end of a replay.

use std::time::Duration;

use serde_json::json;
use tributary_model::limits::{REPLAY_LEASE, REPLAYS_ACTIVE_MAX};
use tributary_model::{TimestampMs, TokenId};
use tributary_ports::stream::{Page, Position};
use tributary_ports::{Kept, PortError, PortErrorKind};

use crate::Replays;
use crate::state::{ACTIVE, Lease, Part, Replay, ShardState, State, active_key, replay_key, shard_key};
use crate::trail::{self, Deed};

/// A shard that a runner has to itself.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The replay as it was seen last.
    pub(crate) replay: Replay,
    /// When that was; none if it has to be looked at.
    pub(crate) looked_at: Option<TimestampMs>,
    pub(crate) part: Part,
    /// How far it is, which is ahead of the checkpoint by what was handled since.
    pub(crate) state: Kept<ShardState>,
    /// When this runner wrote a checkpoint.
    pub(crate) checkpoint_at: Option<TimestampMs>,
    /// A page that was read and not handled, and the position from which it was read.
    pub(crate) ahead: Option<(Position, Page)>,
}

impl Claim {
    fn new(replay: Replay, part: Part, state: Kept<ShardState>) -> Self {
        Self { replay, looked_at: None, part, state, checkpoint_at: None, ahead: None }
    }
}

/// Whether `interval` has passed since something was done, or it never was.
pub(crate) fn is_due(done_at: Option<TimestampMs>, interval: Duration, now: TimestampMs) -> bool {
    done_at.is_none_or(|at| at.plus(interval) <= now)
}

/// A lease from now on.
pub(crate) fn lease(runner: &str, now: TimestampMs) -> Lease {
    Lease { runner: runner.to_owned(), until: now.plus(REPLAY_LEASE) }
}

/// Takes a shard of a running replay whose turn it is and on which nobody works; none if there is none. Ends replays of
/// which nothing is left.
pub(crate) async fn claim(replays: &Replays, now: TimestampMs, runner: &str) -> Result<Option<Claim>, PortError> {
    let objects = replays.objects.as_ref();
    for marker in objects.list(ACTIVE, None, REPLAYS_ACTIVE_MAX).await? {
        let id = marker.strip_prefix(ACTIVE).unwrap_or_default();
        let Some(replay) = Kept::<Replay>::read(objects, replay_key(id)).await? else {
            forget_unstarted(replays, now, &marker).await?;
            continue;
        };
        if replay.value.state.is_over() {
            objects.delete(&marker).await?; // who ended it was interrupted
        } else if replay.value.state == State::Running
            && let Some(claim) = claim_of(replays, now, runner, replay).await?
        {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}

async fn claim_of(
    replays: &Replays,
    now: TimestampMs,
    runner: &str,
    replay: Kept<Replay>,
) -> Result<Option<Claim>, PortError> {
    let objects = replays.objects.as_ref();
    let (mut finished, mut has_gaps) = (Vec::new(), false);
    for part in &replay.value.parts {
        let key = shard_key(&replay.value.id, part);
        let Some(mut state) = Kept::<ShardState>::read(objects, key).await? else { return Ok(None) };
        if state.value.finished {
            finished.push((&part.region, &part.shard));
            has_gaps |= state.value.gap.is_some();
            continue;
        }
        if !replays.streams.contains_key(&part.region) {
            continue; // a runner of that region takes it
        }
        let parents_are_read = part.parents.iter().all(|parent| finished.contains(&(&part.region, parent)));
        if !parents_are_read || !state.value.is_free(runner, now) {
            continue;
        }
        state.value.lease = Some(lease(runner, now));
        match state.save(objects).await {
            Ok(()) => return Ok(Some(Claim::new(replay.value.clone(), part.clone(), state))),
            Err(error) if error.kind == PortErrorKind::Conflict => {} // another runner was faster
            Err(error) => return Err(error),
        }
    }
    if finished.len() == replay.value.parts.len() {
        let by = replay.value.started_by.clone();
        let state = if has_gaps { State::Incomplete } else { State::Finished };
        end(replays, now, &by, replay, state).await?;
    }
    Ok(None)
}

/// Ends a replay: its state, the audit trail, its marker, in this order, so that whoever comes after an interruption sees
/// what is left to do.
pub(crate) async fn end(
    replays: &Replays,
    now: TimestampMs,
    by: &TokenId,
    mut replay: Kept<Replay>,
    state: State,
) -> Result<Replay, PortError> {
    let objects = replays.objects.as_ref();
    let progress = crate::progress::of(replays, now, &replay.value).await?;
    replay.value.state = state;
    replay.value.ended_at = Some(now);
    match replay.save(objects).await {
        Ok(()) => {}
        // Another runner ends it, or it was steered in between: that one's turn.
        Err(error) if error.kind == PortErrorKind::Conflict => return Ok(replay.value),
        Err(error) => return Err(error),
    }
    let action = if state == State::Cancelled { "replay.cancel" } else { "replay.finish" };
    let (project, subject) = (replay.value.request.project.as_ref(), replay.value.id.as_str());
    let mode = replay.value.request.mode.as_str();
    let gaps = progress.shards.iter().filter(|shard| shard.gap.is_some()).count();
    let detail = json!({"mode": mode, "counts": progress.counts, "shards_with_gaps": gaps});
    trail::write(replays, now, Deed { by, action, project, subject, detail }).await?;
    objects.delete(&active_key(&replay.value.id)).await?;
    Ok(replay.value)
}

/// A marker without a replay was left by a start that was interrupted, or its replay is just being written.
async fn forget_unstarted(replays: &Replays, now: TimestampMs, marker: &str) -> Result<(), PortError> {
    let Some(object) = replays.objects.get(marker).await? else { return Ok(()) };
    let set_at = std::str::from_utf8(&object.bytes).ok().and_then(|text| text.parse().ok()).map(TimestampMs);
    if set_at.is_some_and(|at| at.plus(REPLAY_LEASE) <= now) {
        replays.objects.delete(marker).await?;
    }
    Ok(())
}
