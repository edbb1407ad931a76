//! What a request wants done with records: the worker's own apply, or a comparison, or both.

use tributary_model::{Outcome, Target, TimestampMs};
use tributary_ports::PortError;
use tributary_ports::stream::{Batch, StreamRecord};

use crate::Replays;
use crate::compare::{Compared, compare};
use crate::finding::Finding;
use crate::request::{Mode, Request};
use crate::state::Part;

/// What became of records, or would become.
#[derive(Debug, Default)]
pub(crate) struct Handled {
    /// Each record's outcome in each store.
    pub(crate) outcomes: Vec<(Target, Vec<Outcome>)>,
    /// What was found to be wrong, with the record's position.
    pub(crate) findings: Vec<(usize, Finding)>,
    /// Why records are redelivered.
    pub(crate) error: Option<String>,
}

impl Handled {
    /// How many records from the first on are handled in all stores.
    pub(crate) fn done(&self) -> usize {
        let done = self.outcomes.iter().map(|(_, outcomes)| {
            outcomes.iter().position(|outcome| *outcome == Outcome::Redelivered).unwrap_or(outcomes.len())
        });
        done.min().unwrap_or_default()
    }

    /// What was found of the records that are handled. Of the others it is found again, unless it was healed.
    pub(crate) fn into_findings(self, mode: Mode) -> Vec<Finding> {
        let done = self.done();
        let outcome = |target: Target, position: usize| {
            let (_, outcomes) = self.outcomes.iter().find(|(of, _)| *of == target)?;
            outcomes.get(position).copied()
        };
        let healed = |target, position| mode == Mode::Heal && outcome(target, position) != Some(Outcome::Redelivered);
        let found = self.findings.iter();
        found
            .filter(|(at, finding)| *at < done || healed(finding.target, *at))
            .map(|(_, found)| found.clone())
            .collect()
    }
}

/// Handles records of one part, which fit one batch.
pub(crate) async fn handle(
    replays: &Replays,
    now: TimestampMs,
    request: &Request,
    part: &Part,
    records: Vec<StreamRecord>,
) -> Handled {
    let mut handled = Handled::default();
    if records.is_empty() {
        return handled;
    }
    let batch = Batch { shard: part.shard.clone(), records };
    for target in request.targets.iter().copied() {
        let outcomes = match request.mode {
            Mode::Apply => apply(replays, now, part, target, &batch, &mut handled.error).await,
            Mode::DryRun | Mode::Audit | Mode::Heal => {
                match compare(replays, now, part, target, &batch.records).await {
                    Ok(compared) => {
                        look(replays, now, request.mode, part, (target, compared), &batch, &mut handled).await
                    }
                    Err(error) => unlucky(&error, batch.records.len(), &mut handled.error),
                }
            }
        };
        handled.outcomes.push((target, outcomes));
    }
    handled
}

/// The worker's own apply.
async fn apply(
    replays: &Replays,
    now: TimestampMs,
    part: &Part,
    target: Target,
    batch: &Batch,
    error: &mut Option<String>,
) -> Vec<Outcome> {
    let handled = replays.worker(&part.region, target).handle(now, batch).await;
    if let Some(unlucky) = handled.facts.error {
        error.get_or_insert(unlucky);
    }
    handled.outcomes
}

/// Keeps what a comparison found, as the mode wants, and applies it if it is to be healed.
async fn look(
    replays: &Replays,
    now: TimestampMs,
    mode: Mode,
    part: &Part,
    (target, compared): (Target, Compared),
    batch: &Batch,
    handled: &mut Handled,
) -> Vec<Outcome> {
    let Compared { mut outcomes, findings } = compared;
    let found: Vec<usize> = findings.iter().map(|(position, _)| *position).collect();
    if mode.names() {
        handled.findings.extend(findings);
    }
    if mode != Mode::Heal || found.is_empty() {
        return outcomes;
    }
    let records = found.iter().filter_map(|position| batch.records.get(*position)).cloned().collect();
    let lacking = Batch { shard: batch.shard.clone(), records };
    let healed = apply(replays, now, part, target, &lacking, &mut handled.error).await;
    for (position, outcome) in found.into_iter().zip(healed) {
        if let Some(there) = outcomes.get_mut(position) {
            *there = outcome;
        }
    }
    outcomes
}

fn unlucky(error: &PortError, records: usize, noted: &mut Option<String>) -> Vec<Outcome> {
    noted.get_or_insert_with(|| error.to_string());
    vec![Outcome::Redelivered; records]
}
