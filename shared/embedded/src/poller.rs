//! The event source poller: drives a consumer over a stream with the semantics of a Lambda event source mapping.
//!
//! - Each shard is read in order, parents to their end before children. A shard's records go into as many lanes as the
//!   parallelization says, by partition key; a lane has one batch under way at most, so the records of a key are handled
//!   in their order.
//! - A batch is delivered when it is full, or when its first record has waited for the window.
//! - The consumer answers the numbers to redeliver. Everything from the lowest on comes again, with what was read since
//!   behind it; a number that is not of the batch, or a panic, is the whole batch. Redelivery has no end: what can never
//!   be handled is the consumer's to put aside. If no record was handled, the pause before the next delivery doubles.
//! - The checkpoint of a shard passes a record only when it and all before it are handled. It is written after each batch;
//!   what was handled since the last one comes again after a crash.
//! - Told of other batches, a reader lets those under way end and goes on from its checkpoint with lanes of the new kind.
//! - Paused, no batch is delivered, and what is read stays in memory, bounded.

mod checkpoint;
mod lanes;
mod shard;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tributary_model::store_settings::Batches;
use tributary_model::{TimestampMs, limits};
use tributary_ports::stream::{SequenceNumber, Shard, ShardId, Stream};
use tributary_ports::{Consume, Target};

use crate::control::{FileControl, Switch};
use checkpoint::Checkpoints;
use shard::{End, Reader};

/// How a consumer is driven.
#[derive(Debug, Clone, Copy)]
pub struct PollerSettings {
    /// What is delivered at once, until the consumer's control says otherwise.
    pub batches: Batches,
    /// How long a batch that is not full waits for more records.
    pub window: Duration,
    /// How often a shard is read while nothing says that it has new records.
    pub poll_interval: Duration,
    /// Pause after the first delivery, or read, without success.
    pub redelivery_delay_min: Duration,
    /// Most of that pause.
    pub redelivery_delay_max: Duration,
}

impl Default for PollerSettings {
    fn default() -> Self {
        Self {
            batches: Batches { records: limits::BATCH_RECORDS, concurrency: 1 },
            window: limits::BATCH_WINDOW,
            poll_interval: limits::POLL_INTERVAL,
            redelivery_delay_min: limits::REDELIVERY_DELAY_MIN,
            redelivery_delay_max: limits::REDELIVERY_DELAY_MAX,
        }
    }
}

impl PollerSettings {
    /// These settings with the batches that the consumer's control tells of.
    fn with(self, batches: Option<Batches>) -> Self {
        let Batches { records, concurrency } = batches.unwrap_or(self.batches);
        let records = records.clamp(1, limits::BATCH_RECORDS_MAX);
        let concurrency = concurrency.clamp(1, limits::PARALLELIZATION_MAX);
        Self { batches: Batches { records, concurrency }, ..self }
    }
}

/// What a poller reads.
#[derive(Clone)]
pub struct Feed {
    /// The stream.
    pub stream: Arc<dyn Stream>,
    /// Changes when there is something new to read. Without it, shards that were read to their end are read again after
    /// the poll interval.
    pub news: Option<watch::Receiver<u64>>,
}

/// How far a consumer is with a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLag {
    /// The shard.
    pub shard: ShardId,
    /// All records up to this one are handled; none if no record of the shard was.
    pub checkpoint: Option<SequenceNumber>,
    /// For how long the oldest record that was read and is not handled lies in the stream; otherwise how far the shard's
    /// end is away.
    pub behind_ms: u64,
    /// Records that were read and are not covered by the checkpoint.
    pub outstanding: usize,
    /// Deliveries of one batch, or reads, without success until now.
    pub failures: u32,
    /// Why the last read failed, or the last checkpoint could not be written.
    pub last_error: Option<String>,
}

/// What readers know of their shards, with the arrival of the oldest record that is not handled.
type Lags = Arc<Mutex<BTreeMap<ShardId, (ShardLag, Option<TimestampMs>)>>>;

