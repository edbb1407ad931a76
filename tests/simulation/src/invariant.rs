//! What must hold, by name.

use std::fmt;

use tributary_model::ReportId;

/// What is held to be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// When a report is acknowledged, the stream or the overflow holds its record.
    AcknowledgedIsDurable,
    /// No consumer's checkpoint passes a record that it has not handled.
    CheckpointPassesOnlyHandled,
    /// In the end an acknowledged report is in each store exactly once, or among the dead letters.
    ExactlyOnce,
    /// A store holds nothing that was not sent.
    NothingInvented,
    /// A report's stored version is the greatest that the stream ever held, whatever the order.
    OrderDoesNotMatter,
    /// A stored version only grows.
    VersionsOnlyGrow,
    /// Applying everything once more changes nothing.
    TwiceIsOnce,
    /// Every record of a batch ends in exactly one outcome, and what comes again is what was redelivered.
    OutcomesAddUp,
    /// Only what a store refuses, or nobody can read, is a dead letter.
    DeadLettersAreRefused,
    /// A consumer is paused only if its own store failed.
    PausedForAReason,
    /// In the end the ledger has a row of every outage, and each has ended.
    OutagesAreToldAndEnd,
    /// No record expires that a consumer has not handled, however long its store is out.
    NothingWaitingExpires,
    /// When all have caught up, the stream keeps its records for as long as before.
    RetentionComesBack,
    /// When nothing fails any more, consumers run, catch up, and the overflow is drained.
    EverythingResumes,
}

impl Invariant {
    /// The sentence that is held to be true.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AcknowledgedIsDurable => "an acknowledged report's record is in the stream or the overflow",
            Self::CheckpointPassesOnlyHandled => "no checkpoint passes a record that is not handled",
            Self::ExactlyOnce => "an acknowledged report is in each store exactly once, or a dead letter",
            Self::NothingInvented => "a store holds nothing that was not sent",
            Self::OrderDoesNotMatter => "the greatest version wins, whatever the order",
            Self::VersionsOnlyGrow => "a stored version only grows",
            Self::TwiceIsOnce => "applying twice is applying once",
            Self::OutcomesAddUp => "every record ends in exactly one outcome",
            Self::DeadLettersAreRefused => "only what can't be stored is a dead letter",
            Self::PausedForAReason => "a consumer is paused only if its own store failed",
            Self::OutagesAreToldAndEnd => "the ledger tells of every outage, and each ends",
            Self::NothingWaitingExpires => "no record expires that a consumer has not handled",
            Self::RetentionComesBack => "when all have caught up, the stream keeps its records no longer than before",
            Self::EverythingResumes => "when nothing fails any more, everything resumes",
        }
    }
}

/// Something held to be true that is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// The report that shows it, if one does.
    pub id: Option<ReportId>,
    /// How it shows.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not true: {}\n  {}", self.invariant.sentence(), self.what)
    }
}
