//! A batch from the stream to one store; answers which records to redeliver.
//!
//! ```text
//! read (unpack, normalize) -> plan -> upsert -> endings
//!   `- what can never be applied -> dead letter: object, then row
//! ```
//!
//! Every record of a batch ends in exactly one [`Outcome`](tributary_model::Outcome). A batch may come again, in whole or
//! in part, after any of its records were applied: by a redelivery, by a crash before the checkpoint moved, by a replay
//! weeks later, or by another worker at the same time. Each write goes by id and version, so the second of two such
//! actors is told "already there" or "superseded", which are ends as good as "applied"; and a dead letter's object
//! and row are named by the record, so that writing them again leaves the same letter.

mod consumer;
mod dead_letters;
mod endings;
mod read;
mod run;
mod sink;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tributary_model::{Outcome, Region, TimestampMs};
use tributary_ports::stream::{Batch, SequenceNumber};
use tributary_ports::{Keys, Ledger, Objects, PortErrorKind};
use tributary_telemetry::WorkerFacts;

pub use consumer::{Consumer, Failure, Mark, mark_key, marks_prefix};
pub use dead_letters::dead_letter_id;
pub use read::{Foreseen, foresee};
pub use sink::Sink;

/// The consumer of one store.
pub struct Worker {
    /// The store that it writes to.
    pub target: Sink,
    /// Takes the dead letters' bytes.
    pub objects: Arc<dyn Objects>,
    /// Seals them.
    pub keys: Arc<dyn Keys>,
    /// Takes the dead letters' rows.
    pub ledger: Arc<dyn Ledger>,
    /// The stream's region: shards of different regions have the same names.
    pub region: Region,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Handled {
    /// The records to redeliver, in the batch's order; none if all were handled.
    pub redeliver: Vec<SequenceNumber>,
    /// Why the store did not take what was to be written there; none if it was asked and answered.
    pub failed: Option<PortErrorKind>,
    /// How each record ended, in the batch's order.
    pub outcomes: Vec<Outcome>,
    /// For telemetry. The caller completes `duration_ms`; a handler has no clock.
    pub facts: WorkerFacts,
}

impl Worker {
    /// Brings the records of a batch into the store.
    pub async fn handle(&self, now: TimestampMs, batch: &Batch) -> Handled {
        self.handle_with(now, batch, read::read).await
    }

    /// The same with another way to read a record.
    async fn handle_with(&self, now: TimestampMs, batch: &Batch, read: read::Read) -> Handled {
        let mut run = run::Run::new(self, now, batch, read);
        run.apply().await;
        run.write_dead_letters().await;
        run.close()
    }
}
