//! One shard's reader: reads ahead, delivers batches, keeps the checkpoint.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tributary_model::store_settings::Batches;
use tributary_ports::stream::{Batch, Page, Position, SequenceNumber, ShardId, Stream};
use tributary_ports::{Consume, PortError, PortErrorKind};

use super::checkpoint::{Checkpoints, Progress};
use super::lanes::{Delivered, Lanes, pause};
use super::{Coordinator, Lags, PollerSettings, ShardLag, is_stopped};
use crate::control::Switch;

/// Reads one shard.
pub(super) struct Reader {
    shard: ShardId,
    stream: Arc<dyn Stream>,
    news: Option<watch::Receiver<u64>>,
    consume: Arc<dyn Consume>,
    checkpoints: Arc<Checkpoints>,
    switch: Arc<Switch>,
    paused: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
    batches: watch::Receiver<Option<Batches>>,
    settings: PollerSettings,
    lags: Lags,
    lag: ShardLag,

    position: Position,
    reading: Reading,
    read_failures: u32,
    lanes: Lanes,
    deliveries: JoinSet<Vec<SequenceNumber>>,
    /// The lane of each delivery.
    under_way: HashMap<Id, usize>,
}

/// When the shard is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// At once: more lies there.
    More,
    /// Everything was read then; `news` says whether more has come since.
    CaughtUp { since: Instant, news: bool },
    /// Not before.
    Failed { until: Instant },
    /// Never again: the shard has ended.
    Ended,
    /// Never again: the shard is not there.
    Gone,
}

/// Why a reader ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The poller stops.
    Stopped,
    /// Batches are to be given otherwise: the shard is read again from its checkpoint.
    Changed,
    /// All records of the shard are handled, and none will follow.
    Finished,
    /// The shard is not there: its retention has ended.
    Gone,
}

impl Reader {
    pub(super) fn new(of: &Coordinator, shard: ShardId) -> Self {
        let mut batches = of.switch.batches();
        let settings = of.settings.with(*batches.borrow_and_update());
        let checkpoint = match of.checkpoints.get(&shard) {
            Some(Progress::After(number)) => Some(number),
            Some(Progress::Finished) | None => None,
        };
        let lag =
            ShardLag { shard: shard.clone(), checkpoint, behind_ms: 0, outstanding: 0, failures: 0, last_error: None };
        Self {
            position: of.checkpoints.position(&shard),
            shard,
            stream: Arc::clone(&of.feed.stream),
            news: of.feed.news.clone(),
            consume: Arc::clone(&of.consume),
            checkpoints: Arc::clone(&of.checkpoints),
            switch: Arc::clone(&of.switch),
            paused: of.switch.changes(),
            stop: of.stop.clone(),
            batches,
            settings,
            lags: Arc::clone(&of.lags),
            lag,
            reading: Reading::More,
            read_failures: 0,
            lanes: Lanes::new(settings),
            deliveries: JoinSet::new(),
            under_way: HashMap::new(),
        }
    }

    /// Reads and delivers until the poller stops or the shard ends.
    pub(super) async fn run(mut self) -> End {
        loop {
            self.write_checkpoint().await;
            if let Some(end) = self.over() {
                return self.finish(end).await;
            }
            if self.read_at().is_some_and(|at| at <= Instant::now()) {
                self.read().await;
            }
            self.deliver();
            self.publish_lag();
            if self.over().is_none() {
                self.wait().await;
            }
        }
    }

    /// Whether nothing more is to be read or delivered.
    fn over(&self) -> Option<End> {
        match self.reading {
            _ if is_stopped(&self.stop) => Some(End::Stopped),
            _ if self.batches.has_changed().unwrap_or(false) => Some(End::Changed),
            Reading::Gone => Some(End::Gone),
            Reading::Ended if self.lanes.is_empty() => Some(End::Finished),
            _ => None,
        }
    }

    /// Waits for what is under way; what only waits is read again by the next poller.
    async fn finish(&mut self, end: End) -> End {
        while let Some(ended) = self.deliveries.join_next_with_id().await {
            self.end_delivery(ended);
        }
        self.write_checkpoint().await;
        if end == End::Finished {
            self.put(Progress::Finished).await;
        }
        self.publish_lag();
        end
    }

    /// When the shard is to be read; none while there is no room, or nothing to read.
    fn read_at(&self) -> Option<Instant> {
        if self.lanes.room() == 0 {
            return None;
        }
        match self.reading {
            Reading::More => Some(Instant::now()),
            Reading::CaughtUp { since, news } => {
                // What arrives while a batch waits for its window is read when the window ends, not one by one.
                if news && self.lanes.none_waits() {
                    return Some(since);
                }
                let window_ends = self.lanes.due_at().filter(|due| *due > since);
                let poll = since + self.settings.poll_interval;
                Some(window_ends.map_or(poll, |due| due.min(poll)))
            }
            Reading::Failed { until } => Some(until),
            Reading::Ended | Reading::Gone => None,
        }
    }

