//! One invocation of the replay function: the chores, then runners side by side until nothing is to do or the time is nearly
//! over. What is left then is handed to the next invocation.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use tributary_access::DirectoryCache;
use tributary_model::limits::{DEAD_LETTER_SWEEP_INTERVAL, REPLAY_HANDOVER, REPLAY_POLL_INTERVAL};
use tributary_model::{Level, TimestampMs};
use tributary_ports::PortError;
use tributary_replay::{Next, Replays, Runner, Stepped, Sweep, audit_daily, has_turn};
use tributary_telemetry::{Facts, Metrics, Telemetry};

/// What stays from one invocation to the next.
pub(crate) struct Rounds<H> {
    replays: Replays,
    directories: Arc<DirectoryCache>,
    dead_letter_retention: Duration,
    /// Starts the next invocation.
    hand_over: H,
    sweep: Mutex<Sweep>,
}

/// One invocation.
struct Round<'a, C> {
    replays: &'a Replays,
    telemetry: &'a Telemetry,
    clock: C,
    /// When runners let go of their shards.
    ends: TimestampMs,
    /// Runners that have work.
    busy: Cell<usize>,
}

/// What an invocation did beside its replays' pages, which are logged one by one.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RoundFacts {
    /// The audit that was started.
    audit: Option<String>,
    /// Dead letters that came to an end by themselves.
    swept: usize,
    /// Whether the next invocation goes on with what is left.
    handed_over: bool,
    /// What could not be done now.
    errors: Vec<String>,
}

impl Facts for RoundFacts {
    const EVENT: &'static str = "replay.round";

    fn level(&self) -> Level {
        if self.errors.is_empty() { Level::Info } else { Level::Error }
    }

    fn count(&self, _metrics: &Metrics) {}
}

impl<H: AsyncFn() -> Result<(), PortError>> Rounds<H> {
    pub(crate) fn new(replays: Replays, directories: Arc<DirectoryCache>, retention: Duration, hand_over: H) -> Self {
        Self { replays, directories, dead_letter_retention: retention, hand_over, sweep: Mutex::default() }
    }

    /// Works by `clock` until nothing is to do, or it is nearly `until`.
    pub(crate) async fn run(
        &self,
        telemetry: &Telemetry,
        clock: impl Fn() -> TimestampMs,
        until: TimestampMs,
    ) -> RoundFacts {
        let mut facts = RoundFacts::default();
        if let Err(error) = self.replays.settings.refresh(self.replays.objects.as_ref(), clock()).await {
            facts.errors.push(error.to_string());
        }
        self.do_chores(clock(), &mut facts).await;
        let ends = until.minus(REPLAY_HANDOVER);
        let round = Round { replays: &self.replays, telemetry, clock, ends, busy: Cell::new(0) };
        let name: u64 = rand::random();
        let runners = self.replays.settings.current().stream_concurrency;
        let left = join_all((0..runners).map(|number| round.work(format!("{name:016x}-{number}")))).await;
        self.replays.readers.close();
        if left.contains(&true) {
            match (self.hand_over)().await {
                Ok(()) => facts.handed_over = true,
                Err(error) => facts.errors.push(error.to_string()), // the schedule does it within a minute
            }
        }
        facts
    }

    async fn do_chores(&self, now: TimestampMs, facts: &mut RoundFacts) {
        // A runner does it only when it has nothing else to do, which may take days.
        if let Err(error) = self.replays.remove_readers(now).await {
            facts.errors.push(error.to_string());
        }
        match audit_daily(&self.replays, now).await {
            Ok(started) => facts.audit = started.map(|replay| replay.id),
            Err(error) => facts.errors.push(error.to_string()),
        }
        match has_turn(&self.replays, now, "sweep", DEAD_LETTER_SWEEP_INTERVAL).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return facts.errors.push(error.to_string()),
        }
        if let Err(error) = self.directories.refresh(now).await {
            facts.errors.push(error.to_string());
        }
        let Ok(directory) = self.directories.current(now) else { return };
        let mut sweep = self.sweep.lock().await;
        match sweep.step(&self.replays, now, self.dead_letter_retention, directory.projects.keys()).await {
            Ok(swept) => facts.swept = swept,
            Err(error) => facts.errors.push(error.to_string()),
        }
    }
}

impl<C: Fn() -> TimestampMs> Round<'_, C> {
    /// Works until nobody has anything to do, or the round ends; true if something is left then.
    async fn work(&self, name: String) -> bool {
        let mut runner = Runner::new(name);
        let mut has_work = false;
        loop {
            let now = (self.clock)();
            if now >= self.ends {
                // The lease of one that can't be let go ends by itself.
                let _ = runner.stop(self.replays).await;
                return has_work;
            }
            // What can't be read is told at the beginning of each round; the settings stay as they were.
            let _ = self.replays.settings.refresh(self.replays.objects.as_ref(), now).await;
            let stepped = runner.step(self.replays, now).await;
            let next = match stepped {
                Ok(Stepped { next, facts }) => {
                    if let Some(facts) = facts {
                        self.telemetry.emit(now, &facts);
                    }
                    next
                }
                Err(error) => {
                    self.telemetry.emit(now, &RoundFacts { errors: vec![error.to_string()], ..RoundFacts::default() });
                    Next::At(now.plus(REPLAY_POLL_INTERVAL))
                }
            };
            self.note(&mut has_work, next != Next::Idle);
            // One that has nothing to do waits for the children of the shards that others read.
            let wait = match next {
                Next::Idle if self.busy.get() == 0 => return false,
                Next::Idle => next.wait(now),
                Next::At(at) => Next::At(at.min(self.ends)).wait((self.clock)()),
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn note(&self, had_work: &mut bool, has_work: bool) {
        match (*had_work, has_work) {
            (false, true) => self.busy.set(self.busy.get() + 1),
            (true, false) => self.busy.set(self.busy.get() - 1),
            _ => {}
        }
        *had_work = has_work;
    }
}
