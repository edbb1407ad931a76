//! What has to be done now and then: read the directory again, delete what the stream need not keep, set gauges, write
//! the log; and beside it the custodian's runs, of which one may take longer than the others can wait.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};
use tributary_access::DirectoryCache;
use tributary_config::LocalSettings;
use tributary_custodian::Custodian;
use tributary_embedded::search::TantivySearch;
use tributary_embedded::stream::FileStream;
use tributary_model::limits::{LOCAL_CHORES_INTERVAL, LOCAL_DIRECTORY_REFRESH, LOG_FLUSH_INTERVAL};
use tributary_model::{Level, TimestampMs};
use tributary_telemetry::{Facts, Metrics, Telemetry};

use super::Opened;
use super::consumers::Consumers;
use crate::clock;

/// The chores, until they are stopped.
pub(super) struct Chores {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    custodian: Option<JoinHandle<()>>,
}

impl Chores {
    pub(super) fn start(
        opened: &Opened,
        consumers: &Consumers,
        telemetry: &Arc<Telemetry>,
        config: &LocalSettings,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let custodian = consumers.custodian(opened, config);
        let custodian =
            custodian.map(|custodian| tokio::spawn(look_after(custodian, Arc::clone(telemetry), stopped.clone())));
        let work = Work {
            directories: Arc::clone(&opened.directories),
            stream: opened.own_stream.clone(),
            search: opened.search.clone(),
            consumers: consumers.clone(),
            telemetry: Arc::clone(telemetry),
            complained: None,
        };
        Self { stop, task: tokio::spawn(work.run(stopped)), custodian }
    }

    pub(super) async fn stop(self) {
        let _ = self.stop.send(true); // an error means that it has ended
        let _ = self.task.await; // likewise
        if let Some(custodian) = self.custodian {
            let _ = custodian.await; // likewise
        }
    }
}

/// The custodian's schedule: a run at once, in case one is overdue, and then one every `LOCAL_CHORES_INTERVAL`. A stop does
/// not wait for a run's end: the next one goes on where it was.
async fn look_after(custodian: Custodian, telemetry: Arc<Telemetry>, mut stopped: watch::Receiver<bool>) {
    let mut schedule = every(LOCAL_CHORES_INTERVAL);
    loop {
        let run = async {
            schedule.tick().await;
            let now = clock::now();
            telemetry.emit(now, &custodian.handle(now, rand::random()).await);
        };
        tokio::select! {
            () = told(&mut stopped) => return,
            () = run => {}
        }
    }
}

struct Work {
    directories: Arc<DirectoryCache>,
    stream: Option<Arc<FileStream>>,
    search: Option<Arc<TantivySearch>>,
    consumers: Consumers,
    telemetry: Arc<Telemetry>,
    /// The last complaint about the directory: the same again is not logged every second.
    complained: Option<String>,
}

impl Work {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let [mut log, mut often, mut seldom] =
            [LOG_FLUSH_INTERVAL, LOCAL_DIRECTORY_REFRESH, LOCAL_CHORES_INTERVAL].map(every);
        loop {
            tokio::select! {
                () = told(&mut stopped) => return,
                _ = log.tick() => self.flush().await,
                _ = often.tick() => self.refresh().await,
                _ = seldom.tick() => self.tidy().await,
            }
        }
    }

    async fn refresh(&mut self) {
        let now = clock::now();
        let refreshed = self.directories.refresh(now).await;
        let complaint = refreshed.err().map(|error| error.to_string());
        if let Some(error) = complaint.clone().filter(|_| complaint != self.complained) {
            self.telemetry.emit(now, &ChoreFacts { chore: "directory", error });
        }
        self.complained = complaint;
    }

    async fn flush(&self) {
        let telemetry = Arc::clone(&self.telemetry);
        let _ = tokio::task::spawn_blocking(move || telemetry.flush()).await; // what can't be written is counted there
    }

    async fn tidy(&self) {
        let now = clock::now();
        let metrics = self.telemetry.metrics();
        if let Some(age_ms) = self.directories.age_ms(now) {
            metrics.set_directory_age_ms(u64::try_from(age_ms).unwrap_or(0));
        }
        self.consumers.measure(metrics, now).await;
        if let Some(search) = &self.search {
            metrics.set_search_documents(search.documents());
        }
        let Some(stream) = self.stream.clone() else { return };
        metrics.set_stream_bytes(stream.health().bytes);
        self.expire(stream, now).await;
    }

    async fn expire(&self, stream: Arc<FileStream>, now: TimestampMs) {
        let expired = tokio::task::spawn_blocking(move || stream.expire(now)).await;
        if let Ok(Err(error)) = expired {
            self.telemetry.emit(now, &ChoreFacts { chore: "stream retention", error: error.to_string() });
        }
    }
}

/// Ticks, none of which makes up for one that was missed while the machine slept.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await; // an error means that nobody is left who could tell: the same
}

/// A chore that failed; it is tried again.
#[derive(Serialize)]
struct ChoreFacts {
    chore: &'static str,
    error: String,
}

impl Facts for ChoreFacts {
    const EVENT: &'static str = "local.chore";

    fn level(&self) -> Level {
        Level::Error
    }

    fn count(&self, _metrics: &Metrics) {}
}
