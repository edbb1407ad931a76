//! Batches that a mapping gave up after all its attempts, into dead letters: from there an operator sees them with the reason,
//! and puts them back.
//!
//! A batch is deleted after all its records are dead letters. Killed in between, the next run makes the same letters again.
//! One that a store has meanwhile, by a replay or a resend, ends by itself like others.

use std::sync::Arc;

use tributary_model::limits::{GIVEN_UP_PAGE, GIVEN_UP_RECORDS_MAX};
use tributary_model::{Target, TimestampMs};
use tributary_ports::stream::Batch;
use tributary_ports::{Keys, Objects, PortError};
use tributary_telemetry::CustodianFacts;
use tributary_worker::{Sink, Worker};

use crate::Custodian;
use crate::found::Found;

/// Where the mappings leave what they give up.
pub struct GivenUp {
    /// The bucket.
    pub objects: Arc<dyn Objects>,
    /// What the keys of each consumer's batches begin with.
    pub prefixes: [(Target, String); Target::ALL.len()],
    /// Reads an object of the bucket: the batch, and after what it was given up, in a sentence without customer data.
    pub read: fn(&[u8]) -> Option<(Batch, String)>,
    /// Seals the dead letters.
    pub keys: Arc<dyn Keys>,
}

impl Custodian {
    /// Makes dead letters of what the mappings gave up, until nothing is left or the run has done enough.
    ///
    /// # Errors
    /// Bad luck of any kind. What was done until then is counted.
    pub(crate) async fn collect_given_up(&self, now: TimestampMs, facts: &mut CustodianFacts) -> Result<(), PortError> {
        let Some(given_up) = &self.given_up else { return Ok(()) };
        for (consumer, prefix) in &given_up.prefixes {
            let worker = Worker {
                target: match consumer {
                    Target::Search => Sink::Search(self.search.clone()),
                    Target::Ledger => Sink::Ledger(self.ledger.clone()),
                },
                objects: self.objects.clone(),
                keys: given_up.keys.clone(),
                ledger: self.ledger.clone(),
                region: self.region.clone(),
            };
            let mut after: Option<String> = None;
            loop {
                let keys = given_up.objects.list(prefix, after.as_deref(), GIVEN_UP_PAGE).await?;
                let Some(last) = keys.last().cloned() else { break };
                for key in &keys {
                    if facts.given_up >= GIVEN_UP_RECORDS_MAX {
                        return Ok(());
                    }
                    let found = given_up.objects.get(key).await;
                    match Found::of(found, |object| (given_up.read)(&object.bytes))? {
                        Found::Whole((batch, why)) => {
                            worker.give_up(now, &batch, &why).await?;
                            given_up.objects.delete(key).await?;
                            facts.given_up += batch.records.len();
                        }
                        Found::Gone => {}
                        Found::Unreadable => facts.unreadable += 1,
                    }
                }
                after = Some(last);
            }
        }
        Ok(())
    }
}
