//! One batch on its way into the store.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use bytes::Bytes;
use tributary_model::limits::{APPLY_BYTES_MAX, REFUSED_VERSIONS_MAX};
use tributary_model::{Outcome, Outcomes, Reason, Rejection, ReportId, TimestampMs};
use tributary_pipeline::plan::{Versioned, WritePlan, plan};
use tributary_ports::stream::Batch;
use tributary_ports::{PortError, PortErrorKind, Upserted};
use tributary_telemetry::WorkerFacts;

use crate::endings::Endings;
use crate::read::{Normalized, Read, Reading, read_or_reject};
use crate::{Handled, Worker};

pub(crate) struct Run<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) now: TimestampMs,
    pub(crate) batch: &'a Batch,
    read: Read,
    pub(crate) endings: Endings,
    /// Records that can never be applied, by position.
    pub(crate) rejected: Vec<(usize, Rejection)>,
    /// How many versions of a report the store has refused.
    refused: HashMap<ReportId, usize>,
    /// What keeps records from their end: the first bad luck that was met.
    error: Option<String>,
    /// What the store answered, if that was bad luck.
    failed: Option<PortErrorKind>,
}

/// The write of one id, and the versions that lost to it in the plan.
struct Written {
    position: usize,
    id: ReportId,
    losers: Vec<(usize, Outcome)>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(worker: &'a Worker, now: TimestampMs, batch: &'a Batch, read: Read) -> Self {
        let endings = Endings::new(batch.records.len());
        Self {
            worker,
            now,
            batch,
            read,
            endings,
            rejected: Vec::new(),
            refused: HashMap::new(),
            error: None,
            failed: None,
        }
    }

    /// Brings all records that can be applied into the store, in as few calls as memory allows: one, mostly.
    ///
    /// Bad luck stops it; what has no end then is redelivered. That holds for the losers of a plan as well: they end
    /// with the write that won over them, never before it.
    pub(crate) async fn apply(&mut self) {
        let mut waiting: VecDeque<usize> = (0..self.batch.records.len()).collect();
        while !waiting.is_empty() {
            let part = self.take_part(&mut waiting);
            match self.apply_part(part).await {
                Ok(again) => waiting.extend(again),
                Err(error) => {
                    self.failed = Some(error.kind);
                    return self.note(error);
                }
            }
        }
    }

    /// Reads waiting records until their reports fill [`APPLY_BYTES_MAX`].
    fn take_part(&mut self, waiting: &mut VecDeque<usize>) -> Vec<(usize, Normalized)> {
        let mut part = Vec::new();
        let mut bytes = 0;
        while bytes < APPLY_BYTES_MAX
            && let Some(position) = waiting.pop_front()
        {
            match read_or_reject(self.read, &self.record(position), self.now.day()) {
                Ok(Reading::Normalized(normalized)) => {
                    bytes += normalized.record.payload_bytes as usize;
                    part.push((position, *normalized));
                }
                Ok(Reading::Expired) => self.endings.end(position, Outcome::Expired),
                Err(rejection) => self.rejected.push((position, rejection)),
            }
        }
        part
    }

    /// Writes one version of each id and ends the records; answers the positions to be tried after all.
    async fn apply_part(&mut self, part: Vec<(usize, Normalized)>) -> Result<Vec<usize>, PortError> {
        if part.is_empty() {
            return Ok(Vec::new());
        }
        let ids: HashMap<usize, ReportId> = part.iter().map(|(position, write)| (*position, write.id())).collect();
        let WritePlan { writes, losers } = plan(part);
        let mut losers_of: HashMap<ReportId, Vec<(usize, Outcome)>> = HashMap::new();
        for (position, outcome) in losers {
            let Some(id) = ids.get(&position) else { continue };
            losers_of.entry(*id).or_default().push((position, outcome));
        }
        let winners: Vec<(usize, ReportId)> = writes.iter().map(|(position, write)| (*position, write.id())).collect();
        let answers = self.worker.target.upsert(writes.into_iter().map(|(_, write)| write).collect()).await?;
        let mut again = Vec::new();
        for ((position, id), answer) in winners.into_iter().zip(answers) {
            let losers = losers_of.remove(&id).unwrap_or_default();
            again.extend(self.end(Written { position, id, losers }, answer));
        }
        Ok(again)
    }

    fn end(&mut self, written: Written, answer: Upserted) -> Vec<usize> {
        let outcome = match answer {
            Upserted::Applied => Outcome::Applied,
            Upserted::AlreadyThere => Outcome::AlreadyThere,
            Upserted::Superseded => Outcome::Superseded,
            Upserted::Refused(detail) => return self.refuse(written, detail),
        };
        self.endings.end(written.position, outcome);
        for (position, lost) in written.losers {
            // The store's version is greater than the winner's, and so than all of them.
            self.endings.end(position, if outcome == Outcome::Superseded { outcome } else { lost });
        }
        Vec::new()
    }

    /// What the store refuses becomes a dead letter, and so does the same version once more. Other versions that lost to
    /// it are offered to the store in their turn, the greatest first: had they come in a batch of their own, they would
    /// have been applied, and how records fall into batches must make no difference.
    fn refuse(&mut self, written: Written, detail: String) -> Vec<usize> {
        let refused = self.refused.entry(written.id).or_default();
        *refused += 1;
        let tried_enough = *refused >= REFUSED_VERSIONS_MAX;
        let shares_fate = |(_, lost): &(usize, Outcome)| tried_enough || *lost == Outcome::AlreadyThere;
        let (refused, again): (Vec<_>, Vec<_>) = written.losers.into_iter().partition(shares_fate);
        let rejection = Rejection::new(Reason::Refused, detail);
        self.rejected.extend(refused.into_iter().map(|(position, _)| (position, rejection.clone())));
        self.rejected.push((written.position, rejection));
        again.into_iter().map(|(position, _)| position).collect()
    }

    pub(crate) fn close(self) -> Handled {
        let outcomes = self.endings.close(self.error.is_none());
        let records = &self.batch.records;
        let redelivered = records.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Redelivered);
        let redeliver = redelivered.map(|(record, _)| record.sequence_number.clone()).collect();
        let facts = WorkerFacts {
            target: self.worker.target.target(),
            shard: self.batch.shard.0.clone(),
            outcomes: outcomes.iter().copied().collect::<Outcomes>(),
            records: records.len(),
            bytes: records.iter().map(|record| record.data.len()).sum(),
            duration_ms: 0,
            error: self.error,
        };
        Handled { redeliver, failed: self.failed, outcomes, facts }
    }

    /// The bytes of the record at `position`.
    pub(crate) fn record(&self, position: usize) -> Bytes {
        self.batch.records.get(position).map(|record| record.data.clone()).unwrap_or_default()
    }

    /// Keeps the first bad luck for the facts.
    pub(crate) fn note(&mut self, error: impl fmt::Display) {
        self.error.get_or_insert_with(|| error.to_string());
    }
}
