//! What is fixed about a stream, and which sequence numbers are used up: `meta.json`.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tributary_model::{TimestampMs, limits};

use crate::files;

/// The file's name.
pub(super) const FILE: &str = "meta.json";
/// The format that this build reads and writes.
const FORMAT: u32 = 1;

/// A stream's fixed facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    format: u32,
    /// A record's shard depends on it, so it never changes.
    pub shards: u16,
    /// Begins every checksum.
    pub salt: u32,
    /// Every number below may have been used.
    pub unclaimed: u64,
    /// How long a record is kept, where that was changed while the stream was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<i64>,
}

impl Meta {
    /// Of a new stream. Its numbers begin at the time of its creation (2^20 for every millisecond), so that a checkpoint
    /// that outlived an older stream lies before all of them, and hides none.
    pub(super) fn new(shards: u16, now: TimestampMs) -> io::Result<Self> {
        let mut salt = [0; 4];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("the system gave no random bytes"))?;
        let unclaimed = u64::try_from(now.0).unwrap_or_default().saturating_mul(1 << 20).max(1);
        Ok(Self { format: FORMAT, shards, salt: u32::from_be_bytes(salt), unclaimed, retention_ms: None })
    }

    /// Reads the file; none if it is not there.
    pub(super) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(dir.join(FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta: Self = serde_json::from_reader(io::Read::take(file, limits::STREAM_META_BYTES_MAX))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if meta.format != FORMAT || !(1..=limits::STREAM_SHARDS_MAX).contains(&meta.shards) {
            let detail = format!(
                "{FILE} says format {} and {} shards; this build reads format {FORMAT} and 1 to {} shards",
                meta.format,
                meta.shards,
                limits::STREAM_SHARDS_MAX
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
        Ok(Some(meta))
    }

    /// Writes the file, durably, and whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        files::publish(files::prepare(dir, &serde_json::to_vec(self)?)?, dir, FILE)
    }

    /// Claims numbers from `next` on, of which the first is answered. What an opening claims and does not use is never
    /// used, so that a number is never given twice, whatever became of the segments.
    pub(super) fn claim(&mut self, next: u64, dir: &Path) -> io::Result<u64> {
        let first = self.unclaimed.max(next);
        self.unclaimed = first.saturating_add(limits::STREAM_NUMBERS_CLAIMED);
        self.write(dir).map(|()| first)
    }
}
