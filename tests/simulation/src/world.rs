//! What all parts of a simulated world share: its clock, its chance, its weather, its story, and what is held to be true.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;
use tributary_model::{ReportId, Target, TimestampMs};
use tributary_ports::{PortError, PortErrorKind};

use crate::bell::Bell;
use crate::bug::Bug;
use crate::invariant::{Invariant, Violation};
use crate::random::Random;
use crate::story::{About, Story};
use crate::weather::{Fate, Place, Weather};

/// When every world begins: 2026-11-21T18:01:01.873Z.
pub(crate) const BEGIN: TimestampMs = TimestampMs(1_795_284_061_873);

/// What can be killed between any two of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Process {
    Collector,
    Worker,
    Custodian,
    Replay,
}

impl Process {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Worker => "worker",
            Self::Custodian => "custodian",
            Self::Replay => "replay",
        }
    }
}

/// One seed's world.
pub(crate) struct World {
    /// The bug that is switched in, if any.
    pub(crate) bug: Option<Bug>,
    begun: Instant,
    random: Mutex<Random>,
    weather: Mutex<Weather>,
    story: Mutex<Story>,
    processes: Mutex<BTreeMap<Process, Vec<AbortHandle>>>,
    /// The last failed call of a place, for whoever asks whether a pause has a reason.
    failed_at: Mutex<BTreeMap<&'static str, TimestampMs>>,
    /// Calls, folded into a number: two runs of a seed have the same.
    fingerprint: Mutex<u64>,
    violation: Mutex<Option<Violation>>,
    violated: Bell,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(random: Random, weather: Weather, bug: Option<Bug>, told: bool) -> Arc<Self> {
        let world = Self {
            bug,
            begun: Instant::now(),
            random: Mutex::new(random),
            weather: Mutex::new(weather),
            story: Mutex::new(Story::new(told)),
            processes: Mutex::default(),
            failed_at: Mutex::default(),
            fingerprint: Mutex::new(0xcbf2_9ce4_8422_2325),
            violation: Mutex::default(),
            violated: Bell::default(),
        };
        Arc::new(world)
    }

