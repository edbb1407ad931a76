//! Control over the consumers of the stream: on AWS the event source mappings, on one machine the poller.

use async_trait::async_trait;

use tributary_model::store_settings::Batches;

use crate::stream::{Batch, SequenceNumber};
use crate::{PortError, Target};

/// What a consumer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsumerState {
    /// It takes batches.
    Running,
    /// It was told to pause; a batch may still be under way.
    Pausing,
    /// It takes none; its checkpoint waits.
    Paused,
    /// It was told to go on.
    Resuming,
}

/// Control. A state asked for survives a restart.
#[async_trait]
pub trait Control: Send + Sync {
    /// Tells the consumer to take no further batch. Returns at once; [`Control::state`] says when it has.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn pause(&self, consumer: Target) -> Result<(), PortError>;

    /// Tells the consumer to go on at its checkpoint.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn resume(&self, consumer: Target) -> Result<(), PortError>;

    /// What the consumer is doing.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn state(&self, consumer: Target) -> Result<ConsumerState, PortError>;

    /// Tells how the consumer is to be given its batches, from one of the next on. What it was told before is nothing new
    /// to it; one that is just being changed otherwise may have to be told again. Running or paused, it stays so.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn set_batches(&self, consumer: Target, batches: Batches) -> Result<(), PortError>;
}

/// What takes a stream's records in: a worker, behind whatever drives it.
#[async_trait]
pub trait Consume: Send + Sync {
    /// Handles a batch and answers the sequence numbers of the records to redeliver, in any order; none if all were
    /// handled. As on Lambda, everything from the lowest of them on comes again, a number that is not of the batch means
    /// the whole batch, and so does a panic.
    async fn consume(&self, batch: Batch) -> Vec<SequenceNumber>;
}
