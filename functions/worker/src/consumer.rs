//! The live consumer: a worker that leaves marks of how far it is and what failed, for the custodian to read.
//!
//! A mark is an object for each consumer and shard. It is written when a batch fails, when one is handled after that,
//! and otherwise once in [`MARK_INTERVAL`]; a mark that can't be written costs nothing but the mark. Two instances of a
//! worker may write the mark of one shard, one after the other: the later one counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tributary_model::limits::{MARK_INTERVAL, MARKED_SHARDS_MAX};
use tributary_model::{Region, Target, TimestampMs};
use tributary_ports::objects::Condition;
use tributary_ports::stream::{Batch, ShardId};
use tributary_ports::{LiveSettings, PortErrorKind};

use crate::{Handled, Worker};

/// How far a consumer is with a shard, and what keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The shard.
    pub shard: ShardId,
    /// When the mark was left.
    pub at: TimestampMs,
    /// When the last record arrived that was handled with all before it in its batch, or the first of a batch while none was:
    /// nothing that arrived before waits.
    pub through: Option<TimestampMs>,
    /// What has failed since the last batch was handled; none if nothing has.
    pub failure: Option<Failure>,
}

/// Batches of a shard that failed one after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What the store answered last.
    pub kind: PortErrorKind,
    /// When the first of them failed.
    pub since: TimestampMs,
    /// When the last of them failed.
    pub last: TimestampMs,
    /// How many batches failed.
    pub batches: u64,
    /// Records of them. A record whose batch failed twice counts twice.
    pub records: u64,
}

/// What the keys of a consumer's marks begin with: `marks/<region>/<consumer>/`.
#[must_use]
pub fn marks_prefix(region: &Region, consumer: Target) -> String {
    format!("marks/{region}/{}/", consumer.as_str())
}

/// The key of a shard's mark. Names of shards differ in more than case.
#[must_use]
pub fn mark_key(region: &Region, consumer: Target, shard: &ShardId) -> String {
    format!("{}{}.json", marks_prefix(region, consumer), shard.0.to_ascii_lowercase())
}

/// The worker of the stream's consumer. (A replay calls [`Worker::handle`]: it leaves no marks.)
pub struct Consumer {
    worker: Worker,
    settings: Arc<LiveSettings>,
    marks: Mutex<HashMap<ShardId, Mark>>,
}

impl Consumer {
    /// A consumer that knows no mark yet, and keeps the settings of its process's stores fresh.
    #[must_use]
    pub fn new(worker: Worker, settings: Arc<LiveSettings>) -> Self {
        Self { worker, settings, marks: Mutex::default() }
    }

    /// Brings the records of a batch into the store, as [`Worker::handle`] does, and marks it.
    pub async fn handle(&self, now: TimestampMs, batch: &Batch) -> Handled {
        // What can't be read is the custodian's to tell; the settings stay as they were.
        let _ = self.settings.refresh(self.worker.objects.as_ref(), now).await;
        let handled = self.worker.handle(now, batch).await;
        let known = self.known(&batch.shard).await;
        let mark = next_mark(now, batch, &handled, known.as_ref());
        if is_due(&mark, known.as_ref()) {
            self.leave(mark).await;
        }
        handled
    }

    /// The shard's mark as it was left last. What this instance has not left itself is read: another may have.
    async fn known(&self, shard: &ShardId) -> Option<Mark> {
        if let Some(mark) = self.marks.lock().unwrap_or_else(PoisonError::into_inner).get(shard) {
            return Some(mark.clone());
        }
        let key = mark_key(&self.worker.region, self.worker.target.target(), shard);
        let object = self.worker.objects.get(&key).await.ok().flatten()?;
        serde_json::from_slice(&object.bytes).ok()
    }

    async fn leave(&self, mark: Mark) {
        let key = mark_key(&self.worker.region, self.worker.target.target(), &mark.shard);
        let Ok(bytes) = serde_json::to_vec(&mark) else { return };
        // Left or not, the next one is due no sooner: a store that is away is not to be asked with every batch.
        let _ = self.worker.objects.put(&key, Bytes::from(bytes), Condition::Always).await;
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() >= MARKED_SHARDS_MAX {
            marks.clear(); // they are read again
        }
        marks.insert(mark.shard.clone(), mark);
    }
}

