//! Control over the event source mappings, with the states between that Lambda's have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tributary_model::Target;
use tributary_model::store_settings::Batches;
use tributary_ports::{ConsumerState, Control, PortError};

use crate::bell::Bell;
use crate::bug::Bug;
use crate::invariant::Invariant;
use crate::story::About;
use crate::weather::Place;
use crate::world::{World, lock};

/// For how long after a failed call on a store a pause of its consumer has a reason.
const REASON_MS: i64 = 15 * 60 * 1000;

pub(crate) struct MemoryControl {
    world: Arc<World>,
    /// The consumers that are to run.
    running: Mutex<BTreeSet<Target>>,
    /// Rung when a consumer is paused or resumed.
    changed: Bell,
    /// Batches under way.
    busy: Mutex<BTreeMap<Target, usize>>,
}

impl MemoryControl {
    pub(crate) fn new(world: Arc<World>) -> Arc<Self> {
        let running = Mutex::new(Target::ALL.into());
        Arc::new(Self { world, running, changed: Bell::default(), busy: Mutex::default() })
    }

    /// Returns when the consumer is to run.
    pub(crate) async fn until_running(&self, consumer: Target) {
        while !self.runs(consumer) {
            self.changed.after(self.changed.rung()).await;
        }
    }

    pub(crate) fn runs(&self, consumer: Target) -> bool {
        lock(&self.running).contains(&consumer)
    }

    /// Notes that a batch begins (1) or ends (-1).
    pub(crate) fn busy(&self, consumer: Target, change: isize) {
        let mut busy = lock(&self.busy);
        let count = busy.entry(consumer).or_default();
        *count = count.saturating_add_signed(change);
    }

    fn set(&self, consumer: Target, runs: bool) {
        let mut running = lock(&self.running);
        let changed = if runs { running.insert(consumer) } else { running.remove(&consumer) };
        drop(running);
        if changed {
            let what = if runs { "resumed" } else { "paused" };
            self.world.tell("control", About::All, || format!("{} is {what}", consumer.as_str()));
        }
        self.changed.ring();
        if changed && !runs {
            self.check_reason(consumer);
        }
    }

    fn check_reason(&self, consumer: Target) {
        let failed_at = self.world.failed_at(Place::of(consumer));
        let has_reason = failed_at.is_some_and(|at| at.plus_ms(REASON_MS) >= self.world.now());
        self.world.check(has_reason, Invariant::PausedForAReason, None, || {
            format!("{} is paused, and its store last failed: {failed_at:?}", consumer.as_str())
        });
    }
}

#[async_trait]
impl Control for MemoryControl {
    async fn pause(&self, consumer: Target) -> Result<(), PortError> {
        let effect = |_| {
            self.set(consumer, false);
            if self.world.has(Bug::PauseBoth) {
                Target::ALL.into_iter().for_each(|target| self.set(target, false));
            }
            Ok(())
        };
        self.world.call(Place::Control, "control.pause", About::Nobody, effect).await
    }

    async fn resume(&self, consumer: Target) -> Result<(), PortError> {
        let effect = |_| {
            if !self.world.has(Bug::NeverResume) {
                self.set(consumer, true);
            }
            Ok(())
        };
        self.world.call(Place::Control, "control.resume", About::Nobody, effect).await
    }

    /// The mapping draws the size of its batches; what it is told costs a call that may fail.
    async fn set_batches(&self, _consumer: Target, _batches: Batches) -> Result<(), PortError> {
        self.world.call(Place::Control, "control.set_batches", About::Nobody, |_| Ok(())).await
    }

    async fn state(&self, consumer: Target) -> Result<ConsumerState, PortError> {
        let effect = |_| {
            let is_busy = lock(&self.busy).get(&consumer).copied().unwrap_or_default() > 0;
            Ok(match (self.runs(consumer), is_busy) {
                (true, _) => ConsumerState::Running,
                (false, true) => ConsumerState::Pausing,
                (false, false) => ConsumerState::Paused,
            })
        };
        self.world.call(Place::Control, "control.state", About::Nobody, effect).await
    }
}
