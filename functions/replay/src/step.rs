//! One page of one shard: read, handle, and a checkpoint that passes what was handled.

use futures_util::future::join;
use tributary_model::limits::{
    REPLAY_ARRIVAL_SLACK, REPLAY_CHECKPOINT_INTERVAL, REPLAY_PAUSE_MAX, REPLAY_PAUSE_MIN, REPLAY_SETTLE,
};
use tributary_model::{Outcome, TimestampMs};
use tributary_ports::stream::{Page, Position};
use tributary_ports::{PortError, PortErrorKind};
use tributary_telemetry::ReplayFacts;

use crate::claim::{Claim, is_due, lease};
use crate::filter::{Choice, choose};
use crate::finding::{self, Finding};
use crate::handle::{Handled, handle};
use crate::read::{next_page, note_gap, read};
use crate::state::{Counts, Part, Replay, ShardState};
use crate::{Replays, Request};

/// What a step left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// More of the shard, at this time or later.
    More(TimestampMs),
    /// Nothing: the shard is done, or is another runner's.
    Over,
}

/// Works on the shard of `claim` for one page, unless it is to wait for something. While the page is handled the next one is
/// read. Bad luck with the stream or with a store is written into the shard's state, and the page comes again after a pause.
///
/// # Errors
/// Bad luck with the object store; the shard is where its last checkpoint was.
pub(crate) async fn step(
    replays: &Replays,
    now: TimestampMs,
    runner: &str,
    claim: &mut Claim,
    waits_for: Option<PortError>,
) -> Result<(Step, ReplayFacts), PortError> {
    let page = match waits_for {
        None => next_page(replays, now, claim).await,
        Some(error) => Err(error),
    };
    let mut counts = Counts::default();
    match page {
        Ok(Some(page)) => counts = take(replays, now, claim, page).await?,
        Ok(None) => end_gone(&mut claim.state.value, &claim.replay),
        Err(error) => fail(now, &mut claim.state.value, error.to_string()),
    }
    let state = &mut claim.state.value;
    state.lease = (!state.finished).then(|| lease(runner, now));
    let left = if state.finished { Step::Over } else { Step::More(state.not_before) };
    let facts = facts(&claim.replay, &claim.part, counts, state.error.clone());
    // What was found is named under the number that the checkpoint keeps.
    let is_urgent = state.finished || state.failures > 0 || counts.found > 0;
    if !is_urgent && !is_due(claim.checkpoint_at, REPLAY_CHECKPOINT_INTERVAL, now) {
        return Ok((left, facts));
    }
    claim.checkpoint_at = Some(now);
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

/// Handles a page and reads the one behind it. Answers the counts of what was handled.
async fn take(replays: &Replays, now: TimestampMs, claim: &mut Claim, page: Page) -> Result<Counts, PortError> {
    let Claim { replay, part, state, ahead, .. } = claim;
    let (replay, part, state) = (&*replay, &*part, &mut state.value);
    let from = page.next.clone().filter(|_| ahead.is_none() && reads_ahead(&replay.request, &page));
    let reading = async {
        match &from {
            Some(from) => Some(read(replays, replay, part, from).await),
            None => None,
        }
    };
    // It is asked for first: handling takes the processor for a while before it waits for a store.
    let (next, counts) = join(reading, pass(replays, now, replay, part, state, page)).await;
    if let (Some(from), Some(next)) = (from, next)
        && state.position == from
    {
        match next {
            Ok(Some(page)) => *ahead = Some((from, page)),
            Ok(None) => end_gone(state, replay),
            Err(error) => fail(now, state, error.to_string()),
        }
    }
    counts
}

/// Whether the page behind this one is read while this one is handled: it is wanted, is there, and its turn is now.
fn reads_ahead(request: &Request, page: &Page) -> bool {
    request.records_per_second.is_none() && page.behind_ms > 0 && !is_past_end(request, page)
}

/// Handles a page, brings the shard's state behind what was handled, and answers the counts of that.
async fn pass(
    replays: &Replays,
    now: TimestampMs,
    replay: &Replay,
    part: &Part,
    state: &mut ShardState,
    page: Page,
) -> Result<Counts, PortError> {
    let choices: Vec<Choice> = page.records.iter().map(|record| choose(&replay.request, now, record)).collect();
    let chosen = page.records.iter().zip(&choices).filter(|(_, choice)| **choice == Choice::Wanted);
    let wanted = chosen.map(|(record, _)| record.clone()).collect();
    let handled = handle(replays, now, &replay.request, part, wanted).await;
    let (counts, findings) = advance(state, now, &replay.request, &page, &choices, handled);
    state.counts.add(&counts);
    if state.failures == 0 {
        state.not_before = now.plus_ms(pause_for_pace_ms(replay, page.records.len()));
    }
    if !findings.is_empty() {
        // Before the checkpoint: a page that is read once more writes the same object.
        finding::write(replays, &replay.id, part, state.finding_pages, &findings).await?;
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
    let has_caught_up = page.behind_ms == 0 && now >= request.to.plus(REPLAY_SETTLE);
    match &page.next {
        Some(next) if !is_past_end(request, page) && !has_caught_up => state.position = next.clone(),
        _ => state.finished = true,
    }
}

fn is_past_end(request: &Request, page: &Page) -> bool {
    page.records.iter().any(|record| record.arrived_at >= request.to.plus(REPLAY_ARRIVAL_SLACK))
}

/// The stream has no such shard.
fn end_gone(state: &mut ShardState, replay: &Replay) {
    note_gap(state, replay, replay.request.to);
    state.finished = true;
    state.error = Some("the stream has no such shard any more: its retention has ended".to_owned());
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