    async fn read(&mut self) {
        if let Some(news) = &mut self.news {
            news.mark_unchanged();
        }
        match self.stream.read(&self.shard, &self.position, self.lanes.room()).await {
            Ok(page) => self.take_in(page),
            Err(error) => self.read_failed(&error),
        }
    }

    fn take_in(&mut self, page: Page) {
        let now = Instant::now();
        self.read_failures = 0;
        self.lag.behind_ms = page.behind_ms;
        self.lanes.accept(page.records, now);
        self.reading = match page.next {
            None => Reading::Ended,
            Some(_) if page.behind_ms == 0 => Reading::CaughtUp { since: now, news: false },
            Some(_) => Reading::More,
        };
        if let Some(next) = page.next {
            self.position = next;
        }
    }

    fn read_failed(&mut self, error: &PortError) {
        self.read_failures = self.read_failures.saturating_add(1);
        self.lag.last_error = Some(error.to_string());
        let pause = pause(self.read_failures, &self.settings).max(error.retry_after.unwrap_or_default());
        self.reading = match error.kind {
            PortErrorKind::NotFound => Reading::Gone,
            _ => Reading::Failed { until: Instant::now() + pause },
        };
    }

    /// Begins the deliveries that are due.
    fn deliver(&mut self) {
        while let Some(lane) = self.lanes.due(Instant::now()) {
            let Some(busy) = self.switch.begin() else { return };
            let batch = Batch { shard: self.shard.clone(), records: self.lanes.take(lane) };
            let consume = Arc::clone(&self.consume);
            let delivery = self.deliveries.spawn(async move {
                let _busy = busy;
                consume.consume(batch).await
            });
            self.under_way.insert(delivery.id(), lane);
        }
    }

    fn end_delivery(&mut self, ended: Result<(Id, Vec<SequenceNumber>), JoinError>) {
        let (id, delivered) = match ended {
            Ok((id, again)) => (id, Delivered::Answered(again)),
            Err(error) => (error.id(), Delivered::Panicked),
        };
        if let Some(lane) = self.under_way.remove(&id) {
            self.lanes.end(lane, &delivered, Instant::now());
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) {
        let due = self.lanes.due_at().filter(|_| !self.switch.is_paused());
        let next = [self.read_at(), due].into_iter().flatten().min();
        let listens = matches!(self.reading, Reading::CaughtUp { news: false, .. });
        tokio::select! {
            Some(ended) = self.deliveries.join_next_with_id() => self.end_delivery(ended),
            () = sleep_until(next) => {}
            is_there = changed(&mut self.news), if listens => self.heard(is_there),
            _ = self.paused.changed() => {}
            _ = self.stop.changed() => {}
            _ = has_changed(&self.batches) => {}
        }
    }

    fn heard(&mut self, is_there: bool) {
        if !is_there {
            self.news = None;
        }
        if let Reading::CaughtUp { news, .. } = &mut self.reading {
            *news = is_there;
        }
    }

    async fn write_checkpoint(&mut self) {
        if let Some(number) = self.lanes.checkpoint().filter(|number| self.lag.checkpoint.as_ref() != Some(number)) {
            let number = number.clone();
            self.lag.checkpoint = Some(number.clone());
            self.put(Progress::After(number)).await;
        }
    }

    /// A checkpoint that can't be written now is written with the next one; until then more would come again.
    async fn put(&mut self, progress: Progress) {
        if let Err(error) = self.checkpoints.put(self.shard.clone(), progress).await {
            self.lag.last_error = Some(error.to_string());
        }
    }

    fn publish_lag(&mut self) {
        self.lag.outstanding = self.lanes.len();
        self.lag.failures = self.lanes.failures().max(self.read_failures);
        let known = (self.lag.clone(), self.lanes.oldest_at());
        self.lags.lock().unwrap_or_else(PoisonError::into_inner).insert(self.shard.clone(), known);
    }
}

/// Waits for a change, and leaves it to be seen.
async fn has_changed(batches: &watch::Receiver<Option<Batches>>) {
    // An error means that nobody is left who could change anything.
    if batches.clone().changed().await.is_err() {
        std::future::pending().await
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for news; false if there will be none.
async fn changed(news: &mut Option<watch::Receiver<u64>>) -> bool {
    match news {
        Some(news) => news.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}
