//! The log: all segments of a stream, of which the last may still grow.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tributary_model::{TimestampMs, limits};

use super::frames::Damage;
use super::health::Health;
use super::index::{Index, Mark};
use super::meta::Meta;
use super::segment::{self, HEADER_BYTES, Segment};
use crate::files;

/// How long segments grow and are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub segment_bytes_max: u64,
    pub segment_age_max: Duration,
    pub retention: Duration,
}

/// All segments. What is in `segments` is durable.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    pub salt: u32,
    bounds: Bounds,
    /// The retention that holds.
    retention_ms: AtomicI64,
    pub health: Health,
    segments: Mutex<Vec<Segment>>,
    writer: Mutex<Writer>,
}

/// The right to change files.
#[derive(Debug)]
struct Writer {
    meta: Meta,
    /// The last segment's file, while it grows.
    active: Option<File>,
}

/// Where a reader begins, and how far it can go.
#[derive(Debug)]
pub(super) struct Place {
    pub path: PathBuf,
    /// The number in the segment's name.
    pub first: u64,
    pub mark: Mark,
    pub end: u64,
    pub last: u64,
}

impl Log {
    /// Opens all segments of a folder, closing those that a crash left open. Answers the first free number, too.
    pub(super) fn open(dir: &Path, mut meta: Meta, bounds: Bounds) -> io::Result<(Self, u64)> {
        let health = Health::default();
        let mut segments = Vec::new();
        let listed = segment::list(dir)?;
        let nexts = listed.iter().skip(1).map(|(first, _)| Some(*first)).chain([None]);
        for ((first, path), next) in listed.iter().zip(nexts) {
            let (first, path) = (*first, path.clone());
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let index = match segment::closed_index(&file, meta.salt)? {
                Some(index) => Some(index),
                None => recover(&file, meta.salt, first, next, &health)?,
            };
            match index {
                Some(index) => segments.push(Segment { first, path, index }),
                None => fs::remove_file(&path)?,
            }
        }
        let last = segments.last().map_or(0, |segment| segment.index.last);
        let next = meta.claim(last + 1, dir)?;
        let writer = Mutex::new(Writer { active: None, meta: meta.clone() });
        let log = Self {
            dir: dir.to_owned(),
            salt: meta.salt,
            bounds,
            retention_ms: AtomicI64::new(meta.retention_ms.unwrap_or(ms(bounds.retention))),
            health,
            segments: Mutex::new(segments),
            writer,
        };
        Ok((log, next))
    }

    /// Writes frames, the first of which is numbered `first`; durable when it returns. After an error, nothing of them
    /// is visible, and the file they were written to is not written to again: what a failed fsync has left of it in
    /// memory and on disk is not known.
    pub(super) fn commit(&self, first: u64, frames: &[u8], now: TimestampMs) -> io::Result<()> {
        let mut writer = lock(&self.writer);
        if writer.active.is_some() && self.is_full(frames.len(), now) {
            self.close(writer.active.take());
            // What could not be deleted now is deleted next time.
            let _ = self.delete_expired(&writer, now);
        }
        match writer.active.take() {
            Some(file) => writer.active = Some(self.append(file, frames)?),
            None => writer.active = Some(self.begin(&mut writer.meta, first, frames)?),
        }
        Ok(())
    }

    /// Deletes the segments whose newest record is older than the retention, and answers how many.
    pub(super) fn expire(&self, now: TimestampMs) -> io::Result<usize> {
        let mut writer = lock(&self.writer);
        if writer.active.is_some() && self.is_full(0, now) {
            self.close(writer.active.take());
        }
        self.delete_expired(&writer, now)
    }

    /// Records that arrived before are not served.
    pub(super) fn horizon(&self, now: TimestampMs) -> TimestampMs {
        now.plus_ms(-self.retention_ms.load(Ordering::Relaxed))
    }

    pub(super) fn retention(&self) -> Duration {
        Duration::from_millis(self.retention_ms.load(Ordering::Relaxed).unsigned_abs())
    }

    /// Changes the retention, durably. The one that the log was opened with is not written down: it goes on to follow
    /// the settings.
    pub(super) fn set_retention(&self, retention: Duration) -> io::Result<()> {
        let mut writer = lock(&self.writer);
        let mut meta = writer.meta.clone();
        meta.retention_ms = (retention != self.bounds.retention).then_some(ms(retention));
        meta.write(&self.dir)?;
        writer.meta = meta;
        self.retention_ms.store(ms(retention), Ordering::Relaxed);
        Ok(())
    }

    /// Where to read for the first record numbered `sequence` or more.
    pub(super) fn at_sequence(&self, sequence: u64) -> Option<Place> {
        let segments = lock(&self.segments);
        let segment = segments.get(segments.partition_point(|segment| segment.index.last < sequence))?;
        place(segment, segment.index.at_sequence(sequence))
    }

