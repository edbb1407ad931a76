//! One page of one shard: read, handle, and a checkpoint that passes what was handled.

use tributary_model::limits::{
    BATCH_BYTES_MAX, REPLAY_ARRIVAL_SLACK, REPLAY_PACE_MAX, REPLAY_PAUSE_MAX, REPLAY_PAUSE_MIN, REPLAY_SETTLE,
};
use tributary_model::outages::open_outage_key;
use tributary_model::{Outcome, TimestampMs};
use tributary_ports::stream::{Page, Position};
use tributary_ports::{PortError, PortErrorKind};
use tributary_telemetry::ReplayFacts;

use crate::claim::{Claim, lease};
use crate::filter::{Choice, choose};
use crate::finding::{self, Finding};
use crate::handle::{Handled, handle};
use crate::state::{Counts, Gap, Part, Replay, ShardState};
use crate::{Mode, Replays, Request};

/// What a step left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// More of the shard, at this time or later.
    More(TimestampMs),
    /// Nothing: the shard is done, or is another runner's.
    Over,
}

/// Works on the shard of `claim` for one page. Bad luck with the stream or with a store is written into the shard's state,
/// and the page comes again after a pause.
///
/// # Errors
/// Bad luck with the object store; the shard is where it was.
pub(crate) async fn step(
    replays: &Replays,
    now: TimestampMs,
    runner: &str,
    replay: &Replay,
    claim: &mut Claim,
) -> Result<(Step, ReplayFacts), PortError> {
    let page = match held_up(replays, replay, &claim.part).await {
        None => read(replays, now, replay, claim).await,
        Some(error) => Err(error),
    };
    let mut counts = Counts::default();
    match page {
        Ok(Some(page)) => counts = take(replays, now, replay, claim, page).await?,
        Ok(None) => {
            note_gap(&mut claim.state.value, replay, replay.request.to);
            claim.state.value.finished = true;
            claim.state.value.error = Some("the stream has no such shard any more: its retention has ended".to_owned());
        }
        Err(error) => fail(now, &mut claim.state.value, error.to_string()),
    }
    let state = &mut claim.state.value;
    state.lease = (!state.finished).then(|| lease(runner, now));
    let left = if state.finished { Step::Over } else { Step::More(state.not_before) };
    let facts = facts(replay, &claim.part, counts, state.error.clone());
    match claim.state.save(replays.objects.as_ref()).await {
        Ok(()) => Ok((left, facts)),
        Err(error) if error.kind == PortErrorKind::Conflict => Ok((Step::Over, facts)), // another runner has it now
        Err(error) => Err(error),
    }
}

fn facts(replay: &Replay, part: &Part, counts: Counts, error: Option<String>) -> ReplayFacts {
    ReplayFacts {
        replay: replay.id.clone(),
        mode: replay.request.mode.as_str(),
        shard: format!("{}/{}", part.region, part.shard),
        read: counts.read,
        skipped: counts.skipped,
        search: counts.search,
        ledger: counts.ledger,
        found: counts.found,
        error,
    }
}

/// Why a replay that writes has to wait: a store is out for the live consumer of the region, whose turn is first.
async fn held_up(replays: &Replays, replay: &Replay, part: &Part) -> Option<PortError> {
    if !matches!(replay.request.mode, Mode::Apply | Mode::Heal) {
        return None;
    }
    for target in &replay.request.targets {
        match replays.objects.get(&open_outage_key(&part.region, *target)).await {
            Ok(None) => {}
            Ok(Some(_)) => {
                let detail = format!("waits for the outage of the {} consumer to end", target.as_str());
                return Some(PortError::new(PortErrorKind::Throttled, "replay.step", detail));
            }
            Err(error) => return Some(error),
        }
    }
    None
}

