//! The stream: durable, sharded by partition key, ordered within a shard, kept for its retention.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tributary_model::TimestampMs;

use crate::PortError;

/// A shard's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub Box<str>);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record's place in its shard: a decimal number of any length without leading zeros (Kinesis: up to 56 digits).
/// Greater is later; the numbers of a shard have gaps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SequenceNumber(pub Box<str>);

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Decides the shard; 1 to 256 bytes.
    pub partition_key: Box<str>,
    /// The record's wire format, at most `RECORD_BYTES_MAX` bytes with its key.
    pub data: Bytes,
}

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its place in the shard.
    pub sequence_number: SequenceNumber,
    /// As it was appended.
    pub partition_key: Box<str>,
    /// When the stream took it in (approximate, and not strictly ascending within a shard).
    pub arrived_at: TimestampMs,
    /// As it was appended.
    pub data: Bytes,
}

/// What a consumer takes in at once: records of one shard, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The shard they were read from.
    pub shard: ShardId,
    /// At most `BATCH_RECORDS_MAX` records of together at most `BATCH_BYTES_MAX` bytes.
    pub records: Vec<StreamRecord>,
}

/// A shard; one that was split or merged stays readable until its last record's retention ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its name.
    pub id: ShardId,
    /// The shards it came from, which are to be read to their end before it.
    pub parents: Vec<ShardId>,
}

/// Where to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// The oldest record that is kept.
    Horizon,
    /// This record, or the first after it if it is no longer kept.
    At(SequenceNumber),
    /// The first record after this one.
    After(SequenceNumber),
    /// The first record that arrived at this time or later. The time has come: Kinesis refuses a later one as `Invalid`; and
    /// since it is told in seconds as a decimal fraction, a record that arrived a millisecond before may come, too.
    AtTime(TimestampMs),
}

/// One answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the shard's order; may be empty though more follow.
    pub records: Vec<StreamRecord>,
    /// Where to go on; none when the shard has ended and everything of it was read.
    pub next: Option<Position>,
    /// How far the page's end is behind the shard's end: 0 when it has caught up.
    pub behind_ms: u64,
}

/// The stream. Appended means durable: it survives a crash of everything.
#[async_trait]
pub trait Stream: Send + Sync {
    /// Appends all entries and answers the sequence number of each, in the order of `entries`. In its shard an entry comes
    /// behind those of every append that was answered before; among the entries of one append there is no order, since on
    /// Kinesis those that fail are sent again behind their neighbours.
    ///
    /// # Errors
    /// If not all were stored, after the adapter's own retries; some may be. Appending all of them again is safe, since
    /// consumers know a report by its id. `Throttled` and `Unavailable` are the sender's to retry; `Invalid` for an entry
    /// that is too large or without a key, in which case nothing is stored.
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError>;

    /// All shards that are still readable, parents before children.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn shards(&self) -> Result<Vec<Shard>, PortError>;

    /// Reads up to `records_max` records of a shard (and no more than a page's bytes), without waiting for new ones.
    ///
    /// # Errors
    /// `NotFound` if there is no such shard; otherwise bad luck.
    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError>;
}

/// Reads a stream without taking from what its ordinary readers share.
#[async_trait]
pub trait Reader: Send + Sync {
    /// As [`Stream::read`], but it may wait a few seconds for a page.
    ///
    /// # Errors
    /// `NotFound` if there is no such shard, or the reader was removed; otherwise bad luck.
    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError>;
}

/// A stream as those see it who replay it and who keep it: apart from [`Stream`], since whoever only appends or consumes
/// has no such rights.
#[async_trait]
pub trait OperatedStream: Stream {
    /// A reader of its own under `name` (1 to 128 ASCII letters, digits, `_`, `.` and `-`), made if there is none yet. On
    /// Kinesis it is a fan-out consumer with 2 MB/s of each shard for itself, which is paid for until it is removed. One
    /// reader reads a shard at one position at a time.
    ///
    /// # Errors
    /// `Throttled` if the stream has as many readers as it may (Kinesis: 20); otherwise bad luck.
    async fn reader(&self, name: &str) -> Result<Arc<dyn Reader>, PortError>;

    /// Removes a reader; one that is not there is removed already.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn remove_reader(&self, name: &str) -> Result<(), PortError>;

    /// How long the stream keeps a record.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn retention(&self) -> Result<Duration, PortError>;

    /// Changes how long the stream keeps a record, of those that are there, too. The stream may keep it longer: Kinesis
    /// counts whole hours, and 24 of them at least.
    ///
    /// # Errors
    /// `Invalid` for more than `STREAM_RETENTION_MAX`, `Conflict` while the stream is being changed otherwise; otherwise
    /// bad luck.
    async fn set_retention(&self, retention: Duration) -> Result<(), PortError>;
}