    /// Time since the world began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What a clock on the wall shows.
    pub(crate) fn now(&self) -> TimestampMs {
        BEGIN.plus_ms(i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn draw<A>(&self, draw: impl FnOnce(&mut Random) -> A) -> A {
        draw(&mut lock(&self.random))
    }

    /// How long who looks every `usual` for what comes by itself waits now until it looks again.
    pub(crate) fn pause(&self, usual: Duration) -> Duration {
        lock(&self.weather).pause(usual, self.elapsed())
    }

    /// Whether the place fails whatever it is asked.
    pub(crate) fn is_out(&self, place: Place) -> bool {
        lock(&self.weather).is_out(place, self.elapsed())
    }

    /// The stores that are out for long in this world.
    pub(crate) fn out_for_long(&self) -> Vec<Target> {
        lock(&self.weather).long.clone()
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calm(&self) {
        *lock(&self.weather) = Weather::fair();
        self.tell("weather", About::All, || "from here on nothing goes wrong".to_owned());
    }

    /// Says which places will be out, and when.
    pub(crate) fn tell_weather(&self) {
        for spell in &lock(&self.weather).spells {
            self.tell("weather", About::All, || {
                let (place, kind) = (spell.place.as_str(), spell.kind.as_str());
                let (from, until) = (spell.from.as_secs_f64(), spell.until.as_secs_f64());
                format!("{place} will be {kind} from {from:.3} s to {until:.3} s")
            });
        }
    }

    pub(crate) fn tell(&self, actor: &'static str, about: About, text: impl FnOnce() -> String) {
        lock(&self.story).add(self.elapsed(), actor, about, text);
    }

    pub(crate) fn tell_of(&self, actor: &'static str, id: ReportId, text: impl FnOnce() -> String) {
        self.tell(actor, About::Reports(vec![id]), text);
    }

    /// The story of the first violation, if there is one.
    pub(crate) fn story(&self, id: Option<ReportId>) -> String {
        lock(&self.story).tell(id)
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        *lock(&self.fingerprint)
    }

    fn fold(&self, place: Place, fate: Fate) {
        let text = format!("{:?} {place:?} {fate:?}", self.elapsed());
        let mut fingerprint = lock(&self.fingerprint);
        for byte in text.bytes() {
            *fingerprint = (*fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// A call on a port: on its way, it may be slow; it may fail before `effect`, after it, or having done a part of it
    /// (`effect` is told, and does what it calls a part). The caller may be killed on either way.
    pub(crate) async fn call<A>(
        &self,
        place: Place,
        operation: &'static str,
        about: About,
        effect: impl FnOnce(Fate) -> Result<A, PortError>,
    ) -> Result<A, PortError> {
        self.on_the_way().await;
        let at = self.elapsed();
        let fate = self.draw(|random| lock(&self.weather).fate(random, place, at));
        self.fold(place, fate);
        let answer = match fate {
            Fate::Fails(kind) => Err(failure(kind, operation, "it does nothing")),
            Fate::Works => effect(fate),
            Fate::AnswerLost => {
                let done = effect(fate);
                done.and(Err(failure(PortErrorKind::Unavailable, operation, "its answer is lost")))
            }
            Fate::Partly(kind) => effect(fate).and(Err(failure(kind, operation, "it did a part"))),
        };
        self.note(place, operation, about, answer.as_ref().err());
        self.on_the_way().await;
        answer
    }

    async fn on_the_way(&self) {
        let latency = self.draw(|random| lock(&self.weather).latency(random));
        tokio::time::sleep(latency).await;
    }

    fn note(&self, place: Place, operation: &'static str, about: About, error: Option<&PortError>) {
        if let Some(error) = error {
            lock(&self.failed_at).insert(place.as_str(), self.now());
            self.tell(place.as_str(), about, || error.to_string());
        } else if matches!(about, About::Reports(_)) {
            self.tell(place.as_str(), about, || operation.to_owned());
        }
    }

    /// When a call on the place last failed.
    pub(crate) fn failed_at(&self, place: Place) -> Option<TimestampMs> {
        lock(&self.failed_at).get(place.as_str()).copied()
    }

    /// Runs a part of a process, until it ends or the process is killed.
    pub(crate) fn start<A: Send + 'static>(
        self: &Arc<Self>,
        process: Process,
        part: impl Future<Output = A> + Send + 'static,
    ) -> JoinHandle<A> {
        let running = tokio::spawn(part);
        let mut processes = lock(&self.processes);
        let parts = processes.entry(process).or_default();
        parts.retain(|part| !part.is_finished());
        parts.push(running.abort_handle());
        drop(processes);
        if let Some(after) = self.draw(|random| lock(&self.weather).kill_after(random)) {
            let world = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                world.kill(process);
            });
        }
        running
    }

    /// Ends all parts of a process where they stand.
    pub(crate) fn kill(&self, process: Process) {
        let parts = lock(&self.processes).remove(&process).unwrap_or_default();
        let running = parts.iter().filter(|part| !part.is_finished()).count();
        parts.iter().for_each(AbortHandle::abort);
        if running > 0 {
            self.tell(process.as_str(), About::All, || format!("KILLED, with {running} under way"));
        }
    }

    /// Notes that something held to be true is not. The first one counts.
    pub(crate) fn violated(&self, invariant: Invariant, id: Option<ReportId>, what: String) {
        lock(&self.violation).get_or_insert(Violation { invariant, id, what });
        self.violated.ring();
    }

    pub(crate) fn check(&self, holds: bool, invariant: Invariant, id: Option<ReportId>, what: impl FnOnce() -> String) {
        if !holds {
            self.violated(invariant, id, what());
        }
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        lock(&self.violation).clone()
    }

    /// Waits for `span`, or less if something held to be true is not.
    pub(crate) async fn pass(&self, span: Duration) {
        let _ = tokio::time::timeout(span, self.violated.after(0)).await; // the caller looks what it was
    }
}

fn failure(kind: PortErrorKind, operation: &'static str, what: &'static str) -> PortError {
    PortError::new(kind, operation, what)
}
