//! Group commit: appends wait in one buffer of frames while the one before is made durable; then it is their turn, all
//! of them with one write and one fsync.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tributary_model::limits;
use tributary_ports::stream::{Entry, SequenceNumber};
use tributary_ports::{PortError, PortErrorKind};

use super::frame::{self, Content};
use super::log::{Log, lock};
use super::{Clock, shard_of};

/// What appends and the committer share.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    bytes_max: usize,
    shards: u16,
    salt: u32,
}

/// What waits for the next commit.
#[derive(Debug)]
struct Waiting {
    frames: Vec<u8>,
    /// The number of the first frame.
    first: u64,
    /// The number of the next frame.
    next: u64,
    commit: Arc<Commit>,
    /// Bytes of the commit under way.
    under_way: usize,
    /// Appends whose frames these are.
    appends: usize,
    /// At how many appends the committer is to be woken; none while it is at work.
    wake_at: Option<usize>,
    closed: bool,
}

/// One commit, awaited by all whose frames are in it. One notification for all costs less than a channel for each: see
/// the bench `stream`.
#[derive(Debug, Default)]
pub(super) struct Commit {
    result: OnceLock<Result<(), Arc<str>>>,
    done: Notify,
}

impl Commit {
    /// Waits for the end of the commit.
    pub(super) async fn wait(&self) -> Result<(), PortError> {
        // Created before the result is looked at, so it gets a notification from then on.
        let done = self.done.notified();
        if self.result.get().is_none() {
            done.await;
        }
        match self.result.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(detail)) => Err(unavailable(detail.as_ref())),
            None => Err(unavailable("the commit ended without a result")),
        }
    }

    fn finish(&self, result: Result<(), Arc<str>>) {
        // A second result is the one of a committer that panicked after the first.
        let _ = self.result.set(result);
        self.done.notify_waiters();
    }
}

/// Frames that were handed in: await their commit, then these are their numbers.
#[derive(Debug)]
pub(super) struct Ticket {
    pub commit: Arc<Commit>,
    first: u64,
    count: usize,
}

impl Ticket {
    pub(super) fn sequence_numbers(&self) -> Vec<SequenceNumber> {
        (self.first..).take(self.count).map(number).collect()
    }
}

impl Queue {
    pub(super) fn new(next: u64, shards: u16, salt: u32, bytes_max: usize) -> Self {
        let waiting = Waiting {
            frames: Vec::new(),
            first: next,
            next,
            commit: Arc::default(),
            under_way: 0,
            appends: 0,
            wake_at: None,
            closed: false,
        };
        Self { waiting: Mutex::new(waiting), wake: Condvar::new(), bytes_max, shards, salt }
    }

    /// Takes entries in for the next commit, all or none.
    pub(super) fn push(&self, entries: &[Entry], clock: &Clock) -> Result<Ticket, PortError> {
        let bytes = frames_bytes(entries, self.bytes_max)?;
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return Err(unavailable("the stream is closed"));
        }
        if waiting.frames.len() + waiting.under_way + bytes > self.bytes_max {
            let detail = format!("{} bytes wait to be stored, the limit is {}", waiting.frames.len(), self.bytes_max);
            let error = PortError::new(PortErrorKind::Throttled, "stream.append", detail);
            return Err(error.retry_after(limits::STREAM_RETRY_AFTER));
        }
        let ticket = Ticket { commit: Arc::clone(&waiting.commit), first: waiting.next, count: entries.len() };
        waiting.encode(entries, clock.now().0, self.shards, self.salt);
        waiting.appends += 1;
        if waiting.wake_at.is_some_and(|appends| waiting.appends >= appends) {
            waiting.wake_at = None;
            drop(waiting);
            self.wake.notify_one();
        }
        Ok(ticket)
    }

    /// No more entries are taken in; what waits is committed.
    pub(super) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.wake.notify_one();
    }

    /// Waits for frames, then for a moment until most of the senders that there seem to be have handed in one: those
    /// whom the last commit answered are likely to come back, those who came too late for it wait already, and every
    /// fsync that they share is one less. A lone sender never waits. None once the queue is closed and empty. `spare` is
    /// the empty buffer for the next frames.
    fn take(&self, mut spare: Vec<u8>, before: &Before) -> Option<Group> {
        let mut waiting = lock(&self.waiting);
        while waiting.frames.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting.wake_at = Some(1);
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let senders = before.appends + before.too_late;
        let most = senders - senders / 4;
        if waiting.appends < most && !waiting.closed {
            waiting.wake_at = Some(most);
            let gather = before.took.saturating_mul(2).min(limits::STREAM_GATHER_MAX);
            waiting = self.wake.wait_timeout(waiting, gather).unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.wake_at = None;
        mem::swap(&mut waiting.frames, &mut spare);
        waiting.under_way = spare.len();
        let (first, next) = (waiting.first, waiting.next);
        waiting.first = next;
        let appends = mem::take(&mut waiting.appends);
        Some(Group { frames: spare, appends, first, last: next - 1, commit: mem::take(&mut waiting.commit) })
    }

    /// A commit is over; answers how many appends came too late for it.
    fn ended(&self) -> usize {
        let mut waiting = lock(&self.waiting);
        waiting.under_way = 0;
        waiting.appends
    }
}

