//! The one thread that writes: it decides by version, gathers what waits into a commit, and answers once that is durable.
//!
//! Commits are shared. A call that comes to an idle index is committed at once; while small calls go on coming, the next
//! commit starts a commit interval after the last one. Documents that are worth a commit of their own do not wait: a
//! consumer that catches up sends its next batch only after the answer to this one. Every commit takes all calls with it
//! that came while the one before was made.
//!
//! An answer never rests on what a crash could take back: a call that met a document which is accepted but not committed
//! (its own or another's) is answered together with that document's commit, whatever the outcome was.
//!
//! Durable means: `IndexWriter::commit` has synced the segments' files (`SafeFileWriter::terminate_ref`), the directory
//! (`save_metas`) and the new `meta.json` before renaming it into place (`atomic_write`); it leaves the rename itself to
//! the next commit, so the directory is synced once more here. If anything fails, everything since the last commit is
//! dropped, its callers hear so and come again, and the index is opened anew for them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, IndexWriter, Searcher};
use tokio::sync::oneshot;
use tributary_model::{Day, ReportId, Version, limits};
use tributary_ports::Upserted;
use tributary_ports::search::Document;

use super::document::to_index;
use super::stored;

/// Why a call was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum WriteError {
    #[error("{} batches are waiting already", limits::SEARCH_CALLS_MAX)]
    Busy,
    #[error("the index could not be written: {0}")]
    Failed(String),
    #[error("the index is closed")]
    Closed,
}

type Answer = Result<Vec<Upserted>, WriteError>;

/// What the thread is asked to do.
pub(super) enum Work {
    Upsert(Vec<Document>),
    /// Deletes what is past its retention on this day.
    Expire(Day),
}

struct Call {
    work: Work,
    answer: oneshot::Sender<Answer>,
}

/// The way to the writing thread. Dropping it commits what waits and closes the index.
pub(super) struct Writer {
    calls: Option<SyncSender<Call>>,
    /// Ends when the thread does. In a lock because a receiver can't be shared, which nobody does.
    closed: Mutex<Receiver<()>>,
}

impl Writer {
    /// Starts the thread; `reader` is reloaded after every commit.
    ///
    /// # Errors
    /// If another process has the index open for writing, or a thread can't be started.
    pub(super) fn start(index: Index, reader: IndexReader, commit_interval: Duration) -> tantivy::Result<Self> {
        let writer = open_writer(&index)?;
        let (calls, received) = sync_channel(limits::SEARCH_CALLS_MAX);
        let (closing, closed) = sync_channel(0);
        let thread = Thread {
            index,
            reader,
            commit_interval,
            writer: Some(writer),
            pending: HashMap::new(),
            waiting: Vec::new(),
            committed_at: None,
        };
        std::thread::Builder::new().name("search-writer".to_owned()).spawn(move || {
            let _closing = closing; // dropped when all is done, which `closed` notices
            thread.run(&received);
        })?;
        Ok(Self { calls: Some(calls), closed: Mutex::new(closed) })
    }

    /// Writes the documents by version; returns when what was applied is durable and found.
    pub(super) async fn upsert(&self, documents: Vec<Document>) -> Answer {
        self.send(Work::Upsert(documents))?.await.unwrap_or(Err(WriteError::Closed))
    }

    /// Deletes what is past its retention on the day `today`; returns when that is durable.
    pub(super) async fn expire(&self, today: Day) -> Result<(), WriteError> {
        self.send(Work::Expire(today))?.await.unwrap_or(Err(WriteError::Closed)).map(drop)
    }

