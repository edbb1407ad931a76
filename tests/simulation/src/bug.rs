//! Deliberate bugs, to be switched in one at a time: a simulation that does not notice them would notice no others.
//!
//! Each one lives in the simulation's own parts around the real code: in a port, in the poller, or in front of a function.

use std::fmt;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bug {
    /// The sender hears 200 before the record is appended.
    AcknowledgeBeforeAppend,
    /// An append of which entries failed counts as done.
    IgnoreFailedEntries,
    /// The overflow says that it holds what it does not.
    OverflowForgets,
    /// A batch's checkpoint is written when the batch is delivered.
    CheckpointEarly,
    /// What is to be redelivered counts as handled.
    IgnoreRedelivery,
    /// Only the records named for redelivery hold the checkpoint back, not those of a batch whose worker was killed.
    KilledIsHandled,
    /// A batch that failed a few times is given up.
    GiveUpAfterRetries,
    /// A batch that is not full is never delivered.
    ForgetTheTail,
    /// A closed shard counts as finished with records still in it.
    FinishShardEarly,
    /// A store's "not allowed" counts as done.
    DropOnDenied,
    /// A store's "too much at once" counts as done.
    DropOnThrottled,
    /// A write is an insert: the same again, as when a whole batch is retried, is one more.
    InsertBlindly,
    /// The last write wins, whatever its version.
    LastWriteWins,
    /// "Already there" counts as refused, and becomes a dead letter.
    ConflictIsRefusal,
    /// A report lies in the place of the time at which it is applied.
    PlaceByClock,
    /// A dead letter's bytes are not kept.
    DeadLetterWithoutBytes,
    /// An object of the overflow is deleted before its record is appended.
    DeleteBeforeAppend,
    /// The overflow is never drained.
    NeverDrain,
    /// A paused consumer is never resumed.
    NeverResume,
    /// An outage of one store pauses both consumers.
    PauseBoth,
    /// Nobody replays the stream into a store that was restored.
    NeverReplay,
    /// The stream's retention is not raised, and records expire that wait for a store.
    RetentionNotRaised,
    /// The stream's retention is lowered as soon as one consumer has caught up, while records still wait for the other.
    LowerWhileOneWaits,
    /// The stream's retention, once raised, is never lowered.
    RetentionStaysRaised,
}

impl Bug {
    /// All bugs.
    pub const ALL: [Self; 24] = [
        Self::AcknowledgeBeforeAppend,
        Self::IgnoreFailedEntries,
        Self::OverflowForgets,
        Self::CheckpointEarly,
        Self::IgnoreRedelivery,
        Self::KilledIsHandled,
        Self::GiveUpAfterRetries,
        Self::ForgetTheTail,
        Self::FinishShardEarly,
        Self::DropOnDenied,
        Self::DropOnThrottled,
        Self::InsertBlindly,
        Self::LastWriteWins,
        Self::ConflictIsRefusal,
        Self::PlaceByClock,
        Self::DeadLetterWithoutBytes,
        Self::DeleteBeforeAppend,
        Self::NeverDrain,
        Self::NeverResume,
        Self::PauseBoth,
        Self::NeverReplay,
        Self::RetentionNotRaised,
        Self::LowerWhileOneWaits,
        Self::RetentionStaysRaised,
    ];
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        f.write_str(&name)
    }
}

impl std::str::FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(|bug| bug.to_string()).join(", ");
        Self::ALL.into_iter().find(|bug| bug.to_string() == text).ok_or_else(|| format!("known bugs: {}", known()))
    }
}
