//! The pipeline in a world of its own.
//!
//! One seed makes a world: agents that send reports, the real collector, a stream, an event source mapping for each
//! consumer, the real worker, custodian and replay, on ports in memory. Time is virtual and there is one thread, so that a seed's
//! world is the same whenever it is run. For a while everything goes wrong that the seed has in store: any call on a
//! port may fail before or after it took effect, or halfway, be slow, or fail for minutes with everything else of its
//! place; processes are killed between any two steps; shards split and merge; requests are sent twice and again; a store is
//! restored from a back-up and has lost its last minutes; in a few worlds a store is out for longer than the stream keeps a
//! record unless told otherwise. Then nothing goes wrong any more, and what must be true is checked.
//!
//! What holds is named in [`Invariant`]. That it is looked at, [`Bug`] shows: each is a deliberate bug in the parts
//! around the real code, and some hundred seeds find it.

mod bell;
mod bug;
mod disaster;
mod end;
mod invariant;
mod mapping;
mod ports;
mod random;
mod run;
mod sender;
mod stores;
mod story;
mod weather;
mod world;

pub use bug::Bug;
pub use invariant::{Invariant, Violation};
pub use run::{Ended, run, tell};
