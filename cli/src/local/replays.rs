//! The replays' runners, as many as [`LOCAL_REPLAY_RUNNERS`], each with a shard under way; and the sweep of dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tributary_access::DirectoryCache;
use tributary_config::{FunctionName, LocalSettings};
use tributary_model::Level;
use tributary_model::limits::{DEAD_LETTER_SWEEP_INTERVAL, LOCAL_REPLAY_RUNNERS, REPLAY_POLL_INTERVAL};
use tributary_ports::stream::OperatedStream;
use tributary_ports::{Keys, Ledger, Objects, Search};
use tributary_replay::{Readers, Replays, Runner, Stepped, Sweep, audit_daily};
use tributary_telemetry::{Facts, Metrics, Telemetry};

use super::Opened;
use crate::clock;

/// What the replays of this process work with; none without a search index.
pub(super) fn replays(opened: &Opened, config: &LocalSettings) -> Option<Arc<Replays>> {
    let search = Arc::clone(opened.search.as_ref()?) as Arc<dyn Search>;
    let stream = opened.own_stream.clone()? as Arc<dyn OperatedStream>;
    Some(Arc::new(Replays {
        streams: BTreeMap::from([(config.region.clone(), stream)]),
        readers: Readers::default(),
        search,
        ledger: Arc::clone(&opened.stores.ledger) as Arc<dyn Ledger>,
        objects: Arc::clone(&opened.stores.objects) as Arc<dyn Objects>,
        keys: Arc::clone(&opened.stores.keys) as Arc<dyn Keys>,
        overflows: vec![opened.overflow()],
        settings: Arc::clone(&opened.settings),
    }))
}

/// The running runners.
pub(super) struct Runners {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Runners {
    /// Starts them, if replays are to run.
    pub(super) fn start(
        opened: &Opened,
        replays: Option<&Arc<Replays>>,
        telemetry: &Arc<Telemetry>,
        config: &LocalSettings,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let replays = replays.filter(|_| config.only.contains(&FunctionName::Replay));
        // One process has the data folder: a runner of this name that was killed left its shards to this one.
        let start = |replays: &Arc<Replays>, number: usize| {
            let runner = Runner::new(format!("local-{number}"));
            tokio::spawn(run(Arc::clone(replays), runner, Arc::clone(telemetry), stopped.clone()))
        };
        let sweeping = replays.map(|replays| Sweeping {
            replays: Arc::clone(replays),
            directories: Arc::clone(&opened.directories),
            retention: config.dead_letter_retention,
            telemetry: Arc::clone(telemetry),
        });
        let sweeping = sweeping.map(|sweeping| tokio::spawn(sweeping.run(stopped.clone())));
        let tasks =
            replays.into_iter().flat_map(|replays| (0..LOCAL_REPLAY_RUNNERS).map(|number| start(replays, number)));
        Self { tasks: tasks.chain(sweeping).collect(), stop }
    }

    /// Lets the pages under way end.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true); // an error means that none runs
        for task in self.tasks {
            let _ = task.await; // it ends by a panic only if the runtime does
        }
    }
}

async fn run(replays: Arc<Replays>, mut runner: Runner, telemetry: Arc<Telemetry>, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        let now = clock::now();
        // What can't be read is the custodian's to tell; the settings stay as they were.
        let _ = replays.settings.refresh(&*replays.objects, now).await;
        let wait = match runner.step(&replays, now).await {
            Ok(Stepped { next, facts }) => {
                if let Some(facts) = facts {
                    telemetry.emit(now, &facts);
                }
                next.wait(clock::now())
            }
            Err(error) => {
                telemetry.emit(now, &RunnerFacts { error: error.to_string() });
                REPLAY_POLL_INTERVAL
            }
        };
        // An error means that nobody is left who could tell: the same as being told.
        let _ = tokio::time::timeout(wait, stopped.wait_for(|stop| *stop)).await;
    }
    let _ = runner.stop(&replays).await; // its lease ends by itself
}

/// The chores beside the replays: an audit of each day, and the end of dead letters that have come to it by themselves.
struct Sweeping {
    replays: Arc<Replays>,
    directories: Arc<DirectoryCache>,
    retention: Duration,
    telemetry: Arc<Telemetry>,
}

impl Sweeping {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut sweep = Sweep::default();
        while tokio::time::timeout(DEAD_LETTER_SWEEP_INTERVAL, stopped.wait_for(|stop| *stop)).await.is_err() {
            let now = clock::now();
            if let Err(error) = audit_daily(&self.replays, now).await {
                self.telemetry.emit(now, &RunnerFacts { error: error.to_string() });
            }
            let Ok(directory) = self.directories.current(now) else { continue }; // a chore says so
            let swept = sweep.step(&self.replays, now, self.retention, directory.projects.keys()).await;
            if let Err(error) = swept {
                self.telemetry.emit(now, &RunnerFacts { error: error.to_string() });
            }
        }
    }
}

/// A step that failed at the object store; it is tried again.
#[derive(Serialize)]
struct RunnerFacts {
    error: String,
}

impl Facts for RunnerFacts {
    const EVENT: &'static str = "replay.runner";

    fn level(&self) -> Level {
        Level::Error
    }

    fn count(&self, _metrics: &Metrics) {}
}
