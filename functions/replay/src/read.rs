//! The pages of a shard, one batch each, and the next one ahead.

use tributary_model::TimestampMs;
use tributary_model::limits::{BATCH_BYTES_MAX, REPLAY_PACE_MAX};
use tributary_ports::stream::{Page, Position};
use tributary_ports::{PortError, PortErrorKind};

use crate::Replays;
use crate::claim::Claim;
use crate::state::{Gap, Part, Replay, ShardState};

/// The page where the shard of `claim` goes on: what was read ahead of it, or the stream's. What is more than a batch stays
/// ahead. None if the shard is gone.
///
/// # Errors
/// Bad luck with the stream.
pub(crate) async fn next_page(
    replays: &Replays,
    now: TimestampMs,
    claim: &mut Claim,
) -> Result<Option<Page>, PortError> {
    let (replay, part, state) = (&claim.replay, &claim.part, &mut claim.state.value);
    let opened = replays.reader(&replay.id, &part.region).await?;
    note_gap(state, replay, now.minus(opened.retention));
    let page = match claim.ahead.take().filter(|(from, _)| *from == state.position) {
        Some((_, page)) => Some(page),
        None => read(replays, replay, part, &state.position).await?,
    };
    let Some(mut page) = page else { return Ok(None) };
    claim.ahead = split_off(&mut page);
    Ok(Some(page))
}

/// Reads a page; none if the shard is gone.
///
/// # Errors
/// Bad luck with the stream.
pub(crate) async fn read(
    replays: &Replays,
    replay: &Replay,
    part: &Part,
    from: &Position,
) -> Result<Option<Page>, PortError> {
    let opened = replays.reader(&replay.id, &part.region).await?;
    let records_max = replays.settings.current().stream_page_records.min(paced_records(replay));
    match opened.reader.read(&part.shard, from, records_max).await {
        Ok(page) => Ok(Some(page)),
        Err(error) => {
            replays.forget_reader(&replay.id, &part.region);
            let is_gone = error.kind == PortErrorKind::NotFound && !has_shard(replays, part).await?;
            if is_gone { Ok(None) } else { Err(error) }
        }
    }
}

/// Whether the stream has the shard: a reader that was removed looks like a shard that is gone.
async fn has_shard(replays: &Replays, part: &Part) -> Result<bool, PortError> {
    let shards = replays.stream(&part.region)?.shards().await?;
    Ok(shards.iter().any(|shard| shard.id == part.shard))
}

/// Notes that what arrived before `to` may have expired before it was read, because the replay was paused or held up for so
/// long.
pub(crate) fn note_gap(state: &mut ShardState, replay: &Replay, to: TimestampMs) {
    let from = state.reached.unwrap_or(replay.request.from);
    if from < to {
        let from = state.gap.as_ref().map_or(from, |gap| gap.from);
        state.gap = Some(Gap { from, to: to.min(replay.request.to) });
    }
}

/// So many records that a shard's share of the rate passes them within [`REPLAY_PACE_MAX`].
fn paced_records(replay: &Replay) -> usize {
    let Some(rate) = replay.request.records_per_second else { return usize::MAX };
    let shards = u64::try_from(replay.parts.len()).unwrap_or(u64::MAX).max(1);
    let records = u64::from(rate) * REPLAY_PACE_MAX.as_secs() / shards;
    usize::try_from(records).unwrap_or(usize::MAX).max(1)
}

/// Leaves the page as far as it is one batch: its records up to [`BATCH_BYTES_MAX`], at least one. Answers the rest, and where
/// it begins.
fn split_off(page: &mut Page) -> Option<(Position, Page)> {
    let mut bytes = 0;
    let over = page.records.iter().position(|record| {
        bytes += record.data.len();
        bytes > BATCH_BYTES_MAX
    })?;
    let over = over.max(1);
    if over >= page.records.len() {
        return None;
    }
    let rest = Page { records: page.records.split_off(over), next: page.next.take(), behind_ms: page.behind_ms };
    let begins = Position::After(page.records.last()?.sequence_number.clone());
    page.next = Some(begins.clone());
    page.behind_ms = page.behind_ms.max(1);
    Some((begins, rest))
}
