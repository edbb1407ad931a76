//! The stream on one machine: a durable log of our own.
//!
//! # Why it is as it is
//!
//! - **An append is answered when it is durable**, and a disk takes 1 to 4 ms for one fdatasync, whether of one record
//!   or of a thousand. So all appends that wait share one: while one group is made durable the next gathers, and shards
//!   share one log, or each would need an fsync of its own.
//! - **The CPU of an append is what a collector pays per report**, and its goal is 18 µs for everything. An fsync costs
//!   150 to 250 µs of CPU, so it matters how many share it: before a commit begins, it waits for a moment until most of
//!   the senders that there seem to be have handed in a record, never longer than twice the commit before took and than
//!   [`STREAM_GATHER_MAX`](tributary_model::limits::STREAM_GATHER_MAX). Without a disk an append costs 1.5 to 2 µs: a
//!   frame is built once, in the buffer that is written, and one notification wakes all that wait for a commit. A tree of
//!   any kind would sort and compact records that are read in the order they came in.
//! - **Retention deletes whole files**, so what is deleted is gone from the disk, and costs nothing while it happens.
//! - **A record is found without reading the segment before it**: every 256 KiB of a segment has an entry in an index,
//!   in memory and, once the segment is closed, behind its last frame. That is a ten-thousandth of the log: 10 MB of
//!   memory for 100 GB, and opening reads only it. A segment that a crash left open is walked over: at most 64 MiB and
//!   one commit.
//! - Space is not allocated ahead. Written zeros, `fallocate` and plain appending were measured on ext4: fdatasync takes
//!   4 ms (median and 90th percentile) with each.
//!
//! # On disk
//!
//! `meta.json` is replaced atomically: the count of shards and the salt (fixed), the first sequence number that no opening
//! has claimed yet, and the retention if it was changed. `lock` is locked while the stream is open. Everything else is segments, named by the number
//! of their first record with 20 digits: `01882464853196324864.log`. All integers are big-endian.
//!
//! | a segment | bytes | what |
//! |---|---|---|
//! | header | 8 | `TRIBLOG1`; the last byte is the format's version |
//! | | 4 | the salt |
//! | | 8 | the first record's sequence number |
//! | | 4 | CRC-32 of the 20 bytes before |
//! | frames | | one for each record |
//! | index | 24 each | sequence number (8) and offset (8) of a frame, latest arrival before it in the segment (8) |
//! | footer | 8 | where the frames end |
//! | | 8 | how many there are |
//! | | 8 | the last one's sequence number |
//! | | 8 + 8 | earliest and latest arrival |
//! | | 4 | CRC-32 of index and footer, begun with the salt |
//! | | 8 | `TRIBEND1` |
//!
//! | a frame | bytes | what |
//! |---|---|---|
//! | length | 4 | of what follows the checksum: 21 to 1,048,596 |
//! | checksum | 4 | CRC-32 of all other bytes of the frame, begun with the salt |
//! | sequence number | 8 | strictly ascending through the whole log |
//! | arrived at | 8 | milliseconds since 1970, signed |
//! | shard | 2 | |
//! | key's length | 2 | 1 to 256 |
//! | partition key | n | UTF-8 |
//! | data | rest | the record |
//!
//! The salt is random and not known to senders: what they send can't be taken for a frame when a reader looks for the next
//! one behind a damaged place.
//!
//! # What holds
//!
//! - A segment's name in the folder is durable before anything in it is acknowledged.
//! - Readers see durable records only.
//! - A segment is appended to by the opening that made it, and by no other. After a failed write or fsync it is never
//!   appended to again: the kernel marks pages clean after an fsync that failed, and the next one succeeds without them.
//!   All waiting senders hear that the stream is unavailable.
//! - Sequence numbers are never used twice: each opening claims 2^32 of them before it uses the first.
//! - Behind the last whole frame of a segment that a crash left open, nothing was acknowledged: it is cut off. Damage
//!   anywhere else is gone past, and counted in [`StreamHealth`]; [`check`] lists it.
//! - A record's shard is the CRC-32 of its partition key, scaled to the count of shards (Kinesis: MD5, likewise).

mod check;
mod commit;
mod frame;
mod frames;
mod health;
mod index;
mod log;
mod meta;
mod read;
mod segment;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tributary_model::{TimestampMs, limits};
use tributary_ports::stream::{Entry, OperatedStream, Page, Position, Reader, SequenceNumber, Shard, ShardId, Stream};
use tributary_ports::{PortError, PortErrorKind};

pub use check::{Problem, Report, check};
pub use health::StreamHealth;

use crate::{blocking, files};
use commit::Queue;
use log::{Bounds, Log};
use meta::Meta;
use read::{Begin, Wanted};

