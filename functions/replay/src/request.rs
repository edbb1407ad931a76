//! What is asked of a replay.

use serde::{Deserialize, Serialize};
use tributary_model::{ProjectId, Region, ReportId, Target, TimestampMs};
use tributary_ports::stream::ShardId;

/// What is done with the records of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They are applied, as the worker applies them.
    Apply,
    /// Nothing: what would become of them is counted.
    DryRun,
    /// Nothing: what the stores lack of them is counted and named.
    Audit,
    /// What the stores lack of them is named and applied; the others are left alone.
    Heal,
}

impl Mode {
    /// As it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::DryRun => "dry-run",
            Self::Audit => "audit",
            Self::Heal => "heal",
        }
    }

    /// Whether what is found is named.
    #[must_use]
    pub const fn names(self) -> bool {
        matches!(self, Self::Audit | Self::Heal)
    }
}

/// Which records, and what to do with them. Times are when a record arrived in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is done.
    pub mode: Mode,
    /// Records that arrived at this time or later.
    pub from: TimestampMs,
    /// Records that arrived before this time. A later one than that of the start means the start.
    pub to: TimestampMs,
    /// The regions whose streams are read; none for all.
    pub regions: Vec<Region>,
    /// The shards that are read; none for all.
    pub shards: Vec<ShardId>,
    /// Just records of this project. A record that can't be read is of no project.
    pub project: Option<ProjectId>,
    /// Just records of this function. A report that can't be read is of no function.
    pub function: Option<String>,
    /// Just records of these reports, at most `REPLAY_IDS_MAX`; none for all.
    pub ids: Vec<ReportId>,
    /// The stores, each once.
    pub targets: Vec<Target>,
    /// Records a second, over all shards together, from 1 to `REPLAY_RATE_MAX`; none for as many as the stores take.
    pub records_per_second: Option<u32>,
}
