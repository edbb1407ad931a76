//! Limits of replays, audits and dead letters.

use std::time::Duration;

use super::{BATCH_RECORDS, PAGE_ITEMS_MAX};

/// Records of one page that a replay applies at once unless told otherwise: a batch of the live consumers, so that it costs
/// a store no more at once than one of them.
pub const REPLAY_BATCH_RECORDS: usize = BATCH_RECORDS;
/// Records a second to which a replay can be held.
pub const REPLAY_RATE_MAX: u32 = 1_000_000;
/// Most time between two pages of a replay that is held to a rate: well within [`REPLAY_LEASE`].
pub const REPLAY_PACE_MAX: Duration = Duration::from_secs(10);
/// How long a runner has a shard of a replay to itself after its last checkpoint. One that was killed is taken over then.
pub const REPLAY_LEASE: Duration = Duration::from_secs(60);
/// How often a runner writes a checkpoint while all goes well, and so renews its lease; after a page that failed, or in which
/// something was found, it does at once. What came after the last one is read again if it is killed.
pub const REPLAY_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// How often a runner looks whether its replay was paused or cancelled, and whether a store is out. So much later, and a page,
/// it takes notice.
pub const REPLAY_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Pause of a replay's shard after a page that could not be applied, doubled each time: ten times that of a live consumer,
/// which so comes first at a store in trouble.
pub const REPLAY_PAUSE_MIN: Duration = Duration::from_secs(1);
/// Most of that pause: half of [`REPLAY_LEASE`].
pub const REPLAY_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Arrival times within a shard are not strictly ascending: so far behind a replay's end records are still looked at.
pub const REPLAY_ARRIVAL_SLACK: Duration = Duration::from_secs(60);
/// A shard's end counts as the end of a replay only so long after the time up to which it reads: what was stamped before
/// is durable by then.
pub const REPLAY_SETTLE: Duration = Duration::from_secs(1);
/// An audit ends so long ago unless told otherwise: what arrived later may still be on its way into the stores.
pub const AUDIT_SETTLE: Duration = Duration::from_secs(60);
/// Reports in the overflows that an audit looks at: some megabytes of ids. With more of them the stream is in trouble, and
/// an audit says little.
pub const AUDIT_OVERFLOW_MAX: usize = 100_000;
/// Replays under way at once. Each has a fan-out reader of its own, of which a stream has twenty.
pub const REPLAYS_ACTIVE_MAX: usize = 10;
/// Notes of a region's readers that are looked at in one go: those of all replays under way, and as many that are over.
pub const REPLAY_READERS_MAX: usize = 2 * REPLAYS_ACTIVE_MAX;
/// Ids that one replay can be limited to: those of a page of receipts.
pub const REPLAY_IDS_MAX: usize = PAGE_ITEMS_MAX;
/// How often an idle runner looks for a replay.
pub const REPLAY_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Replays' runners in the local process: each has a shard under way.
pub const LOCAL_REPLAY_RUNNERS: usize = 2;
/// Runners of one invocation of the replay function unless told otherwise: each has a shard under way, whose fan-out
/// reader gives 2 MB/s, some 3,000 records of reports of 1 kB. A worker applies 60,000 of them in a second of its processor
/// (`docs/performance.md`).
pub const LAMBDA_REPLAY_RUNNERS: usize = 8;
/// Most of them: each holds two pages of 10 MB, one of them read ahead.
pub const LAMBDA_REPLAY_RUNNERS_MAX: usize = 16;
/// Before an invocation's end its runners let go of their shards and hand them to the next one: longer than a page takes.
pub const REPLAY_HANDOVER: Duration = Duration::from_secs(60);
/// How often `tributary replay --watch` asks.
pub const REPLAY_WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// Records of one dead letter that are applied again at once; further ones stay with it.
pub const DEAD_LETTER_RECORDS_MAX: usize = 100;
/// Dead letters that one request applies again: at some 20 ms for each of their records well within a request's time.
pub const DEAD_LETTERS_RETRIED_MAX: usize = 50;
/// Bytes of the reason for which a dead letter is given up.
pub const DISCARD_REASON_BYTES_MAX: usize = 1024;
/// How often dead letters are looked for that have come to an end by themselves.
pub const DEAD_LETTER_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Least time for which dead letters can be kept.
pub const DEAD_LETTER_RETENTION_MIN: Duration = Duration::from_secs(60);
