//! What is kept of a replay: one object for the whole, one for each shard.

use serde::{Deserialize, Serialize};
use tributary_model::{Outcomes, Region, Target, TimestampMs, TokenId};
use tributary_ports::stream::{Position, ShardId};

use crate::request::Request;

/// What the keys of all replays begin with.
pub(crate) const REPLAYS: &str = "replays/";
/// A marker lets a runner find the replays under way without a look at all that ever were.
pub(crate) use tributary_model::replays::ACTIVE;

/// Whether a replay goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Runners work on it.
    Running,
    /// It waits to be resumed.
    Paused,
    /// It was ended before it was done.
    Cancelled,
    /// All of its range was read and handled.
    Finished,
    /// All that there was of its range was read and handled; some of it may have expired before, as its shards' gaps say.
    Incomplete,
}

impl State {
    /// As it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Finished => "finished",
            Self::Incomplete => "incomplete",
        }
    }

    /// Whether nothing changes it any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Finished | Self::Incomplete)
    }
}

/// A replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Its id, which begins with the time of its start.
    pub id: String,
    /// What was asked.
    #[serde(flatten)]
    pub request: Request,
    /// When.
    pub started_at: TimestampMs,
    /// By the bearer of which token.
    pub started_by: TokenId,
    /// Whether it goes on.
    pub state: State,
    /// When it was cancelled, or had been read.
    pub ended_at: Option<TimestampMs>,
    /// What it reads, parents before their children.
    pub parts: Vec<Part>,
}

/// One shard of one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The stream's region.
    pub region: Region,
    /// The shard.
    pub shard: ShardId,
    /// The shards of the same replay that are read to their end before it.
    pub parents: Vec<ShardId>,
}

impl Part {
    /// The part as a piece of a key. Kinesis's names differ in more than case.
    pub(crate) fn name(&self) -> String {
        let in_key = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let shard: String = self.shard.0.chars().map(|letter| if in_key(letter) { letter } else { '_' }).collect();
        format!("{}.{}", self.region, shard.to_ascii_lowercase())
    }
}

/// How many records of a replay became what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Records of the range that were read.
    pub read: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that the request does not want.
    pub skipped: u64,
    /// What became of the others in the search index, or would have become.
    pub search: Outcomes,
    /// The same in the ledger.
    pub ledger: Outcomes,
    /// Reports that a store lacks, has in an older version, or has twice, as an audit found them; one for each store.
    pub found: u64,
}

impl Counts {
    /// The outcomes in a store.
    #[must_use]
    pub const fn of(&self, target: Target) -> &Outcomes {
        match target {
            Target::Search => &self.search,
            Target::Ledger => &self.ledger,
        }
    }

    pub(crate) const fn of_mut(&mut self, target: Target) -> &mut Outcomes {
        match target {
            Target::Search => &mut self.search,
            Target::Ledger => &mut self.ledger,
        }
    }

    /// Adds those of another shard.
    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.bytes += other.bytes;
        self.skipped += other.skipped;
        self.found += other.found;
        for target in Target::ALL {
            self.of_mut(target).merge(other.of(target));
        }
    }
}

/// Who works on a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) runner: String,
    pub(crate) until: TimestampMs,
}

/// Times of arrival of which records may have expired before they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What arrived before was read.
    pub from: TimestampMs,
    /// What arrived from here on is read.
    pub to: TimestampMs,
}

/// How far a replay is with one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardState {
    /// Where to go on.
    pub(crate) position: Position,
    /// Whether all of the range was read and handled.
    pub(crate) finished: bool,
    pub(crate) counts: Counts,
    /// The arrival of the last record that was handled.
    pub(crate) reached: Option<TimestampMs>,
    /// How far the last page's end was behind the shard's.
    pub(crate) behind_ms: u64,
    /// Pages in a row that could not be handled whole.
    pub(crate) failures: u32,
    /// Why, of the last one.
    pub(crate) error: Option<String>,
    /// It is not read before.
    pub(crate) not_before: TimestampMs,
    /// What was too late; none if nothing was.
    #[serde(default)]
    pub(crate) gap: Option<Gap>,
    /// Pages of names written.
    pub(crate) finding_pages: u32,
    pub(crate) lease: Option<Lease>,
}

impl ShardState {
    pub(crate) const fn new(from: TimestampMs) -> Self {
        Self {
            position: Position::AtTime(from),
            finished: false,
            counts: Counts::ZERO,
            reached: None,
            behind_ms: 0,
            failures: 0,
            error: None,
            not_before: TimestampMs(i64::MIN),
            gap: None,
            finding_pages: 0,
            lease: None,
        }
    }

    /// Whether `runner` may take it at the time `now`.
    pub(crate) fn is_free(&self, runner: &str, now: TimestampMs) -> bool {
        let mine = |lease: &Lease| lease.runner == runner || lease.until <= now;
        !self.finished && self.not_before <= now && self.lease.as_ref().is_none_or(mine)
    }
}

impl Counts {
    const ZERO: Self = Self { read: 0, bytes: 0, skipped: 0, search: Outcomes::NONE, ledger: Outcomes::NONE, found: 0 };
}

/// The object of a replay.
pub(crate) fn replay_key(id: &str) -> String {
    format!("{REPLAYS}{id}.json")
}

/// The marker of a replay under way.
pub(crate) fn active_key(id: &str) -> String {
    format!("{ACTIVE}{id}")
}

/// The object of a replay's shard.
pub(crate) fn shard_key(id: &str, part: &Part) -> String {
    format!("replay-shards/{id}/{}.json", part.name())
}
