//! Reading: a page of one shard, out of the log that all shards share.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use tributary_model::{TimestampMs, limits};
use tributary_ports::stream::{Page, Position, StreamRecord};

use super::commit::number;
use super::frame::Frame;
use super::frames::{Frames, Item};
use super::log::{Log, Place};

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// At the first record that is numbered so or greater.
    Sequence(u64),
    /// At the first record that arrived then or later.
    Time(TimestampMs),
}

/// What is wanted of a read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub shard: u16,
    pub from: Position,
    pub begin: Begin,
    pub records_max: usize,
    /// Records that arrived before are not served.
    pub horizon: TimestampMs,
}

/// A page as it grows.
struct Reading<'a> {
    wanted: &'a Wanted,
    begin: Begin,
    records: Vec<StreamRecord>,
    record_bytes: usize,
    scanned_bytes: u64,
    /// When the last frame looked at, of whatever shard, arrived.
    reached_at: Option<i64>,
    full: bool,
}

/// Reads a page. Blocks on the disk.
pub(super) fn read(log: &Log, wanted: &Wanted) -> io::Result<Page> {
    let mut reading = Reading {
        wanted,
        begin: wanted.begin,
        records: Vec::new(),
        record_bytes: 0,
        scanned_bytes: 0,
        reached_at: None,
        full: wanted.records_max == 0,
    };
    while let Some(place) = reading.place(log) {
        if reading.full {
            let behind_ms = reading.behind_ms(log);
            return Ok(reading.page(behind_ms));
        }
        reading.read_segment(log, &place)?;
    }
    Ok(reading.page(0))
}

impl Reading<'_> {
    /// Where there is more to read.
    fn place(&self, log: &Log) -> Option<Place> {
        match self.begin {
            Begin::Sequence(sequence) => log.at_sequence(sequence),
            Begin::Time(time) => log.at_time(time),
        }
    }

    /// Of a page that more follows: never 0.
    fn behind_ms(&self, log: &Log) -> u64 {
        let behind = log.newest_at().zip(self.reached_at).map(|(newest, reached)| newest.saturating_sub(reached));
        u64::try_from(behind.unwrap_or_default()).unwrap_or_default().max(1)
    }

    fn read_segment(&mut self, log: &Log, place: &Place) -> io::Result<()> {
        // The retention may have ended since the place was looked up.
        if let Some(file) = open(&place.path)? {
            let above = place.mark.sequence.saturating_sub(1);
            let mut frames = Frames::new(&file, log.salt, place.mark.offset, place.end, above)?;
            while let Some(item) = frames.next()? {
                match item {
                    Item::Frame(_, frame) => self.take(&frame),
                    Item::Damage(damage) => log.health.damaged(place.first, damage),
                }
                if self.full {
                    return Ok(());
                }
            }
        }
        self.begin = match self.begin {
            Begin::Sequence(sequence) => Begin::Sequence(sequence.max(place.last + 1)),
            // Everything behind the first record of that time is served, so nothing of it is left out.
            Begin::Time(_) => Begin::Sequence(place.last + 1),
        };
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>) {
        let begun = match self.begin {
            Begin::Sequence(sequence) => frame.head.sequence >= sequence,
            Begin::Time(time) => frame.head.arrived_at >= time.0,
        };
        if !begun {
            return;
        }
        if frame.head.shard == self.wanted.shard && frame.head.arrived_at >= self.wanted.horizon.0 {
            let bytes = self.record_bytes + frame.key.len() + frame.data.len();
            if !self.records.is_empty() && bytes > limits::STREAM_PAGE_BYTES_MAX {
                self.full = true;
                return;
            }
            self.record_bytes = bytes;
            self.records.push(record(frame));
        }
        self.begin = Begin::Sequence(frame.head.sequence + 1);
        self.reached_at = Some(frame.head.arrived_at);
        self.scanned_bytes += u64::try_from(frame.head.frame_bytes).unwrap_or(u64::MAX);
        self.full =
            self.records.len() >= self.wanted.records_max || self.scanned_bytes >= limits::STREAM_SCAN_BYTES_MAX;
    }

    fn page(self, behind_ms: u64) -> Page {
        let next = match self.begin {
            begin if begin == self.wanted.begin => self.wanted.from.clone(),
            Begin::Sequence(sequence) => Position::After(number(sequence - 1)),
            Begin::Time(time) => Position::AtTime(time),
        };
        Page { records: self.records, next: Some(next), behind_ms }
    }
}

fn record(frame: &Frame<'_>) -> StreamRecord {
    StreamRecord {
        sequence_number: number(frame.head.sequence),
        partition_key: frame.key.into(),
        arrived_at: TimestampMs(frame.head.arrived_at),
        data: Bytes::copy_from_slice(frame.data),
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
