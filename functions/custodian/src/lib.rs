//! The custodian: on a schedule, in every region, what nobody else has the time for.
//!
//! ```text
//! settings   the chosen batches -> the consumers
//! outages    marks of the consumers -> pause, probe, resume        one consumer after the other
//! retention  a consumer days behind -> the stream keeps longer     until all have caught up
//! overflow   oldest objects -> stream.append -> delete
//! given up   batches that a mapping gave up -> dead letters -> delete
//! rows       outages that the ledger does not have yet
//! directory  the core's -> this region's copy
//! expiry     documents past their retention, once a day
//! ```
//!
//! Nothing counts on the run before: each does what is due, so that a missed schedule is made up for by the next run. A run
//! may be killed between any two steps and the next one goes on: what is intended is written before it is done, and each
//! step done twice is done once. Two runs at a time are harmless to the overflow (a record appended twice is applied
//! once); of two that meet an outage, one loses its conditional write and leaves the rest to the other.
//!
//! A chore that fails does not keep the others from being done.

mod backlog;
mod drain;
mod expiry;
mod found;
mod given_up;
mod outage;
mod rows;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tributary_access::copy_directory;
use tributary_model::{Region, Target, TimestampMs};
use tributary_ports::stream::OperatedStream;
use tributary_ports::{Control, Ledger, LiveSettings, Objects, Overflow, Search};
use tributary_telemetry::CustodianFacts;

pub use given_up::GivenUp;
pub use outage::{Outage, Step};

/// What the custodian works with.
pub struct Custodian {
    /// The region that it looks after.
    pub region: Region,
    /// Takes what the overflow holds, and keeps longer what waits for a store.
    pub stream: Arc<dyn OperatedStream>,
    /// How long the stream keeps a record while no consumer is days behind.
    pub retention: Duration,
    /// Holds the consumers' marks, the outages, and the directory.
    pub objects: Arc<dyn Objects>,
    /// Holds this region's copy of the directory; none where `objects` is read itself.
    pub copy: Option<Arc<dyn Objects>>,
    /// Forgets what is past its retention.
    pub search: Arc<dyn Search>,
    /// Holds what the stream refused.
    pub overflow: Overflow,
    /// Where the mappings leave what they give up; none where the poller gives nothing up.
    pub given_up: Option<GivenUp>,
    /// Takes the rows of outages and dead letters.
    pub ledger: Arc<dyn Ledger>,
    /// Pauses and resumes the consumers, and says how they are given their batches.
    pub control: Arc<dyn Control>,
    /// Page sizes and concurrency of the stores.
    pub settings: Arc<LiveSettings>,
}

impl Custodian {
    /// Does what is due. `chance`, 0 to 1, spreads the probes of many custodians.
    pub async fn handle(&self, now: TimestampMs, chance: f64) -> CustodianFacts {
        let mut facts = CustodianFacts::of(&self.region);
        note(&mut facts, self.settings.refresh(self.objects.as_ref(), now).await);
        let mut marked = Vec::new();
        for consumer in Target::ALL {
            let batches = self.settings.current().batches(consumer);
            note(&mut facts, self.control.set_batches(consumer, batches).await);
            let marks = self.marks(consumer).await;
            let Some(marks) = note(&mut facts, marks) else { continue };
            let looked = self.look_after(now, chance, consumer, &marks).await;
            let outage = note(&mut facts, looked).flatten();
            facts.outages.extend(outage.map(|cause| (consumer, cause.as_str())));
            marked.push((consumer, marks));
        }
        // Without the marks of all, nobody can say that all have caught up.
        if marked.len() == Target::ALL.len() {
            let kept = self.keep_records(now, &marked, &mut facts).await;
            note(&mut facts, kept);
        }
        let drained = self.drain(&mut facts).await;
        note(&mut facts, drained);
        let collected = self.collect_given_up(now, &mut facts).await;
        note(&mut facts, collected);
        let written = self.write_rows().await;
        note(&mut facts, written);
        if let Some(copy) = &self.copy {
            note(&mut facts, copy_directory(self.objects.as_ref(), copy.as_ref()).await);
        }
        let expired = self.expire(now).await;
        note(&mut facts, expired);
        facts.consumers_out = facts.outages.len();
        facts.failed = facts.errors.len();
        facts
    }
}

/// Keeps what went wrong for the log.
fn note<A, E: fmt::Display>(facts: &mut CustodianFacts, result: Result<A, E>) -> Option<A> {
    result.map_err(|error| facts.errors.push(error.to_string())).ok()
}
