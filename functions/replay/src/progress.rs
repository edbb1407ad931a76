//! How far a replay is.

use serde::Serialize;
use tributary_model::{Region, TimestampMs};
use tributary_ports::stream::ShardId;
use tributary_ports::{Kept, PortError};

use crate::Replays;
use crate::overflow::waiting;
use crate::state::{Counts, Gap, Part, Replay, ShardState, replay_key, shard_key};

/// A replay with how far it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// The replay.
    #[serde(flatten)]
    pub replay: Replay,
    /// What became of all records that were read.
    pub counts: Counts,
    /// The share of the range that is behind it, 0 to 1: by time of arrival, the mean over the shards.
    pub done: f64,
    /// How long the rest takes if it takes as long as what is behind it, milliseconds; none while nobody can say.
    pub remaining_ms: Option<i64>,
    /// Of an audit: reports that wait in the overflow, up to `AUDIT_OVERFLOW_MAX`. They are not in the stream yet. None where
    /// no overflow can be reached.
    pub overflow: Option<usize>,
    /// Each shard.
    pub shards: Vec<ShardProgress>,
}

/// How far a replay is with a shard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardProgress {
    /// The stream's region.
    pub region: Region,
    /// The shard.
    pub shard: ShardId,
    /// Whether it was read to the range's end.
    pub finished: bool,
    /// What became of its records.
    pub counts: Counts,
    /// The share of the range that is behind it, 0 to 1.
    pub done: f64,
    /// The arrival of the last record that was handled.
    pub reached: Option<TimestampMs>,
    /// How far its last page was behind the shard's end.
    pub lag_ms: u64,
    /// Who works on it, if anybody.
    pub runner: Option<String>,
    /// What may have expired before it was read: the replay was paused or held up past the stream's retention. What arrived
    /// then is not known to be in the stores.
    pub gap: Option<Gap>,
    /// Why the last page, or a part of it, has to come again; or what was wrong with the whole shard.
    pub error: Option<String>,
}

/// How far the replay `id` is at the time `now`; none if there is no such replay.
///
/// # Errors
/// Bad luck of any kind.
pub async fn progress(replays: &Replays, now: TimestampMs, id: &str) -> Result<Option<Progress>, PortError> {
    match Kept::<Replay>::read(replays.objects.as_ref(), replay_key(id)).await? {
        Some(replay) => of(replays, now, &replay.value).await.map(Some),
        None => Ok(None),
    }
}

/// How far a replay is.
pub(crate) async fn of(replays: &Replays, now: TimestampMs, replay: &Replay) -> Result<Progress, PortError> {
    let mut counts = Counts::default();
    let mut shards = Vec::with_capacity(replay.parts.len());
    for part in &replay.parts {
        let key = shard_key(&replay.id, part);
        let state = Kept::<ShardState>::read(replays.objects.as_ref(), key).await?;
        let state = state.map_or_else(|| ShardState::new(replay.request.from), |state| state.value);
        counts.add(&state.counts);
        shards.push(shard(now, replay, part, state));
    }
    // A sum of shares is exact enough for a bar.
    let done = shards.iter().map(|shard| shard.done).sum::<f64>() / (shards.len().max(1) as f64);
    let elapsed_ms = replay.ended_at.unwrap_or(now).0.saturating_sub(replay.started_at.0);
    let rest = |done: f64| elapsed_ms as f64 * (1.0 - done) / done;
    #[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
    let remaining_ms = (done > 0.0 && replay.ended_at.is_none()).then(|| rest(done) as i64);
    let asks = replay.request.mode.names() && !replays.overflows.is_empty();
    let overflow = if asks { Some(waiting(replays).await?.len()) } else { None };
    Ok(Progress { replay: replay.clone(), counts, done, remaining_ms, overflow, shards })
}

fn shard(now: TimestampMs, replay: &Replay, part: &Part, state: ShardState) -> ShardProgress {
    let lease = state.lease.filter(|lease| lease.until > now);
    ShardProgress {
        region: part.region.clone(),
        shard: part.shard.clone(),
        finished: state.finished,
        counts: state.counts,
        done: if state.finished { 1.0 } else { share(replay, state.reached) },
        reached: state.reached,
        lag_ms: state.behind_ms,
        runner: lease.map(|lease| lease.runner),
        gap: state.gap,
        error: state.error,
    }
}

/// The share of the range before `reached`.
fn share(replay: &Replay, reached: Option<TimestampMs>) -> f64 {
    let Some(reached) = reached else { return 0.0 };
    let from = replay.request.from.0;
    let [behind, whole] = [reached.0, replay.request.to.0].map(|time| time.saturating_sub(from).max(0) as f64);
    if whole > 0.0 { (behind / whole).clamp(0.0, 1.0) } else { 0.0 }
}
