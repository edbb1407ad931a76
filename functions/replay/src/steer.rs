//! What an operator does with replays: look, pause, resume, cancel.

use tributary_model::{TimestampMs, TokenId};
use tributary_ports::{Kept, PortError, PortErrorKind};

use crate::Replays;
use crate::claim::end;
use crate::state::{REPLAYS, Replay, State, replay_key};
use crate::trail;

/// Why a replay was not steered.
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// There is no such replay.
    #[error("there is no such replay")]
    Unknown,
    /// It has ended, as the state says.
    #[error("the replay is {}", .0.as_str())]
    Over(State),
    /// A port failed. The same again is safe.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// One replay; none if there is no such.
///
/// # Errors
/// Bad luck of any kind.
pub async fn open(replays: &Replays, id: &str) -> Result<Option<Replay>, PortError> {
    let kept = Kept::<Replay>::read(replays.objects.as_ref(), replay_key(id)).await?;
    Ok(kept.map(|kept| kept.value))
}

/// All replays in the order of their starts, at most `limit`, beginning behind the id `after`.
///
/// # Errors
/// Bad luck of any kind.
pub async fn list(replays: &Replays, after: Option<&str>, limit: usize) -> Result<Vec<Replay>, PortError> {
    let after = after.map(replay_key);
    let keys = replays.objects.list(REPLAYS, after.as_deref(), limit).await?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        found.extend(Kept::<Replay>::read(replays.objects.as_ref(), key).await?.map(|kept| kept.value));
    }
    Ok(found)
}

/// Pauses (`Paused`), resumes (`Running`) or cancels (`Cancelled`) a replay for the bearer of the token `by`. Runners notice
/// within `REPLAY_LOOK_INTERVAL` and a page. The same again changes nothing.
///
/// # Errors
/// If there is none, or it has ended; or bad luck, `Conflict` if another steered it at the same time.
pub async fn steer(
    replays: &Replays,
    now: TimestampMs,
    by: &TokenId,
    id: &str,
    wanted: State,
) -> Result<Replay, SteerError> {
    let kept = Kept::<Replay>::read(replays.objects.as_ref(), replay_key(id)).await?;
    let mut replay = kept.ok_or(SteerError::Unknown)?;
    if replay.value.state == wanted {
        return Ok(replay.value);
    }
    if replay.value.state.is_over() {
        return Err(SteerError::Over(replay.value.state));
    }
    let action = match wanted {
        State::Running => "replay.resume",
        State::Paused => "replay.pause",
        State::Cancelled => return Ok(end(replays, now, by, replay, State::Cancelled).await?),
        State::Finished | State::Incomplete => {
            let detail = "a replay is finished by its runners";
            return Err(PortError::new(PortErrorKind::Invalid, "replay.steer", detail).into());
        }
    };
    replay.value.state = wanted;
    replay.save(replays.objects.as_ref()).await?;
    trail::of_replay(replays, now, by, action, &replay.value).await?;
    Ok(replay.value)
}
