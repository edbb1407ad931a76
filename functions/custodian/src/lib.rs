//! The custodian: on a schedule, in every region, what nobody else has the time for.
//!
//! ```text
//! outages   marks of the consumers -> pause, probe, resume        one consumer after the other
//! overflow  oldest objects -> stream.append -> delete
//! rows      outages that the ledger does not have yet
//! ```
//!
//! Nothing counts on the run before: each does what is due, so that a missed schedule is made up for by the next run. A run
//! may be killed between any two steps and the next one goes on: what is intended is written before it is done, and each
//! step done twice is done once. Two runs at a time are harmless to the overflow (a record appended twice is applied
//! once); of two that meet an outage, one loses its conditional write and leaves the rest to the other.
//!
//! A chore that fails does not keep the others from being done.

mod drain;
mod kept;
mod outage;
mod rows;

use std::sync::Arc;

use tributary_model::{Region, Target, TimestampMs};
use tributary_ports::{Control, Ledger, Objects, Overflow, PortError, Stream};
use tributary_telemetry::CustodianFacts;

pub use outage::{Outage, Step, open_key};

/// What the custodian works with.
pub struct Custodian {
    /// The region that it looks after.
    pub region: Region,
    /// Takes what the overflow holds.
    pub stream: Arc<dyn Stream>,
    /// Holds the consumers' marks and the outages.
    pub objects: Arc<dyn Objects>,
    /// Holds what the stream refused.
    pub overflow: Overflow,
    /// Takes the outages' rows.
    pub ledger: Arc<dyn Ledger>,
    /// Pauses and resumes the consumers.
    pub control: Arc<dyn Control>,
}

impl Custodian {
    /// Does what is due. `chance`, 0 to 1, spreads the probes of many custodians.
    pub async fn handle(&self, now: TimestampMs, chance: f64) -> CustodianFacts {
        let mut facts = CustodianFacts::default();
        for consumer in Target::ALL {
            let looked = self.look_after(now, chance, consumer).await;
            let Some(outage) = note(&mut facts, looked) else { continue };
            facts.outages.extend(outage.map(|cause| (consumer, cause.as_str())));
        }
        let drained = self.drain(&mut facts).await;
        note(&mut facts, drained);
        let written = self.write_rows().await;
        note(&mut facts, written);
        facts
    }
}

/// Keeps what went wrong for the log.
fn note<A>(facts: &mut CustodianFacts, result: Result<A, PortError>) -> Option<A> {
    result.map_err(|error| facts.errors.push(error.to_string())).ok()
}
