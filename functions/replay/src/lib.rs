//! A time range of the stream again: through the worker's own apply, or only compared with what the stores hold.
//!
//! ```text
//! start -> replay + one state a shard, as objects
//! runner: claim a shard -> read a page -> keep what the request wants -> apply, or compare -> checkpoint, again
//! ```
//!
//! - Everything that a replay knows is in the object store, since the database may be what failed. Every write there is
//!   conditional: who has not read what is there can't write over it.
//! - A shard has one runner at a time: a lease, renewed with every checkpoint, says which. Who lost the lease can't write
//!   a checkpoint any more; what that runner applied in the meantime was written by version, as everything is.
//! - A step is one page: the caller loops, has the clock, and sleeps. It may be killed between any two steps, or in one.
//! - Parents are read to their end before their children.
//! - Counts add up, for each target: read = skipped + its outcomes. A page that is applied once more, after its
//!   checkpoint got lost, is counted once, by what became of it the last time.
//! - An audit ([`Mode::Audit`]) is a replay that writes nothing but names: of each report that a store lacks, has in an
//!   older version, or has twice. [`Mode::Heal`] applies exactly those; a doubled one it can only name.

mod claim;
mod compare;
mod dead_letter;
mod filter;
mod finding;
mod handle;
mod object;
mod overflow;
mod progress;
mod receipts;
mod request;
mod restore;
mod runner;
mod start;
mod state;
mod steer;
mod step;
mod trail;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tributary_model::{Region, Target};
use tributary_ports::overflow::Overflow;
use tributary_ports::{Keys, Ledger, Objects, Search, Stream};
use tributary_worker::{Sink, Worker};

pub use dead_letter::{
    OpenedDeadLetter, Redriven, Sweep, discard, edited, read_dead_letter, redrive, redrive_edited, report_of,
};
pub use finding::{Finding, FindingsPage, Problem, findings};
pub use progress::{Progress, ShardProgress, progress};
pub use receipts::{Receipt, check_receipts};
pub use request::{Mode, Request};
pub use restore::{restore_audit_events, restore_dead_letters};
pub use runner::{Next, Runner, Stepped};
pub use start::{StartError, start};
pub use state::{Counts, Replay, State};
pub use steer::{SteerError, list, open, steer};

/// What replays work with.
pub struct Replays {
    /// The streams by their region.
    pub streams: BTreeMap<Region, Arc<dyn Stream>>,
    /// How long a stream keeps a record.
    pub retention: Duration,
    /// The search index.
    pub search: Arc<dyn Search>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Holds the replays' states, and takes dead letters.
    pub objects: Arc<dyn Objects>,
    /// Seals and opens dead letters.
    pub keys: Arc<dyn Keys>,
    /// What was acknowledged and is not in a stream yet, of each region.
    pub overflows: Vec<Overflow>,
    /// Records that are applied at once at most.
    pub batch_records: usize,
}

impl Replays {
    /// The worker that a consumer of `region` would have.
    fn worker(&self, region: &Region, target: Target) -> Worker {
        let sink = match target {
            Target::Search => Sink::Search(Arc::clone(&self.search)),
            Target::Ledger => Sink::Ledger(Arc::clone(&self.ledger)),
        };
        Worker {
            target: sink,
            objects: Arc::clone(&self.objects),
            keys: Arc::clone(&self.keys),
            ledger: Arc::clone(&self.ledger),
            region: region.clone(),
        }
    }
}
