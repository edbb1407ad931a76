//! Limits of the custodian: outages, probes, the overflow.

use std::time::Duration;

/// Batches of a shard that fail one after another, each after the adapter's own retries, before a store counts as out.
pub const OUTAGE_BATCHES_MIN: u64 = 3;
/// Age from which on a mark of failure says nothing of now: a failing batch is delivered again within a minute.
pub const OUTAGE_MARK_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// Time from the beginning of an outage to the first probe of the store; doubled with each probe that fails.
pub const PROBE_DELAY_MIN: Duration = Duration::from_secs(5);
/// Most of that time: a store that is back is used again within a minute or so.
pub const PROBE_DELAY_MAX: Duration = Duration::from_secs(60);
/// Time after which a probe without any batch ends the outage: there is nothing to take, and so nothing to try it with.
pub const PROBE_IDLE_MAX: Duration = Duration::from_secs(3 * 60);
/// Marks of one consumer that are looked at: Kinesis has 1,000 shards at most unless asked for more.
pub const MARKS_MAX: usize = 2000;
/// Outages whose rows wait for the ledger and are written in one run.
pub const OUTAGES_PENDING_MAX: usize = 100;
/// Records drained from the overflow in one append unless told otherwise; Kinesis takes 500. Of their objects as many are
/// read at once.
pub const DRAIN_PAGE: usize = 100;
/// Records drained from the overflow in one run: at a page in 150 ms, half a minute.
pub const DRAIN_RECORDS_MAX: usize = 20_000;
/// Time given to one append of a drain, its retries included. Nobody waits for it as a sender does for his, and an append that was
/// given up may have been stored: tried again and again in too short a time, it fills the stream with the same records.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Keys of batches given up that are listed at once.
pub const GIVEN_UP_PAGE: usize = 20;
/// Records given up that become dead letters in one run, beyond which no further batch is begun: at 50 in half a second,
/// from one region into another, some ten seconds.
pub const GIVEN_UP_RECORDS_MAX: usize = 1000;
/// Age of the oldest record that may be unapplied, from which on the stream keeps its records for as long as it can: three
/// days before they would expire.
pub const BACKLOG_AGE_MAX: Duration = Duration::from_secs(4 * 24 * 60 * 60);
/// How far behind a consumer that handles its batches counts as behind.
pub const BACKLOG_LAG_MIN: Duration = Duration::from_secs(60 * 60);