/// Reads on; none if the shard is gone.
async fn read(
    replays: &Replays,
    now: TimestampMs,
    replay: &Replay,
    claim: &mut Claim,
) -> Result<Option<Page>, PortError> {
    let (part, state) = (&claim.part, &mut claim.state.value);
    let opened = replays.reader(&replay.id, &part.region).await?;
    note_gap(state, replay, now.minus(opened.retention));
    let records_max = replays.settings.current().stream_page_records.min(paced_records(replay));
    match opened.reader.read(&part.shard, &state.position, records_max).await {
        Ok(page) => Ok(Some(whole_batch(page))),
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
fn note_gap(state: &mut ShardState, replay: &Replay, to: TimestampMs) {
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

/// The page as far as it is one batch: its records up to [`BATCH_BYTES_MAX`], at least one.
fn whole_batch(mut page: Page) -> Page {
    let mut bytes = 0;
    let over = page.records.iter().position(|record| {
        bytes += record.data.len();
        bytes > BATCH_BYTES_MAX
    });
    if let Some(over) = over.map(|over| over.max(1)).filter(|over| *over < page.records.len()) {
        page.records.truncate(over);
        page.next = page.records.last().map(|last| Position::After(last.sequence_number.clone()));
        page.behind_ms = page.behind_ms.max(1);
    }
    page
}

/// Handles a page, brings the shard's state behind what was handled, and answers the counts of that.
async fn take(
    replays: &Replays,
    now: TimestampMs,
    replay: &Replay,
    claim: &mut Claim,
    page: Page,
) -> Result<Counts, PortError> {
    let choices: Vec<Choice> = page.records.iter().map(|record| choose(&replay.request, now, record)).collect();
    let chosen = page.records.iter().zip(&choices).filter(|(_, choice)| **choice == Choice::Wanted);
    let wanted = chosen.map(|(record, _)| record.clone()).collect();
    let handled = handle(replays, now, &replay.request, &claim.part, wanted).await;
    let state = &mut claim.state.value;
    let (counts, findings) = advance(state, now, &replay.request, &page, &choices, handled);
    state.counts.add(&counts);
    if state.failures == 0 {
        state.not_before = now.plus_ms(pause_for_pace_ms(replay, page.records.len()));
    }
    if !findings.is_empty() {
        // Before the checkpoint: a page that is read once more writes the same object.
        finding::write(replays, &replay.id, &claim.part, state.finding_pages, &findings).await?;
        state.finding_pages += 1;
    }
    Ok(counts)
}

/// Moves the position behind what was handled, and answers its counts and findings.
fn advance(
    state: &mut ShardState,
    now: TimestampMs,
    request: &Request,
    page: &Page,
    choices: &[Choice],
    handled: Handled,
) -> (Counts, Vec<Finding>) {
    let done = handled.done();
    let mut counts = Counts::default();
    let mut wanted = 0;
    let mut passed = 0;
    for (record, choice) in page.records.iter().zip(choices) {
        if *choice == Choice::Wanted && wanted == done {
            break;
        }
        passed += 1;
        if *choice == Choice::Beyond {
            continue;
        }
        counts.read += 1;
        counts.bytes += u64::try_from(record.data.len()).unwrap_or_default();
        state.reached = state.reached.max(Some(record.arrived_at));
        if *choice == Choice::Skipped {
            counts.skipped += 1;
            continue;
        }
        for (target, outcomes) in &handled.outcomes {
            let outcome = outcomes.get(wanted).copied().unwrap_or(Outcome::Redelivered);
            counts.of_mut(*target).add(outcome);
        }
        wanted += 1;
    }
    if passed == page.records.len() {
        pass_page(state, now, request, page);
    } else {
        let last = passed.checked_sub(1).and_then(|last| page.records.get(last));
        state.position = last.map_or(state.position.clone(), |last| Position::After(last.sequence_number.clone()));
        let error = handled.error.clone();
        fail(now, state, error.unwrap_or_else(|| "records are to be delivered again".to_owned()));
    }
    let findings = handled.into_findings(request.mode);
    counts.found += u64::try_from(findings.len()).unwrap_or_default();
    (counts, findings)
}

/// All of a page was handled.
fn pass_page(state: &mut ShardState, now: TimestampMs, request: &Request, page: &Page) {
    state.failures = 0;
    state.error = None;
    state.behind_ms = page.behind_ms;
    let is_past_end = page.records.iter().any(|record| record.arrived_at >= request.to.plus(REPLAY_ARRIVAL_SLACK));
    let has_caught_up = page.behind_ms == 0 && now >= request.to.plus(REPLAY_SETTLE);
    match &page.next {
        Some(next) if !is_past_end && !has_caught_up => state.position = next.clone(),
        _ => state.finished = true,
    }
}

/// A page, or the rest of it, is to come again, after a pause that doubles.
fn fail(now: TimestampMs, state: &mut ShardState, error: String) {
    let doubled = REPLAY_PAUSE_MIN.saturating_mul(1 << state.failures.min(16));
    state.failures = state.failures.saturating_add(1);
    state.error = Some(error);
    state.not_before = now.plus(doubled.min(REPLAY_PAUSE_MAX));
}

/// How long a shard's share of the rate takes for so many records.
fn pause_for_pace_ms(replay: &Replay, records: usize) -> i64 {
    let Some(rate) = replay.request.records_per_second else { return 0 };
    let [records, shards] = [records, replay.parts.len()].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    records.saturating_mul(1000).saturating_mul(shards) / i64::from(rate.max(1))
}