    /// Where to read for the first record that arrived at `time` or later.
    pub(super) fn at_time(&self, time: TimestampMs) -> Option<Place> {
        let segments = lock(&self.segments);
        let segment = segments.iter().find(|segment| segment.index.newest_at >= time.0)?;
        place(segment, segment.index.at_time(time.0))
    }

    /// When the last segment's newest record arrived.
    pub(super) fn newest_at(&self) -> Option<i64> {
        lock(&self.segments).last().map(|segment| segment.index.newest_at)
    }

    /// Segments, records and bytes.
    pub(super) fn size(&self) -> (usize, u64, u64) {
        let segments = lock(&self.segments);
        let records = segments.iter().map(|segment| segment.index.records).sum();
        (segments.len(), records, segments.iter().map(|segment| segment.index.end).sum())
    }

    fn is_full(&self, more: usize, now: TimestampMs) -> bool {
        lock(&self.segments).last().is_some_and(|Segment { index, .. }| {
            index.end.saturating_add(u64::try_from(more).unwrap_or(u64::MAX)) > self.bounds.segment_bytes_max
                || now.0.saturating_sub(index.oldest_at) > ms(self.bounds.segment_age_max)
                || index.newest_at < self.horizon(now).0
        })
    }

    /// Writes behind the last segment's frames. The file comes back only if all is well.
    fn append(&self, file: File, frames: &[u8]) -> io::Result<File> {
        let end = lock(&self.segments).last().map_or(HEADER_BYTES, |segment| segment.index.end);
        if let Err(error) = segment::write_at(&file, frames, end).and_then(|()| file.sync_data()) {
            // Nobody was told that these are stored. If they can't be cut off, the next opening may serve them.
            let _ = file.set_len(end);
            return Err(error);
        }
        if let Some(segment) = lock(&self.segments).last_mut() {
            segment::observe_all(&mut segment.index, frames);
        }
        Ok(file)
    }

    /// Begins a segment. It is visible only once its name in the folder is durable, too.
    fn begin(&self, meta: &mut Meta, first: u64, frames: &[u8]) -> io::Result<File> {
        if meta.unclaimed.saturating_sub(first) < limits::STREAM_NUMBERS_CLAIMED / 2 {
            meta.claim(first, &self.dir)?;
        }
        let path = segment::path(&self.dir, first);
        let file = segment::create(&path)?;
        let written = segment::write_at(&file, &segment::header(self.salt, first), 0)
            .and_then(|()| segment::write_at(&file, frames, HEADER_BYTES))
            .and_then(|()| file.sync_all())
            .and_then(|()| files::sync_folder(&self.dir));
        if let Err(error) = written {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let mut index = Index::empty(HEADER_BYTES);
        segment::observe_all(&mut index, frames);
        lock(&self.segments).push(Segment { first, path, index });
        Ok(file)
    }

    /// Ends the last segment. If it can't be closed on disk, the next opening walks over it.
    fn close(&self, active: Option<File>) {
        let index = lock(&self.segments).last().map(|segment| segment.index.clone());
        if let (Some(file), Some(index)) = (active, index) {
            let _ = segment::close(&file, &index, self.salt);
        }
    }

    fn delete_expired(&self, writer: &Writer, now: TimestampMs) -> io::Result<usize> {
        let horizon = self.horizon(now).0;
        let expired: Vec<Segment> = {
            let mut segments = lock(&self.segments);
            let closed = segments.len().saturating_sub(usize::from(writer.active.is_some()));
            segments.extract_if(..closed, |segment| segment.index.newest_at < horizon).collect()
        };
        for segment in &expired {
            fs::remove_file(&segment.path)?;
        }
        Ok(expired.len())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let active = lock(&self.writer).active.take();
        self.close(active);
    }
}

/// Makes the index of a segment that was not closed, cuts off what lies behind its last frame, and closes it. None if it
/// holds no frame.
fn recover(file: &File, salt: u32, first: u64, next: Option<u64>, health: &Health) -> io::Result<Option<Index>> {
    let bytes = file.metadata()?.len();
    let walk = segment::walk(file, salt, first, bytes)?;
    let index = walk.index;
    let tail = Damage { offset: index.end, bytes: bytes.saturating_sub(index.end) };
    for damage in walk.damages.into_iter().filter(|damage| damage.offset < tail.offset) {
        health.damaged(first, damage);
    }
    if segment::is_cut_short(&index, first, next) {
        health.damaged(first, tail);
    } else {
        health.cut(tail.bytes);
    }
    if index.records == 0 {
        return Ok(None);
    }
    segment::close(file, &index, salt)?;
    Ok(Some(index))
}

fn place(segment: &Segment, mark: Option<Mark>) -> Option<Place> {
    let Segment { first, path, index } = segment;
    Some(Place { path: path.clone(), first: *first, mark: mark?, end: index.end, last: index.last })
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Nothing panics while it holds one of these locks halfway through a change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
