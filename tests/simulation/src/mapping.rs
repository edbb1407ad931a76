//! An event source mapping, as Lambda drives one: a small model of it, since the embedded poller's own threads and files
//! could not be held to one order.
//!
//! Each shard is read in its order, parents to their end before children; one batch of a shard is under way at a time.
//! The worker's answer names what comes again; a worker that is killed, or takes too long, has handled nothing, and the
//! batch comes again in halves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tributary_model::{Outcome, Record, Target, Version};
use tributary_pipeline::normalize::NORMALIZER;
use tributary_ports::Stream;
use tributary_ports::stream::{Batch, Position, SequenceNumber, Shard, ShardId, StreamRecord};
use tributary_worker::{Consumer, Handled};

use crate::bug::Bug;
use crate::invariant::Invariant;
use crate::ports::control::MemoryControl;
use crate::ports::stream::MemoryStream;
use crate::stores::Stores;
use crate::story::About;
use crate::weather::Place;
use crate::world::{Process, World, lock};

/// Lambda ends a worker after this time.
const WORKER_LIVES: Duration = Duration::from_secs(60);
/// Pause after a read, or a batch, that failed; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    After(SequenceNumber),
    Finished,
}

pub(crate) struct Mapping {
    pub(crate) world: Arc<World>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) stream: Arc<MemoryStream>,
    pub(crate) control: Arc<MemoryControl>,
    pub(crate) consumer: Target,
    worker: Mutex<Arc<Consumer>>,
    pub(crate) batch_records: usize,
    progress: Mutex<BTreeMap<ShardId, Progress>>,
}

