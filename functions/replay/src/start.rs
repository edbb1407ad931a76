//! The start of a replay.

use std::collections::BTreeSet;

use tributary_model::limits::{REPLAY_IDS_MAX, REPLAY_RATE_MAX, REPLAYS_ACTIVE_MAX};
use tributary_model::{TimestampMs, TokenId};
use tributary_ports::objects::Condition;
use tributary_ports::stream::{Shard, ShardId};
use tributary_ports::{Kept, PortError, PortErrorKind};

use crate::Replays;
use crate::request::Request;
use crate::state::{ACTIVE, Part, Replay, ShardState, State, active_key, replay_key, shard_key};
use crate::trail;

/// Why a replay was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It can't be done as it was asked; the sentence says why.
    #[error("{0}")]
    Refused(String),
    /// A port failed. Nothing runs; the same again is safe.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Starts a replay for the bearer of the token `by`.
///
/// Shards' states are written first, the replay itself last: what is not there whole is not there.
///
/// # Errors
/// If the request can't be met, which names what is wrong with it; or bad luck.
pub async fn start(replays: &Replays, now: TimestampMs, by: &TokenId, request: Request) -> Result<Replay, StartError> {
    let request = Request { to: request.to.min(now), ..request };
    check(replays, &request)?;
    check_age(replays, now, &request).await?;
    let active = replays.objects.list(ACTIVE, None, REPLAYS_ACTIVE_MAX).await?;
    if active.len() >= REPLAYS_ACTIVE_MAX {
        return refuse(format!("{REPLAYS_ACTIVE_MAX} replays are under way, as many as there may be at once"));
    }
    let parts = parts(replays, &request).await?;
    let replay = Replay {
        id: id(now),
        request,
        started_at: now,
        started_by: by.clone(),
        state: State::Running,
        ended_at: None,
        parts,
    };
    let objects = replays.objects.as_ref();
    let taken = |error: PortError| match error.kind {
        PortErrorKind::Conflict => StartError::Refused("another replay was started at the same time; try again".into()),
        _ => error.into(),
    };
    // The first of these puts decides between two starts within one millisecond.
    let marker = now.0.to_string().into();
    objects.put(&active_key(&replay.id), marker, Condition::Absent).await.map_err(taken)?;
    for part in &replay.parts {
        let state = ShardState::new(replay.request.from);
        Kept::create(objects, shard_key(&replay.id, part), state).await?;
    }
    let kept = Kept::create(objects, replay_key(&replay.id), replay).await?;
    trail::of_replay(replays, now, by, "replay.start", &kept.value).await?;
    Ok(kept.value)
}

fn refuse<T>(detail: String) -> Result<T, StartError> {
    Err(StartError::Refused(detail))
}

/// Whether the streams still hold what is asked for.
async fn check_age(replays: &Replays, now: TimestampMs, request: &Request) -> Result<(), StartError> {
    for (region, stream) in &replays.streams {
        if !request.regions.is_empty() && !request.regions.contains(region) {
            continue;
        }
        let oldest = now.minus(stream.retention().await?);
        if request.from < oldest {
            let from = request.from;
            return refuse(format!("the stream of {region} holds records from {oldest} on; from is {from}"));
        }
    }
    Ok(())
}

fn check(replays: &Replays, request: &Request) -> Result<(), StartError> {
    if request.from >= request.to {
        return refuse(format!("from ({}) must lie before to ({})", request.from, request.to));
    }
    if request.targets.is_empty() {
        return refuse("a replay needs a target: search, ledger or both".to_owned());
    }
    if request.ids.len() > REPLAY_IDS_MAX {
        return refuse(format!("{} ids; one replay takes {REPLAY_IDS_MAX}", request.ids.len()));
    }
    if request.records_per_second.is_some_and(|rate| !(1..=REPLAY_RATE_MAX).contains(&rate)) {
        return refuse(format!("records_per_second must be from 1 to {REPLAY_RATE_MAX}"));
    }
    match request.regions.iter().find(|region| !replays.streams.contains_key(*region)) {
        Some(region) => refuse(format!("there is no stream of the region {region} here")),
        None => Ok(()),
    }
}

/// The shards that the request names, parents before children.
async fn parts(replays: &Replays, request: &Request) -> Result<Vec<Part>, StartError> {
    let is_wanted = |shard: &ShardId| request.shards.is_empty() || request.shards.contains(shard);
    let mut parts = Vec::new();
    for (region, stream) in &replays.streams {
        if !request.regions.is_empty() && !request.regions.contains(region) {
            continue;
        }
        let mut shards = stream.shards().await?;
        shards.retain(|shard| is_wanted(&shard.id));
        let ids: BTreeSet<ShardId> = shards.iter().map(|shard| shard.id.clone()).collect();
        let part = |shard: Shard| {
            let parents = shard.parents.into_iter().filter(|parent| ids.contains(parent)).collect();
            Part { region: region.clone(), shard: shard.id, parents }
        };
        parts.extend(shards.into_iter().map(part));
    }
    if parts.is_empty() && request.shards.is_empty() {
        return refuse("there is no stream here to read".to_owned());
    }
    match request.shards.iter().find(|shard| !parts.iter().any(|part| part.shard == **shard)) {
        Some(shard) => refuse(format!("there is no shard {shard}")),
        None => Ok(parts),
    }
}

/// `20261126t041530.123z`: sorts by time, and may stand in a key and in a path.
fn id(now: TimestampMs) -> String {
    now.to_string().chars().filter(|letter| !matches!(letter, '-' | ':')).collect::<String>().to_ascii_lowercase()
}