/// The mark after a batch.
fn next_mark(now: TimestampMs, batch: &Batch, handled: &Handled, known: Option<&Mark>) -> Mark {
    let before = known.and_then(|mark| mark.failure.clone());
    // What comes before a batch is handled: it would come first.
    let first = batch.records.first().map(|record| record.arrived_at);
    let through = known.and_then(|mark| mark.through).or(first);
    let (through, failure) = match handled.failed {
        Some(kind) => {
            let before = before.unwrap_or(Failure { kind, since: now, last: now, batches: 0, records: 0 });
            let records = before.records + u64::try_from(handled.redeliver.len()).unwrap_or(0);
            (through, Some(Failure { kind, last: now, batches: before.batches + 1, records, ..before }))
        }
        // Only a dead letter could not be written: the store itself does not fail.
        None if !handled.redeliver.is_empty() => (through, before),
        None => (batch.records.last().map(|record| record.arrived_at).or(through), None),
    };
    Mark { shard: batch.shard.clone(), at: now, through, failure }
}

fn is_due(mark: &Mark, known: Option<&Mark>) -> bool {
    let Some(known) = known else { return true };
    mark.failure != known.failure || known.at.plus(MARK_INTERVAL) <= mark.at
}

#[cfg(test)]
mod tests {
    use tributary_model::Target;

    use super::*;
    use crate::tests::doubles::*;

    async fn mark(world: &World) -> Mark {
        let key = mark_key(&Region::local(), Target::Search, &ShardId("0".into()));
        serde_json::from_slice(&world.shelf.object(&key)).expect("a mark")
    }

    #[tokio::test]
    async fn a_failing_store_is_marked_until_a_batch_is_handled() {
        let world = World::default();
        let consumer = Consumer::new(world.worker(Target::Search), Arc::default());
        let batch = batch(&[record("a", 5), record("b", 5)]);
        let unavailable = Fault::Fails(PortErrorKind::Unavailable);
        world.search.upserts_fail(&[unavailable, Fault::Fails(PortErrorKind::Denied)]);
        consumer.handle(NOW, &batch).await;
        consumer.handle(NOW.plus_ms(1), &batch).await;
        let failure = Failure { kind: PortErrorKind::Denied, since: NOW, last: NOW.plus_ms(1), batches: 2, records: 4 };
        let marked = mark(&world).await;
        assert_eq!((marked.through, marked.failure), (Some(NOW), Some(failure)));
        consumer.handle(NOW.plus_ms(2), &batch).await;
        let marked = mark(&world).await;
        assert_eq!((marked.at, marked.through, marked.failure), (NOW.plus_ms(2), Some(NOW), None));
    }

    #[tokio::test]
    async fn what_another_instance_marked_goes_on() {
        let world = World::default();
        let batch = batch(&[record("a", 5)]);
        world.search.upserts_fail(&[Fault::Fails(PortErrorKind::Throttled), Fault::Fails(PortErrorKind::Throttled)]);
        for instance in 0..2 {
            Consumer::new(world.worker(Target::Search), Arc::default()).handle(NOW.plus_ms(instance), &batch).await;
        }
        let failure = mark(&world).await.failure.expect("a failure");
        assert_eq!((failure.since, failure.batches), (NOW, 2));
        Consumer::new(world.worker(Target::Search), Arc::default()).handle(NOW.plus_ms(2), &batch).await;
        assert_eq!(mark(&world).await.failure, None);
    }

    #[tokio::test]
    async fn a_healthy_consumer_leaves_a_mark_now_and_then() {
        let world = World::default();
        let consumer = Consumer::new(world.worker(Target::Search), Arc::default());
        let batch = batch(&[record("a", 5)]);
        let interval_ms = i64::try_from(MARK_INTERVAL.as_millis()).expect("small");
        for (later_ms, marked_ms) in [(0, 0), (interval_ms - 1, 0), (interval_ms, interval_ms)] {
            consumer.handle(NOW.plus_ms(later_ms), &batch).await;
            assert_eq!(mark(&world).await.at, NOW.plus_ms(marked_ms));
        }
    }

    #[tokio::test]
    async fn a_mark_that_cannot_be_left_costs_nothing_else() {
        let world = World::default();
        world.shelf.puts_fail(&[Fault::Fails(PortErrorKind::Unavailable)]);
        let consumer = Consumer::new(world.worker(Target::Search), Arc::default());
        let handled = consumer.handle(NOW, &batch(&[record("a", 5)])).await;
        assert_eq!((handled.redeliver.len(), handled.failed), (0, None));
        assert_eq!(world.search.written().len(), 1);
    }

    #[tokio::test]
    async fn a_dead_letter_that_cannot_be_written_does_not_blame_the_store() {
        let world = World::default();
        world.search.refuse(id("a"), version(5));
        world.ledger.dead_letter_rows_fail(&[Fault::Fails(PortErrorKind::Unavailable)]);
        let handled =
            Consumer::new(world.worker(Target::Search), Arc::default()).handle(NOW, &batch(&[record("a", 5)])).await;
        assert_eq!((handled.redeliver.len(), handled.failed), (1, None));
        let marked = mark(&world).await;
        assert_eq!((marked.through, marked.failure), (Some(NOW), None), "since when it waits, a mark says");
    }
}
