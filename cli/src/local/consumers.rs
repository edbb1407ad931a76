//! The two consumers of the stream, each with its own checkpoint: one brings records into the search index, one into the
//! ledger.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tributary_config::{FunctionName, LocalSettings};
use tributary_custodian::Custodian;
use tributary_embedded::control::FileControl;
use tributary_embedded::poller::{Feed, Poller, PollerSettings};
use tributary_model::TimestampMs;
use tributary_model::limits::CONSUMER_FAILURES_MAX;
use tributary_ports::stream::{Batch, SequenceNumber};
use tributary_ports::{Consume, ConsumerState, Control, Keys, Ledger, Objects, Search, Target};
use tributary_telemetry::{Metrics, Telemetry};
use tributary_worker::{Consumer, Sink, Worker};

use super::Opened;
use crate::clock;
use crate::failure::{Context, Failure};
use crate::folder::Folder;

/// The running consumers; none if the worker does not run.
#[derive(Clone, Default)]
pub(super) struct Consumers {
    running: Option<Arc<Running>>,
}

struct Running {
    control: Arc<FileControl>,
    pollers: [(Target, Poller); Target::ALL.len()],
}

impl Consumers {
    /// Starts both at their checkpoints, if the worker is to run.
    ///
    /// # Errors
    /// If what controls them can't be opened.
    pub(super) fn start(
        folder: &Folder,
        opened: &Opened,
        telemetry: &Arc<Telemetry>,
        config: &LocalSettings,
    ) -> Result<Self, Failure> {
        let Some(search) = opened.search.as_ref().filter(|_| config.only.contains(&FunctionName::Worker)) else {
            return Ok(Self::default());
        };
        let control = FileControl::open(&folder.path("stream").join("consumers")).context("consumers")?;
        let ledger = Arc::clone(&opened.stores.ledger) as Arc<dyn Ledger>;
        let start = |target: Target| {
            let sink = match target {
                Target::Search => Sink::Search(Arc::clone(search) as Arc<dyn Search>),
                Target::Ledger => Sink::Ledger(Arc::clone(&ledger)),
            };
            let objects = Arc::clone(&opened.stores.objects) as Arc<dyn Objects>;
            let keys = Arc::clone(&opened.stores.keys) as Arc<dyn Keys>;
            let (ledger, region) = (Arc::clone(&ledger), config.region.clone());
            let worker = Worker { target: sink, objects, keys, ledger, region };
            let driven = Driven {
                consumer: Consumer::new(worker, Arc::clone(&opened.settings)),
                telemetry: Arc::clone(telemetry),
            };
            let news = opened.own_stream.as_ref().map(|stream| stream.durable());
            let feed = Feed { stream: Arc::clone(&opened.stream), news };
            (target, Poller::start(feed, Arc::new(driven), &control, target, poller_settings(opened, config, target)))
        };
        let pollers = Target::ALL.map(start);
        Ok(Self { running: Some(Arc::new(Running { control, pollers })) })
    }

    /// What looks after them, if they run.
    pub(super) fn custodian(&self, opened: &Opened, config: &LocalSettings) -> Option<Custodian> {
        let running = self.running.as_ref()?;
        Some(Custodian {
            region: config.region.clone(),
            stream: opened.own_stream.clone()?,
            retention: config.stream_retention,
            copy: None,
            search: opened.search.clone()?,
            objects: Arc::clone(&opened.stores.objects) as Arc<dyn Objects>,
            overflow: opened.overflow(),
            given_up: None,
            ledger: Arc::clone(&opened.stores.ledger) as Arc<dyn Ledger>,
            control: Arc::clone(&running.control) as Arc<dyn Control>,
            settings: Arc::clone(&opened.settings),
        })
    }

    /// Whether they come forward; if not, which one does not, and why.
    pub(super) fn check(&self, now: TimestampMs) -> Result<(), String> {
        let failing = self.lags(now).find(|(_, lag)| lag.failures >= CONSUMER_FAILURES_MAX);
        let Some((target, lag)) = failing else { return Ok(()) };
        let why = lag.last_error.unwrap_or_else(|| "its batches fail; the log says why".to_owned());
        Err(format!("{} has failed {} times on {}: {why}", target.as_str(), lag.failures, lag.shard))
    }

    /// Sets their gauges.
    pub(super) async fn measure(&self, metrics: &Metrics, now: TimestampMs) {
        for (target, lag) in self.lags(now) {
            metrics.set_consumer_lag_ms(target, &lag.shard.0, lag.behind_ms);
        }
        for target in Target::ALL {
            let state = match &self.running {
                Some(running) => running.control.state(target).await,
                None => Ok(ConsumerState::Paused),
            };
            metrics.set_consumer_running(target, matches!(state, Ok(ConsumerState::Running)));
        }
    }

    fn lags(&self, now: TimestampMs) -> impl Iterator<Item = (Target, tributary_embedded::poller::ShardLag)> {
        let pollers = self.running.iter().flat_map(|running| &running.pollers);
        pollers.flat_map(move |(target, poller)| poller.lag(now).into_iter().map(|lag| (*target, lag)))
    }

    /// Lets the batches under way end, and their checkpoints be written.
    pub(super) async fn stop(&self) {
        for (_, poller) in self.running.iter().flat_map(|running| &running.pollers) {
            poller.stop().await;
        }
    }
}

fn poller_settings(opened: &Opened, config: &LocalSettings, target: Target) -> PollerSettings {
    let batches = opened.settings.current().batches(target);
    PollerSettings { batches, window: config.batch_window(target), ..PollerSettings::default() }
}

/// A consumer with a clock and a log.
struct Driven {
    consumer: Consumer,
    telemetry: Arc<Telemetry>,
}

#[async_trait]
impl Consume for Driven {
    async fn consume(&self, batch: Batch) -> Vec<SequenceNumber> {
        let (begun, now) = (Instant::now(), clock::now());
        let mut handled = self.consumer.handle(now, &batch).await;
        handled.facts.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.telemetry.emit(now, &handled.facts);
        handled.redeliver
    }
}
