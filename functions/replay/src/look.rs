//! Whether a shard is to be worked on: its replay may have been paused or cancelled, and a store may be out.

use futures_util::future::{join, join_all};
use tributary_model::limits::REPLAY_LOOK_INTERVAL;
use tributary_model::outages::open_outage_key;
use tributary_model::{Target, TimestampMs};
use tributary_ports::{Kept, PortError, PortErrorKind};

use crate::claim::{Claim, is_due};
use crate::state::{Part, Replay, State, replay_key};
use crate::{Mode, Replays};

/// What is to be done with a shard.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It is worked on.
    Work,
    /// It waits, for this.
    Wait(PortError),
    /// It is let go: its replay does not run.
    LetGo,
}

/// Looks whose turn it is, unless that was done less than [`REPLAY_LOOK_INTERVAL`] ago.
///
/// # Errors
/// Bad luck with the replay's object.
pub(crate) async fn look(replays: &Replays, now: TimestampMs, claim: &mut Claim) -> Result<Turn, PortError> {
    if !is_due(claim.looked_at, REPLAY_LOOK_INTERVAL, now) {
        return Ok(Turn::Work);
    }
    let replay = Kept::<Replay>::read(replays.objects.as_ref(), replay_key(&claim.replay.id));
    let (replay, held_up) = join(replay, held_up(replays, &claim.replay, &claim.part)).await;
    let Some(replay) = replay?.filter(|replay| replay.value.state == State::Running) else { return Ok(Turn::LetGo) };
    claim.replay = replay.value;
    claim.looked_at = held_up.is_none().then_some(now);
    Ok(held_up.map_or(Turn::Work, Turn::Wait))
}

/// Why a replay that writes has to wait: a store is out for the live consumer of the region, whose turn is first.
async fn held_up(replays: &Replays, replay: &Replay, part: &Part) -> Option<PortError> {
    if !matches!(replay.request.mode, Mode::Apply | Mode::Heal) {
        return None;
    }
    let looks = replay.request.targets.iter().map(|target| refuse_outage(replays, part, *target));
    join_all(looks).await.into_iter().find_map(Result::err)
}

/// An error if the store is out, or nobody can say.
async fn refuse_outage(replays: &Replays, part: &Part, target: Target) -> Result<(), PortError> {
    if replays.objects.get(&open_outage_key(&part.region, target)).await?.is_none() {
        return Ok(());
    }
    let detail = format!("waits for the outage of the {} consumer to end", target.as_str());
    Err(PortError::new(PortErrorKind::Throttled, "replay.step", detail))
}