/// The file that is locked while the stream is open.
const LOCK: &str = "lock";
const OPEN: &str = "stream.open";
const SET_RETENTION: &str = "stream.set_retention";

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> TimestampMs + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> TimestampMs + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    fn now(&self) -> TimestampMs {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How a stream is kept.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Says when records arrive, and which have expired.
    pub clock: Clock,
    /// Shards of a new stream, 1 to `STREAM_SHARDS_MAX`; one that is there keeps the count it has.
    pub shards: u16,
    /// How long a record is kept, unless that was changed while the stream was open ([`OperatedStream::set_retention`]).
    pub retention: Duration,
    /// Bytes at which a segment is closed.
    pub segment_bytes_max: u64,
    /// Age of its first record at which a segment is closed.
    pub segment_age_max: Duration,
    /// Bytes that may wait to be stored.
    pub queue_bytes_max: usize,
}

impl StreamSettings {
    /// The defaults of [`limits`].
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self {
            clock,
            shards: limits::STREAM_SHARDS,
            retention: limits::STREAM_RETENTION,
            segment_bytes_max: limits::STREAM_SEGMENT_BYTES_MAX,
            segment_age_max: limits::STREAM_SEGMENT_AGE_MAX,
            queue_bytes_max: limits::STREAM_QUEUE_BYTES_MAX,
        }
    }
}

/// The stream in a folder. Dropped, it stores what waits and closes its files.
#[derive(Debug)]
pub struct FileStream {
    shared: Arc<Shared>,
    durable: watch::Receiver<u64>,
    committer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    log: Log,
    clock: Clock,
    shards: u16,
    /// Keeps a second process out until the log is closed.
    _lock: File,
}

impl FileStream {
    /// Opens the stream in `dir`, which is created if it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// `Conflict` if it is open already, here or in another process; `Invalid` if `meta.json` is not one that this build
    /// reads, or is missing beside segments; otherwise what the disk says.
    pub fn open(dir: &Path, settings: StreamSettings) -> Result<Arc<Self>, PortError> {
        let fail = |error: io::Error| open_error(dir, error);
        files::make_folder(dir).map_err(fail)?;
        let lock = lock(dir)?;
        let meta = meta(dir, &settings)?;
        let (shards, salt) = (meta.shards, meta.salt);
        let bounds = Bounds {
            segment_bytes_max: settings.segment_bytes_max,
            segment_age_max: settings.segment_age_max,
            retention: settings.retention,
        };
        let (log, next) = Log::open(dir, meta, bounds).map_err(fail)?;
        let queue = Queue::new(next, shards, salt, settings.queue_bytes_max);
        let shared = Arc::new(Shared { queue, log, clock: settings.clock, shards, _lock: lock });
        let (sender, durable) = watch::channel(next - 1);
        let of_thread = Arc::clone(&shared);
        let committer = std::thread::Builder::new()
            .name("stream-commit".to_owned())
            .spawn(move || commit::run(&of_thread.queue, &of_thread.log, &of_thread.clock, &sender))
            .map_err(fail)?;
        Ok(Arc::new(Self { shared, durable, committer: Some(committer) }))
    }

    /// The number of the last stored record, which changes with every commit: what a reader that has caught up waits for.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.durable.clone()
    }

    /// Deletes the segments whose newest record is older than the retention, and answers how many. The stream does so
    /// itself only when a segment is full, so the owner of a quiet one calls this now and then. Blocks on the disk.
    ///
    /// # Errors
    /// If a file could not be deleted; the next opening finds it again.
    pub fn expire(&self, now: TimestampMs) -> Result<usize, PortError> {
        self.shared.log.expire(now).map_err(|error| PortError::new(PortErrorKind::Unavailable, "stream.expire", error))
    }

    /// Counts of what the stream holds and of what went wrong with its files.
    #[must_use]
    pub fn health(&self) -> StreamHealth {
        self.shared.log.health.read(self.shared.log.size())
    }
}

impl Drop for FileStream {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(committer) = self.committer.take() {
            // It has closed the queue itself if it panicked.
            let _ = committer.join();
        }
    }
}

#[async_trait]
impl Stream for FileStream {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let ticket = self.shared.queue.push(&entries, &self.shared.clock)?;
        drop(entries);
        ticket.commit.wait().await?;
        Ok(ticket.sequence_numbers())
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        Ok((0..self.shared.shards).map(|shard| Shard { id: shard_id(shard), parents: Vec::new() }).collect())
    }

    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        read_page(&self.shared, shard, from, records_max).await
    }
}

/// A reader has no limits of its own here: a disk knows none.
#[derive(Debug)]
struct FileReader(Arc<Shared>);

#[async_trait]
impl Reader for FileReader {
    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        read_page(&self.0, shard, from, records_max).await
    }
}

