//! A stream whose shards give their records as fast as Kinesis does, and no faster.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tributary_model::TimestampMs;
use tributary_model::limits::{KINESIS_READ_BYTES_PER_SECOND_MAX, STREAM_RETENTION};
use tributary_ports::stream::{
    Entry, OperatedStream, Page, Position, Reader, SequenceNumber, Shard, ShardId, Stream, StreamRecord,
};
use tributary_ports::{PortError, PortErrorKind};

/// Shards without an end. Each holds the same records over and over.
#[derive(Debug, Clone)]
pub(super) struct Pushed(Arc<Shards>);

#[derive(Debug)]
struct Shards {
    records: Vec<Bytes>,
    arrived_at: TimestampMs,
    /// What a shard gives while nobody reads.
    window_bytes: usize,
    shards: Vec<(Shard, Mutex<Flow>)>,
}

/// What a shard has given.
#[derive(Debug)]
struct Flow {
    bytes: u64,
    /// When the last byte of it had come.
    until: Instant,
}

impl Pushed {
    pub(super) fn new(shards: usize, window_bytes: usize, records: Vec<Bytes>, arrived_at: TimestampMs) -> Self {
        let shard = |number| {
            let id = ShardId(format!("shardid-{number:012}").into());
            (Shard { id, parents: Vec::new() }, Mutex::new(Flow { bytes: 0, until: Instant::now() }))
        };
        Self(Arc::new(Shards { records, arrived_at, window_bytes, shards: (0..shards).map(shard).collect() }))
    }

    /// Bytes that it has given.
    pub(super) fn bytes(&self) -> u64 {
        self.0.shards.iter().map(|(_, flow)| flow.lock().unwrap_or_else(PoisonError::into_inner).bytes).sum()
    }

    fn record(&self, number: usize) -> Option<StreamRecord> {
        let data = self.0.records.get(number % self.0.records.len())?.clone();
        let sequence_number = SequenceNumber((number + 1).to_string().into());
        Some(StreamRecord { sequence_number, partition_key: "key".into(), arrived_at: self.0.arrived_at, data })
    }
}

impl Flow {
    /// When so many bytes more have come, if they are asked for at the time `now`.
    fn give(&mut self, bytes: usize, window_bytes: usize, now: Instant) -> Instant {
        let begun = now.checked_sub(takes(window_bytes)).map_or(self.until, |earliest| earliest.max(self.until));
        self.bytes += u64::try_from(bytes).unwrap_or_default();
        self.until = begun + takes(bytes);
        self.until
    }
}

/// How long a shard takes to give so many bytes.
#[expect(clippy::cast_precision_loss, reason = "bytes of a page")]
fn takes(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / KINESIS_READ_BYTES_PER_SECOND_MAX as f64)
}

fn no<T>(operation: &'static str) -> Result<T, PortError> {
    Err(PortError::new(PortErrorKind::Invalid, operation, "a replay does not ask this"))
}

#[async_trait]
impl Stream for Pushed {
    async fn append(&self, _: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        no("pushed.append")
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        Ok(self.0.shards.iter().map(|(shard, _)| shard.clone()).collect())
    }

    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        let unknown = || PortError::new(PortErrorKind::NotFound, "pushed.read", "no such shard");
        let (_, flow) = self.0.shards.iter().find(|(known, _)| known.id == *shard).ok_or_else(unknown)?;
        let begin = match from {
            Position::After(number) => number.0.parse().map_err(|_| unknown())?,
            _ => 0,
        };
        let records: Vec<_> = (begin..begin + records_max).filter_map(|number| self.record(number)).collect();
        let bytes = records.iter().map(|record| record.data.len()).sum();
        let come = flow.lock().unwrap_or_else(PoisonError::into_inner).give(bytes, self.0.window_bytes, Instant::now());
        sleep_until(come).await;
        let next = records.last().map(|last| Position::After(last.sequence_number.clone()));
        Ok(Page { records, next, behind_ms: 1000 })
    }
}

#[async_trait]
impl Reader for Pushed {
    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        Stream::read(self, shard, from, records_max).await
    }
}

#[async_trait]
impl OperatedStream for Pushed {
    async fn reader(&self, _: &str) -> Result<Arc<dyn Reader>, PortError> {
        Ok(Arc::new(self.clone()))
    }

    async fn remove_reader(&self, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    async fn retention(&self) -> Result<Duration, PortError> {
        Ok(STREAM_RETENTION)
    }

    async fn set_retention(&self, _: Duration) -> Result<(), PortError> {
        no("pushed.set_retention")
    }
}