    /// Hands work to the thread; calls are taken in turn.
    pub(super) fn send(&self, work: Work) -> Result<oneshot::Receiver<Answer>, WriteError> {
        let (answer, answered) = oneshot::channel();
        let calls = self.calls.as_ref().ok_or(WriteError::Closed)?;
        calls.try_send(Call { work, answer }).map_err(|error| match error {
            TrySendError::Full(_) => WriteError::Busy,
            TrySendError::Disconnected(_) => WriteError::Closed,
        })?;
        Ok(answered)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.calls = None;
        // Merges can't be stopped, only outlived: they keep the lock until they are done, and a process that ends
        // without them is safe.
        if let Ok(closed) = self.closed.get_mut() {
            let _ended = closed.recv_timeout(limits::SEARCH_CLOSE_TIMEOUT);
        }
    }
}

fn open_writer(index: &Index) -> tantivy::Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .memory_budget_per_thread(limits::SEARCH_WRITER_BYTES)
        .num_worker_threads(1)
        .num_merge_threads(limits::SEARCH_MERGE_THREADS)
        .build();
    let writer = index.writer_with_options(options)?;
    let mut policy = LogMergePolicy::default();
    policy.set_min_layer_size(limits::SEARCH_SMALL_SEGMENT_DOCUMENTS);
    policy.set_del_docs_ratio_before_merge(limits::SEARCH_REPLACED_SHARE_MAX);
    writer.set_merge_policy(Box::new(policy));
    Ok(writer)
}

/// A call that is answered after the next commit.
struct Waiting {
    upserted: Vec<Upserted>,
    answer: oneshot::Sender<Answer>,
}

struct Thread {
    index: Index,
    reader: IndexReader,
    commit_interval: Duration,
    /// None after a failure, until the next call opens it anew.
    writer: Option<IndexWriter>,
    /// Documents accepted since the last commit.
    pending: HashMap<ReportId, Version>,
    waiting: Vec<Waiting>,
    committed_at: Option<Instant>,
}

impl Thread {
    fn run(mut self, calls: &Receiver<Call>) {
        while let Ok(call) = calls.recv() {
            self.accept(call);
            self.gather(calls);
            self.commit();
        }
        if let Some(writer) = self.writer {
            let _merges_ended = writer.wait_merging_threads();
        }
    }

