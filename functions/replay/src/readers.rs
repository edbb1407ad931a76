//! The readers of replays: each replay has one of its own at every stream that it reads, so that the live consumers keep their
//! share.
//!
//! A reader is paid for until it is removed, so it is noted in the object store before it is made, and the note goes after the
//! reader: whoever looks next, in that stream's region, removes what a replay that is over or paused has left behind. A runner
//! that still has one of its shards is waited for, since it would make the reader again: until it lets go, or its lease ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tributary_model::limits::REPLAY_READERS_MAX;
use tributary_model::{Region, TimestampMs};
use tributary_ports::objects::Condition;
use tributary_ports::stream::{OperatedStream, Reader};
use tributary_ports::{Kept, PortError, PortErrorKind};

use crate::Replays;
use crate::state::{Replay, ShardState, State, replay_key, shard_key};

/// The readers of this process, by replay and region.
#[derive(Default)]
pub struct Readers(Mutex<HashMap<(String, Region), Opened>>);

/// A reader, and how long its stream kept records when it was opened.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) retention: Duration,
}

impl Readers {
    /// Closes all of them; the streams still know them, and the next read opens them again. A process that is frozen with an
    /// open one would keep its shards from the next process.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn get(&self, replay: &str, region: &Region) -> Option<Opened> {
        let readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readers.get(&(replay.to_owned(), region.clone())).cloned()
    }

    fn keep(&self, replay: &str, region: &Region, opened: Opened) {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readers.insert((replay.to_owned(), region.clone()), opened);
    }

    fn forget(&self, replay: &str, region: &Region) {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readers.remove(&(replay.to_owned(), region.clone()));
    }
}

/// As the stream knows the reader of a replay.
fn name(replay: &str) -> String {
    format!("tributary-replay-{replay}")
}

/// What the keys of the notes of a region's readers begin with.
fn notes(region: &Region) -> String {
    format!("replay-readers/{region}/")
}

impl Replays {
    /// The stream of a region.
    ///
    /// # Errors
    /// `Unavailable` if it can't be reached from here.
    pub(crate) fn stream(&self, region: &Region) -> Result<&Arc<dyn OperatedStream>, PortError> {
        let detail = || format!("there is no stream of the region {region} here");
        let missing = || PortError::new(PortErrorKind::Unavailable, "replay.stream", detail());
        self.streams.get(region).ok_or_else(missing)
    }

    /// The reader of a replay in a region.
    ///
    /// # Errors
    /// `Throttled` while the stream has as many readers as it may; otherwise bad luck.
    pub(crate) async fn reader(&self, replay: &str, region: &Region) -> Result<Opened, PortError> {
        if let Some(opened) = self.readers.get(replay, region) {
            return Ok(opened);
        }
        let stream = self.stream(region)?;
        let note = format!("{}{replay}", notes(region));
        self.objects.put(&note, Bytes::new(), Condition::Always).await?;
        let opened = Opened { reader: stream.reader(&name(replay)).await?, retention: stream.retention().await? };
        self.readers.keep(replay, region, opened.clone());
        Ok(opened)
    }

    /// Forgets a reader that may be gone; the next read makes it again.
    pub(crate) fn forget_reader(&self, replay: &str, region: &Region) {
        self.readers.forget(replay, region);
    }

    /// Removes the readers of replays that don't run any more, in the regions whose streams can be reached from here.
    ///
    /// # Errors
    /// Bad luck of any kind; the next call goes on.
    pub async fn remove_readers(&self, now: TimestampMs) -> Result<(), PortError> {
        for (region, stream) in &self.streams {
            let prefix = notes(region);
            for note in self.objects.list(&prefix, None, REPLAY_READERS_MAX).await? {
                let id = note.strip_prefix(&prefix).unwrap_or_default();
                if self.is_read(now, id, region).await? {
                    continue;
                }
                self.forget_reader(id, region);
                stream.remove_reader(&name(id)).await?;
                self.objects.delete(&note).await?;
                if self.is_read(now, id, region).await? {
                    // Resumed in between: its runner may have found the note and made the reader again.
                    self.objects.put(&note, Bytes::new(), Condition::Always).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether a replay runs, or a runner that has not noticed its end yet has a shard of it.
    async fn is_read(&self, now: TimestampMs, id: &str, region: &Region) -> Result<bool, PortError> {
        let objects = self.objects.as_ref();
        let Some(replay) = Kept::<Replay>::read(objects, replay_key(id)).await? else { return Ok(false) };
        if replay.value.state == State::Running {
            return Ok(true);
        }
        for part in replay.value.parts.iter().filter(|part| part.region == *region) {
            let shard = Kept::<ShardState>::read(objects, shard_key(id, part)).await?;
            if shard.and_then(|shard| shard.value.lease).is_some_and(|lease| lease.until > now) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
