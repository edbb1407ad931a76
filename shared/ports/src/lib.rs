//! The six ports: what Tributary needs of the world, as small `dyn` traits whose methods each take a whole batch.
//!
//! A port answers [`PortError`] for bad luck (the caller retries, waits or stops, by [`PortErrorKind`]), and never for bad
//! data that a neighbour could suffer from: what a store refuses of one item is answered for that item. Each port has
//! one contract suite in [`contract`], which every adapter's tests run.

pub mod control;
pub mod envelope;
pub mod error;
pub mod kept;
pub mod keys;
pub mod ledger;
pub mod objects;
pub mod overflow;
pub mod search;
pub mod settings;
pub mod stream;

#[cfg(feature = "contract")]
pub mod contract;

pub use control::{Consume, ConsumerState, Control};
pub use error::{PortError, PortErrorKind};
pub use kept::Kept;
pub use keys::Keys;
pub use ledger::Ledger;
pub use objects::Objects;
pub use overflow::Overflow;
pub use search::Search;
pub use settings::LiveSettings;
pub use stream::{OperatedStream, Reader, Stream};
/// The store that a consumer writes to.
pub use tributary_model::Target;

/// What a store did with one item of an upsert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upserted {
    /// It was written, and is durable.
    Applied,
    /// The same version was there.
    AlreadyThere,
    /// A greater version was there.
    Superseded,
    /// The store refuses this item as such, for ever; its neighbours are not affected. The text names no customer data.
    Refused(String),
}