#[async_trait]
impl OperatedStream for FileStream {
    async fn reader(&self, _: &str) -> Result<Arc<dyn Reader>, PortError> {
        Ok(Arc::new(FileReader(Arc::clone(&self.shared))))
    }

    async fn remove_reader(&self, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    async fn retention(&self) -> Result<Duration, PortError> {
        Ok(self.shared.log.retention())
    }

    async fn set_retention(&self, retention: Duration) -> Result<(), PortError> {
        let (min, max) = (limits::STREAM_RETENTION_MIN, limits::STREAM_RETENTION_MAX);
        if !(min..=max).contains(&retention) {
            let detail = format!("a stream keeps its records for {min:?} to {max:?}, not {retention:?}");
            return Err(PortError::new(PortErrorKind::Invalid, SET_RETENTION, detail));
        }
        let shared = Arc::clone(&self.shared);
        blocking::run(SET_RETENTION, move || {
            let set = shared.log.set_retention(retention);
            set.map_err(|error| PortError::new(PortErrorKind::Unavailable, SET_RETENTION, error))
        })
        .await
    }
}

async fn read_page(
    shared: &Arc<Shared>,
    shard: &ShardId,
    from: &Position,
    records_max: usize,
) -> Result<Page, PortError> {
    let horizon = shared.log.horizon(shared.clock.now());
    let wanted = Wanted {
        shard: shared.shard(shard)?,
        begin: begin(from, horizon)?,
        from: from.clone(),
        records_max: records_max.min(limits::STREAM_PAGE_RECORDS_MAX),
        horizon,
    };
    let shared = Arc::clone(shared);
    blocking::run("stream.read", move || {
        read::read(&shared.log, &wanted)
            .map_err(|error| PortError::new(PortErrorKind::Unavailable, "stream.read", error))
    })
    .await
}

impl Shared {
    fn shard(&self, id: &ShardId) -> Result<u16, PortError> {
        (0..self.shards).find(|shard| shard_id(*shard) == *id).ok_or_else(|| {
            PortError::new(PortErrorKind::NotFound, "stream.read", format!("there is no shard {id} in this stream"))
        })
    }
}

/// Where a position lies in the log.
fn begin(from: &Position, horizon: TimestampMs) -> Result<Begin, PortError> {
    let parse = |number: &SequenceNumber| {
        number.0.parse::<u64>().map_err(|_| {
            let detail = format!("{number} is no sequence number of this stream");
            PortError::new(PortErrorKind::Invalid, "stream.read", detail)
        })
    };
    Ok(match from {
        Position::Horizon => Begin::Time(horizon),
        Position::At(number) => Begin::Sequence(parse(number)?),
        Position::After(number) => Begin::Sequence(parse(number)?.saturating_add(1)),
        Position::AtTime(time) => Begin::Time(*time),
    })
}

fn shard_id(shard: u16) -> ShardId {
    ShardId(format!("shard-{shard:03}").into_boxed_str())
}

/// The shard of a partition key.
fn shard_of(key: &str, shards: u16) -> u16 {
    let scaled = u64::from(crc32fast::hash(key.as_bytes())) * u64::from(shards);
    u16::try_from(scaled >> 32).unwrap_or_default()
}

fn lock(dir: &Path) -> Result<File, PortError> {
    let file = files::lock_file(dir, LOCK).map_err(|error| open_error(dir, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let detail = format!("the stream in {} is open already", dir.display());
            Err(PortError::new(PortErrorKind::Conflict, OPEN, detail))
        }
        Err(TryLockError::Error(error)) => Err(open_error(dir, error)),
    }
}

/// Reads what is fixed about the stream; fixes it if the stream is new.
fn meta(dir: &Path, settings: &StreamSettings) -> Result<Meta, PortError> {
    let fail = |error: io::Error| open_error(&dir.join(meta::FILE), error);
    if let Some(meta) = Meta::read(dir).map_err(fail)? {
        return Ok(meta);
    }
    let invalid = |detail: String| PortError::new(PortErrorKind::Invalid, OPEN, detail);
    if !segment::list(dir).map_err(fail)?.is_empty() {
        return Err(invalid(format!(
            "{} holds segments but no {}; put the file back, or move the segments away to begin a new stream",
            dir.display(),
            meta::FILE
        )));
    }
    if !(1..=limits::STREAM_SHARDS_MAX).contains(&settings.shards) {
        let (shards, max) = (settings.shards, limits::STREAM_SHARDS_MAX);
        return Err(invalid(format!("a stream has 1 to {max} shards, not {shards}")));
    }
    Meta::new(settings.shards, settings.clock.now()).map_err(fail)
}

fn open_error(path: &Path, error: io::Error) -> PortError {
    if error.kind() == io::ErrorKind::InvalidData {
        return PortError::new(PortErrorKind::Invalid, OPEN, format!("{}: {error}", path.display()));
    }
    files::failed(OPEN, path)(error)
}