/// One consumer's poller. Dropped, it delivers no further batch.
#[derive(Debug)]
pub struct Poller {
    stop: watch::Sender<bool>,
    lags: Lags,
    coordinator: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Poller {
    /// Starts to drive `consume` from the checkpoint of `target`, within a runtime.
    pub fn start(
        feed: Feed,
        consume: Arc<dyn Consume>,
        control: &FileControl,
        target: Target,
        settings: PollerSettings,
    ) -> Self {
        let stop = watch::Sender::new(false);
        let lags = Lags::default();
        let coordinator = Coordinator {
            feed,
            consume,
            checkpoints: Checkpoints::open(control.dir(), target),
            switch: Arc::clone(control.switch(target)),
            settings,
            stop: stop.subscribe(),
            lags: Arc::clone(&lags),
            readers: JoinSet::new(),
            reading: HashMap::new(),
            resting: BTreeSet::new(),
        };
        let coordinator = tokio::sync::Mutex::new(Some(tokio::spawn(coordinator.run())));
        Self { stop, lags, coordinator }
    }

    /// Delivers no further batch, and returns when those under way have ended and their checkpoints are written.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let mut coordinator = self.coordinator.lock().await;
        if let Some(running) = coordinator.as_mut() {
            // It ends by a panic only if the runtime does.
            let _ = running.await;
        }
        *coordinator = None;
    }

    /// How far the consumer is, shard by shard.
    #[must_use]
    pub fn lag(&self, now: TimestampMs) -> Vec<ShardLag> {
        let lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.values()
            .map(|(lag, oldest_at)| {
                let waited = oldest_at.map(|at| u64::try_from(now.0.saturating_sub(at.0)).unwrap_or_default());
                ShardLag { behind_ms: waited.map_or(lag.behind_ms, |waited| waited.max(1)), ..lag.clone() }
            })
            .collect()
    }
}

/// Starts a reader for each shard whose turn it is.
struct Coordinator {
    feed: Feed,
    consume: Arc<dyn Consume>,
    checkpoints: Arc<Checkpoints>,
    switch: Arc<Switch>,
    settings: PollerSettings,
    stop: watch::Receiver<bool>,
    lags: Lags,
    readers: JoinSet<End>,
    reading: HashMap<Id, ShardId>,
    /// Shards that were not found, or whose reader panicked: not read again before the next regular listing.
    resting: BTreeSet<ShardId>,
}

impl Coordinator {
    async fn run(mut self) {
        let mut failures = 0;
        while !is_stopped(&self.stop) {
            let wait = if let Ok(shards) = self.feed.stream.shards().await {
                failures = 0;
                self.start_readers(&shards);
                limits::POLL_SHARDS_INTERVAL
            } else {
                failures += 1;
                lanes::pause(failures, &self.settings)
            };
            tokio::select! {
                Some(ended) = self.readers.join_next_with_id() => self.ended(ended),
                () = tokio::time::sleep(wait) => self.resting.clear(),
                _ = self.stop.changed() => {}
            }
        }
        while self.readers.join_next().await.is_some() {}
    }

    fn start_readers(&mut self, shards: &[Shard]) {
        let listed: BTreeSet<&ShardId> = shards.iter().map(|shard| &shard.id).collect();
        self.checkpoints.keep(&listed);
        self.lags.lock().unwrap_or_else(PoisonError::into_inner).retain(|shard, _| listed.contains(shard));
        for shard in shards {
            let mut busy = self.reading.values().chain(&self.resting);
            let waits = |parent: &ShardId| listed.contains(parent) && !self.checkpoints.is_finished(parent);
            let is_ready = !self.checkpoints.is_finished(&shard.id) && !shard.parents.iter().any(waits);
            if is_ready && !busy.any(|busy| *busy == shard.id) {
                let reader = Reader::new(self, shard.id.clone());
                self.reading.insert(self.readers.spawn(reader.run()).id(), shard.id.clone());
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, End), JoinError>) {
        let (id, end) = ended.unwrap_or_else(|error| (error.id(), End::Gone));
        if let Some(shard) = self.reading.remove(&id).filter(|_| end == End::Gone) {
            self.resting.insert(shard);
        }
    }
}

/// Whether the poller is to stop, or is gone.
fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}