    /// Accepts further calls until the next commit is due.
    fn gather(&mut self, calls: &Receiver<Call>) {
        while !self.waiting.is_empty() && self.pending.len() < limits::SEARCH_PENDING_MAX {
            match calls.recv_timeout(self.until_due()) {
                Ok(call) => self.accept(call),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long the next commit may wait for company. Zero still lets in the calls that are waiting already.
    fn until_due(&self) -> Duration {
        if self.pending.len() >= limits::SEARCH_COMMIT_DOCUMENTS {
            return Duration::ZERO;
        }
        let due = self.committed_at.map(|at| at + self.commit_interval);
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()))
    }

    /// Decides for each document and hands those that apply to the engine.
    fn accept(&mut self, call: Call) {
        let done = guarded(|| match call.work {
            Work::Upsert(documents) => self.apply(documents),
            Work::Expire(today) => self.expire(today),
        });
        match done {
            Ok((upserted, false)) => drop(call.answer.send(Ok(upserted))),
            Ok((upserted, true)) => self.waiting.push(Waiting { upserted, answer: call.answer }),
            Err(reason) => {
                self.waiting.push(Waiting { upserted: Vec::new(), answer: call.answer });
                self.fail(&reason);
            }
        }
    }

    /// The outcomes, and whether they rest on the next commit.
    fn apply(&mut self, documents: Vec<Document>) -> tantivy::Result<(Vec<Upserted>, bool)> {
        self.reopen()?;
        let searcher = self.reader.searcher();
        let mut upserted = Vec::with_capacity(documents.len());
        let mut rests = false;
        for document in documents {
            let id = document.invocation.id;
            upserted.push(self.apply_one(&searcher, &document)?);
            rests |= self.pending.contains_key(&id);
        }
        Ok((upserted, rests))
    }

    fn apply_one(&mut self, searcher: &Searcher, document: &Document) -> tantivy::Result<Upserted> {
        let id = document.invocation.id;
        let known = match self.pending.get(&id) {
            Some(version) => Some(*version),
            None => stored::versions(searcher, id)?.pop(),
        };
        match known {
            Some(known) if known == document.version => return Ok(Upserted::AlreadyThere),
            Some(known) if known > document.version => return Ok(Upserted::Superseded),
            _ => {}
        }
        let indexed = match to_index(document) {
            Ok(indexed) => indexed,
            Err(reason) => return Ok(Upserted::Refused(reason)),
        };
        let writer = self.writer.as_ref().ok_or_else(|| tantivy::TantivyError::SystemError("closed".to_owned()))?;
        if known.is_some() {
            writer.delete_term(stored::id_term(id));
        }
        writer.add_document(indexed)?;
        self.pending.insert(id, document.version);
        Ok(Upserted::Applied)
    }

    /// No outcomes, and whether anything was deleted. What was accepted since the last commit waits for the next expiry.
    fn expire(&mut self, today: Day) -> tantivy::Result<(Vec<Upserted>, bool)> {
        self.reopen()?;
        let expired = stored::expired(&self.reader.searcher(), today)?;
        let writer = self.writer.as_ref().ok_or_else(|| tantivy::TantivyError::SystemError("closed".to_owned()))?;
        let mut rests = false;
        for id in expired.into_iter().filter(|id| !self.pending.contains_key(id)) {
            writer.delete_term(stored::id_term(id));
            rests = true;
        }
        Ok((Vec::new(), rests))
    }

    /// Commits what waits and answers those who wait for it.
    fn commit(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.committed_at = Some(Instant::now());
        match guarded(|| self.commit_pending()) {
            Ok(()) => {
                for waiting in self.waiting.drain(..) {
                    drop(waiting.answer.send(Ok(waiting.upserted)));
                }
            }
            Err(reason) => self.fail(&reason),
        }
    }

    fn commit_pending(&mut self) -> tantivy::Result<()> {
        if let Some(writer) = self.writer.as_mut() {
            writer.commit()?;
        }
        self.settle()?;
        self.pending.clear();
        Ok(())
    }

    /// Makes the last commit survive a power failure, and searched.
    fn settle(&self) -> tantivy::Result<()> {
        tantivy::Directory::sync_directory(self.index.directory())?;
        self.reader.reload()
    }

    /// Drops everything since the last commit.
    fn fail(&mut self, reason: &str) {
        self.pending.clear();
        let writer = self.writer.take();
        let _closed = guarded(move || {
            drop(writer);
            Ok(())
        });
        for waiting in self.waiting.drain(..) {
            drop(waiting.answer.send(Err(WriteError::Failed(reason.to_owned()))));
        }
    }

    /// Opens the index for writing again after a failure. What the failed commit may have left is settled first, so that
    /// "already there" is said of nothing that is not durable.
    fn reopen(&mut self) -> tantivy::Result<()> {
        if self.writer.is_none() {
            self.settle()?;
            self.writer = Some(open_writer(&self.index)?);
        }
        Ok(())
    }
}

/// Runs `work`; the engine panics where it finds its files broken, which must not end the thread.
fn guarded<T>(work: impl FnOnce() -> tantivy::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the engine panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_busy_and_a_dead_thread_is_closed() {
        let (calls, received) = sync_channel(1);
        let (_, closed) = sync_channel(0);
        let writer = Writer { calls: Some(calls), closed: Mutex::new(closed) };
        let _waiting = writer.send(Work::Upsert(Vec::new())).expect("a place in the queue");
        assert!(matches!(writer.send(Work::Upsert(Vec::new())), Err(WriteError::Busy)));
        drop(received);
        assert!(matches!(writer.send(Work::Upsert(Vec::new())), Err(WriteError::Closed)));
    }

    #[test]
    fn a_panic_of_the_engine_is_a_failure() {
        assert_eq!(guarded::<()>(|| panic!("a bug")), Err("the engine panicked".to_owned()));
    }
}
