//! A time range of the stream again: through the worker's own apply, or only compared with what the stores hold.
//!
//! ```text
//! start -> replay + one state a shard, as objects
//! runner: claim a shard -> look -> read a page -> keep what the request wants -> apply, or compare -> checkpoint, again
//! ```
//!
//! - Everything that a replay knows is in the object store, since the database may be what failed. Every write there is
//!   conditional: who has not read what is there can't write over it.
//! - A shard has one runner at a time: a lease, renewed with every checkpoint, says which. Who lost the lease can't write
//!   a checkpoint any more; what that runner applied in the meantime was written by version, as everything is.
//! - A step is one page: the caller loops, has the clock, and sleeps. It may be killed between any two steps, or in one.
//! - What a shard gives in a second decides how long a replay takes. So the next page is read while one is handled, and a
//!   checkpoint is written, and the replay looked at, once in a second and not for each page. Position and counts are
//!   written together, or not at all.
//! - A replay reads through a reader of its own, so that the live consumers keep their share of the stream; it is removed
//!   when the replay is paused or over (`readers`).
//! - Where a store is out for the live consumer, a replay that would write waits: its writes come second.
//! - Parents are read to their end before their children.
//! - Counts add up, for each target: read = skipped + its outcomes. Pages that are applied once more, since a runner was
//!   killed before their checkpoint, are counted once, by what became of them the last time.
//! - An audit ([`Mode::Audit`]) is a replay that writes nothing but names: of each report that a store lacks, has in an
//!   older version, or has twice. [`Mode::Heal`] applies exactly those; a doubled one it can only name.

mod chores;
mod claim;
mod compare;
mod dead_letter;
mod filter;
mod finding;
mod handle;
mod look;
mod overflow;
mod progress;
mod read;
mod readers;
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

use tributary_model::{Region, Target};
use tributary_ports::overflow::Overflow;
use tributary_ports::stream::OperatedStream;
use tributary_ports::{Keys, Ledger, LiveSettings, Objects, Search};
use tributary_worker::{Sink, Worker};

pub use chores::{audit_daily, has_turn};
pub use dead_letter::{
    OpenedDeadLetter, Redriven, Sweep, discard, edited, read_dead_letter, redrive, redrive_edited, report_of,
};
pub use finding::{Finding, FindingsPage, Problem, findings};
pub use progress::{Progress, ShardProgress, progress};
pub use readers::Readers;
pub use receipts::{Receipt, check_receipts};
pub use request::{Mode, Request};
pub use restore::{restore_audit_events, restore_dead_letters, restore_outages};
pub use runner::{Next, Runner, Stepped};
pub use start::{StartError, start};
pub use state::{Counts, Gap, Replay, State};
pub use steer::{SteerError, list, open, steer};

/// What replays work with.
pub struct Replays {
    /// The streams by their region: those of whose shards a runner takes, and all that a replay can be started on.
    pub streams: BTreeMap<Region, Arc<dyn OperatedStream>>,
    /// The readers that are open in this process.
    pub readers: Readers,
    /// The search index.
    pub search: Arc<dyn Search>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Holds the replays' states, and takes dead letters.
    pub objects: Arc<dyn Objects>,
    /// Seals and opens dead letters.
    pub keys: Arc<dyn Keys>,
    /// What was acknowledged and is not in a stream yet, of each region; none where they can't be reached.
    pub overflows: Vec<Overflow>,
    /// Page sizes and concurrency of the stores, as they were chosen last.
    pub settings: Arc<LiveSettings>,
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