impl Waiting {
    fn encode(&mut self, entries: &[Entry], arrived_at: i64, shards: u16, salt: u32) {
        for entry in entries {
            let key = entry.partition_key.as_ref();
            let shard = shard_of(key, shards);
            Content { sequence: self.next, arrived_at, shard, key, data: &entry.data }.encode(&mut self.frames, salt);
            self.next += 1;
        }
    }
}

/// The commit before.
#[derive(Default)]
struct Before {
    /// Appends that it held.
    appends: usize,
    /// Appends that waited when it was over.
    too_late: usize,
    took: Duration,
}

/// Frames that are committed together. Dropped without a result, it answers that there is none.
struct Group {
    frames: Vec<u8>,
    appends: usize,
    first: u64,
    last: u64,
    commit: Arc<Commit>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.commit.result.get().is_none() {
            self.commit.finish(Err("the commit was given up".into()));
        }
    }
}

/// Closes the queue when the committer ends, however it ends, so that nobody waits for a commit that never comes.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
        lock(&self.0.waiting).commit.finish(Err("the stream is closed".into()));
    }
}

/// The committer: runs until the queue is closed and empty. `durable` tells readers the last number that is stored.
pub(super) fn run(queue: &Queue, log: &Log, clock: &Clock, durable: &watch::Sender<u64>) {
    let _closing = Closing(queue);
    let mut spare = Vec::new();
    let mut before = Before::default();
    while let Some(mut group) = queue.take(mem::take(&mut spare), &before) {
        let begun = Instant::now();
        let result = log.commit(group.first, &group.frames, clock.now());
        before = Before { appends: group.appends, too_late: queue.ended(), took: begun.elapsed() };
        match result {
            Ok(()) => {
                group.commit.finish(Ok(()));
                durable.send_replace(group.last);
            }
            Err(error) => {
                log.health.commit_failed();
                group.commit.finish(Err(error.to_string().into()));
            }
        }
        spare = mem::take(&mut group.frames);
        spare.clear();
        spare.shrink_to(limits::STREAM_BUFFER_BYTES_KEPT);
    }
}

/// Bytes of the entries' frames; an error if one of them, or all together, can never be stored.
fn frames_bytes(entries: &[Entry], bytes_max: usize) -> Result<usize, PortError> {
    let invalid = |detail: String| PortError::new(PortErrorKind::Invalid, "stream.append", detail);
    if let Some(entry) = entries.iter().find(|entry| !frame::is_valid(&entry.partition_key, &entry.data)) {
        return Err(invalid(format!(
            "a record needs a partition key of 1 to {} bytes and has at most {} bytes with it; this one's key has {}, \
             its data {}",
            limits::PARTITION_KEY_BYTES_MAX,
            limits::RECORD_BYTES_MAX,
            entry.partition_key.len(),
            entry.data.len()
        )));
    }
    let bytes = entries.iter().map(|entry| frame::frame_bytes(&entry.partition_key, &entry.data)).sum();
    if bytes > bytes_max {
        return Err(invalid(format!("an append has at most {bytes_max} bytes; this one has {bytes}")));
    }
    Ok(bytes)
}

fn unavailable(detail: &str) -> PortError {
    PortError::new(PortErrorKind::Unavailable, "stream.append", detail)
}

/// A number as it is printed.
pub(super) fn number(sequence: u64) -> SequenceNumber {
    SequenceNumber(sequence.to_string().into_boxed_str())
}