impl Mapping {
    pub(crate) fn new(
        world: &Arc<World>,
        stores: &Arc<Stores>,
        control: &Arc<MemoryControl>,
        consumer: Target,
    ) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            stores: Arc::clone(stores),
            stream: Arc::clone(&stores.stream),
            control: Arc::clone(control),
            consumer,
            worker: Mutex::new(Arc::new(Consumer::new(stores.worker(consumer), Arc::default()))),
            batch_records: world.draw(|random| 1 + random.below(20)),
            progress: Mutex::default(),
        })
    }

    /// Drives the consumer for as long as the world lasts.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut driven = BTreeSet::new();
        loop {
            if let Ok(shards) = self.stream.shards().await {
                for shard in shards.iter().filter(|shard| self.is_ready(shard)) {
                    if driven.insert(shard.id.clone()) {
                        tokio::spawn(Arc::clone(&self).drive(shard.id.clone()));
                    }
                }
            }
            tokio::time::sleep(self.world.pause(Duration::from_secs(2))).await;
        }
    }

    fn is_ready(&self, shard: &Shard) -> bool {
        let progress = lock(&self.progress);
        shard.parents.iter().all(|parent| progress.get(parent) == Some(&Progress::Finished))
    }

    /// Whether the consumer runs and has something to deliver.
    pub(crate) fn delivers(&self) -> bool {
        self.control.runs(self.consumer) && !self.has_caught_up()
    }

    /// Whether everything in the stream is handled.
    pub(crate) fn has_caught_up(&self) -> bool {
        let progress = lock(&self.progress);
        self.stream.ends().into_iter().all(|(shard, end)| match (end, progress.get(&shard)) {
            (None, _) | (Some(_), Some(Progress::Finished)) => true,
            (Some(end), Some(Progress::After(number))) => *number >= end,
            (Some(_), None) => false,
        })
    }

    async fn drive(self: Arc<Self>, shard: ShardId) {
        let (mut failures, mut size) = (0, self.batch_records);
        loop {
            self.control.until_running(self.consumer).await;
            let news = self.stream.news.rung();
            let Ok(page) = self.stream.read(&shard, &self.position(&shard), size).await else {
                tokio::time::sleep(PAUSE_FIRST).await;
                continue;
            };
            let ended = page.next.is_none();
            if (page.records.is_empty() || self.world.has(Bug::FinishShardEarly)) && ended {
                lock(&self.progress).insert(shard, Progress::Finished);
                return;
            }
            let is_tail = self.world.has(Bug::ForgetTheTail) && page.records.len() < 2;
            if page.records.is_empty() || is_tail {
                self.wait(news, page.behind_ms > 0).await;
                continue;
            }
            // What was read while the consumer was told to pause is read again.
            if !self.control.runs(self.consumer) {
                continue;
            }
            let batch = Batch { shard: shard.clone(), records: page.records };
            let (passed, killed) = self.deliver(&batch, failures).await;
            failures = if passed { 0 } else { failures + 1 };
            size = if killed { (batch.records.len() / 2).max(1) } else { self.batch_records };
            if failures > 0 {
                tokio::time::sleep(self.pause(failures)).await;
            }
        }
    }

    /// Until there may be something to read.
    async fn wait(&self, news: u64, more: bool) {
        let longest = if more { Duration::from_millis(200) } else { self.world.pause(Duration::from_secs(30)) };
        let _ = tokio::time::timeout(longest, self.stream.news.after(news)).await; // either is a reason to look
    }

    /// Before a batch is delivered again. One that waits for another consumer's store, for its dead letters, waits longer in
    /// quiet days.
    fn pause(&self, failures: usize) -> Duration {
        let pause = pause(failures);
        let waits = pause == PAUSE_LONGEST && !self.world.is_out(Place::of(self.consumer));
        if waits { self.world.pause(pause) } else { pause }
    }

    fn position(&self, shard: &ShardId) -> Position {
        match lock(&self.progress).get(shard) {
            Some(Progress::After(number)) => Position::After(number.clone()),
            _ => Position::Horizon,
        }
    }

    /// Gives a batch to a worker; answers whether the checkpoint moved, and whether the worker was killed.
    async fn deliver(&self, batch: &Batch, failures: usize) -> (bool, bool) {
        self.control.busy(self.consumer, 1);
        if self.world.has(Bug::CheckpointEarly) {
            self.pass(batch, batch.records.len());
        }
        let (worker, now, records) = (self.worker(), self.world.now(), batch.clone());
        let running = self.world.start(Process::Worker, async move { worker.handle(now, &records).await });
        let aborts = running.abort_handle();
        let ended = tokio::time::timeout(WORKER_LIVES, running).await;
        aborts.abort();
        self.control.busy(self.consumer, -1);
        let (handled, killed) = match ended {
            Ok(Ok(handled)) => (self.handled(batch, &handled), false),
            _ if self.world.has(Bug::KilledIsHandled) => (batch.records.len(), false),
            _ => (0, true),
        };
        let gives_up = self.world.has(Bug::GiveUpAfterRetries) && failures >= 2;
        let handled = if gives_up { batch.records.len() } else { handled };
        self.pass(batch, handled);
        (handled > 0, killed)
    }

    /// An instance of the worker: mostly the one that is warm, now and then a new one.
    fn worker(&self) -> Arc<Consumer> {
        let mut worker = lock(&self.worker);
        if self.world.draw(|random| random.percent(10.0)) {
            *worker = Arc::new(Consumer::new(self.stores.worker(self.consumer), Arc::default()));
        }
        Arc::clone(&worker)
    }

    /// How many records, from the first on, the worker has handled.
    fn handled(&self, batch: &Batch, handled: &Handled) -> usize {
        let outcomes = handled.facts.outcomes;
        let redelivered = u64::try_from(handled.redeliver.len()).unwrap_or(u64::MAX);
        let adds_up = outcomes.total() == batch.records.len() as u64
            && outcomes.of(Outcome::Redelivered) == redelivered
            && (redelivered == 0 || handled.facts.error.is_some());
        self.world.check(adds_up, Invariant::OutcomesAddUp, None, || {
            format!("a batch of {} records ends in {outcomes:?}, {redelivered} to redeliver", batch.records.len())
        });
        if self.world.has(Bug::IgnoreRedelivery) {
            return batch.records.len();
        }
        let position =
            |number: &SequenceNumber| batch.records.iter().position(|record| record.sequence_number == *number);
        // A number that is not of the batch means the whole batch.
        handled.redeliver.iter().map(|number| position(number).unwrap_or(0)).min().unwrap_or(batch.records.len())
    }

    /// Moves the checkpoint behind the first `count` records.
    fn pass(&self, batch: &Batch, count: usize) {
        let Some(last) = count.checked_sub(1).and_then(|at| batch.records.get(at)) else { return };
        for record in batch.records.iter().take(count) {
            self.check_handled(&batch.shard, record);
        }
        let number = last.sequence_number.clone();
        self.world.tell("mapping", About::Reports(ids(batch, count)), || {
            format!("the checkpoint of {} on {} is {number}", self.consumer.as_str(), batch.shard)
        });
        self.stream.passed(self.consumer, &batch.shard, number.clone());
        lock(&self.progress).insert(batch.shard.clone(), Progress::After(number));
    }

    fn check_handled(&self, shard: &ShardId, record: &StreamRecord) {
        let (id, handled) = match Record::decode(&record.data) {
            Ok(header) => {
                let version = Version::new(NORMALIZER, header.received_at);
                let stored = self.stores.was_stored(self.consumer, header.id, version);
                (Some(header.id), stored || self.stores.is_dead_letter(self.consumer, &header.id.to_string()))
            }
            Err(_) => {
                let name = format!("record-local-{shard}-{}", record.sequence_number);
                (None, self.stores.is_dead_letter(self.consumer, &name))
            }
        };
        self.world.check(handled, Invariant::CheckpointPassesOnlyHandled, id, || {
            format!("{}'s checkpoint passes {} of {shard}", self.consumer.as_str(), record.sequence_number)
        });
    }
}

fn ids(batch: &Batch, count: usize) -> Vec<tributary_model::ReportId> {
    let records = batch.records.iter().take(count).filter_map(|record| Record::decode(&record.data).ok());
    records.map(|record| record.id).collect()
}

fn pause(failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    (PAUSE_FIRST * 2_u32.pow(doublings)).min(PAUSE_LONGEST)
}
