//! A page beside what the stores hold of it.

use tributary_model::{Outcome, ProjectId, Record, ReportId, Target, TimestampMs, Version};
use tributary_pipeline::plan::{Versioned, WritePlan, plan};
use tributary_ports::PortError;
use tributary_ports::stream::StreamRecord;
use tributary_worker::{Foreseen, dead_letter_id, foresee};

use crate::Replays;
use crate::dead_letter::is_discarded;
use crate::finding::{Finding, Problem};
use crate::state::Part;

/// What became of a page's records in one store, or would become, by position; and what is wrong there.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) outcomes: Vec<Outcome>,
    /// By the position of the record that the store lacks.
    pub(crate) findings: Vec<(usize, Finding)>,
}

/// A report as the stores name it, and the version that its record gives it.
struct Expected {
    project: ProjectId,
    id: ReportId,
    version: Version,
}

impl Versioned for Expected {
    fn id(&self) -> ReportId {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }
}

/// Compares records of a part with a store at the time `now`.
///
/// What can't be applied is in order if it is recorded as a dead letter, and is missing otherwise.
///
/// # Errors
/// Bad luck of any kind.
pub(crate) async fn compare(
    replays: &Replays,
    now: TimestampMs,
    part: &Part,
    target: Target,
    records: &[StreamRecord],
) -> Result<Compared, PortError> {
    let mut compared = Compared { outcomes: vec![Outcome::Expired; records.len()], findings: Vec::new() };
    let mut expected = Vec::new();
    for (position, record) in records.iter().enumerate() {
        match foresee(&record.data, now.day()) {
            Foreseen::Write { project, id, version, .. } => {
                expected.push((position, Expected { project, id, version }))
            }
            Foreseen::Expired => {}
            Foreseen::Rejected(_) => {
                compared.end(position, Outcome::DeadLettered);
                compared
                    .findings
                    .extend(unreadable(replays, part, target, record).await?.map(|found| (position, found)));
            }
        }
    }
    let WritePlan { writes, losers } = plan(expected);
    losers.into_iter().for_each(|(position, outcome)| compared.end(position, outcome));
    let ids: Vec<ReportId> = writes.iter().map(|(_, expected)| expected.id).collect();
    let stored = versions(replays, target, &ids).await?;
    for ((position, expected), stored) in writes.into_iter().zip(stored) {
        let id = expected.id.to_string();
        let doubled = (stored.len() > 1).then_some(Problem::Doubled);
        let (outcome, problem) = match stored.into_iter().max() {
            Some(stored) if stored == expected.version => (Outcome::AlreadyThere, None),
            Some(stored) if stored > expected.version => (Outcome::Superseded, None),
            Some(_) => (Outcome::Applied, Some(Problem::Differing)),
            None if is_dead_letter(replays, &id).await? => (Outcome::DeadLettered, None),
            None => (Outcome::Applied, Some(Problem::Missing)),
        };
        compared.end(position, outcome);
        if let Some(problem) = doubled.or(problem) {
            compared.find(position, Finding { id, project: Some(expected.project), target, problem });
        }
    }
    Ok(compared)
}

/// What is wrong with a record that can't be applied: nothing, if it is a dead letter, or was one until its report was
/// mended and stored.
async fn unreadable(
    replays: &Replays,
    part: &Part,
    target: Target,
    record: &StreamRecord,
) -> Result<Option<Finding>, PortError> {
    let id = dead_letter_id(&part.region, &part.shard, record);
    if is_dead_letter(replays, &id).await? {
        return Ok(None);
    }
    let header = Record::decode(&record.data).ok();
    let ids: Vec<ReportId> = header.iter().map(|header| header.id).collect();
    let project = header.map(|header| header.project);
    let is_stored = versions(replays, target, &ids).await?.iter().any(|stored| !stored.is_empty());
    let found = Finding { id, project, target, problem: Problem::Missing };
    Ok(Some(found).filter(|_| !is_stored))
}

impl Compared {
    fn end(&mut self, position: usize, outcome: Outcome) {
        if let Some(there) = self.outcomes.get_mut(position) {
            *there = outcome;
        }
    }

    fn find(&mut self, position: usize, finding: Finding) {
        self.findings.push((position, finding));
    }
}

/// Whether it is a dead letter, or was one that an operator gave up.
async fn is_dead_letter(replays: &Replays, id: &str) -> Result<bool, PortError> {
    Ok(replays.ledger.dead_letter(id).await?.is_some() || is_discarded(replays, id).await?)
}

/// All versions that a store has of each of these reports, in their order: more than one where it is doubled.
///
/// # Errors
/// Bad luck of any kind.
pub(crate) async fn versions(
    replays: &Replays,
    target: Target,
    ids: &[ReportId],
) -> Result<Vec<Vec<Version>>, PortError> {
    match target {
        Target::Search => replays.search.versions(ids).await,
        Target::Ledger => {
            let rows = replays.ledger.invocations(ids).await?;
            Ok(rows.into_iter().map(|row| row.map(|row| row.version).into_iter().collect()).collect())
        }
    }
}
