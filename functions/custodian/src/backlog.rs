//! Consumers that are behind, and how long the stream has to keep what they have not applied.
//!
//! A record that expires before it is applied is lost. So when the oldest one that may be unapplied is days old, the stream is
//! made to keep its records for as long as it can, and when every consumer has caught up and no replay reads, for as long as
//! before. Raised once, it needs nobody any more: the custodian may be away for the rest of the outage.
//!
//! What is known is an object, written before the stream is changed. If the object gets lost, a raised retention stays.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tributary_model::limits::{BACKLOG_AGE_MAX, BACKLOG_LAG_MIN, STREAM_RETENTION_MAX};
use tributary_model::replays;
use tributary_model::{Region, Target, TimestampMs};
use tributary_ports::stream::{Shard, ShardId};
use tributary_ports::{ConsumerState, Kept, PortError};
use tributary_telemetry::CustodianFacts;
use tributary_worker::Mark;

use crate::Custodian;

/// What is known of a region's consumers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Backlog {
    /// Nothing of the search index's that arrived before is unapplied; none if it is not behind.
    search: Option<TimestampMs>,
    /// The same of the ledger's.
    ledger: Option<TimestampMs>,
    /// Whether the stream keeps its records longer than usual.
    raised: bool,
}

impl Backlog {
    const fn of_mut(&mut self, consumer: Target) -> &mut Option<TimestampMs> {
        match consumer {
            Target::Search => &mut self.search,
            Target::Ledger => &mut self.ledger,
        }
    }

    fn oldest(&self) -> Option<TimestampMs> {
        [self.search, self.ledger].into_iter().flatten().min()
    }
}

/// The object of a region's backlog.
fn key(region: &Region) -> String {
    format!("backlogs/{region}.json")
}

impl Custodian {
    /// Makes the stream keep what a consumer may not have applied, as far as the marks of all consumers tell.
    ///
    /// # Errors
    /// Bad luck of any kind; the next run goes on.
    pub(crate) async fn keep_records(
        &self,
        now: TimestampMs,
        marked: &[(Target, Vec<Mark>)],
        facts: &mut CustodianFacts,
    ) -> Result<(), PortError> {
        let kept = Kept::<Backlog>::read(self.objects.as_ref(), key(&self.region)).await?;
        let known = kept.as_ref().map(|kept| kept.value.clone()).unwrap_or_default();
        let mut backlog = known.clone();
        let kept_for = if known.raised { STREAM_RETENTION_MAX } else { self.retention };
        let oldest_kept = now.minus(kept_for);
        for (consumer, marks) in marked {
            let since = backlog.of_mut(*consumer);
            *since = self
                .behind_since(now, oldest_kept, *consumer, marks)
                .await?
                .map(|found| since.unwrap_or(found).min(found));
        }
        backlog.raised = match backlog.oldest() {
            Some(oldest) => backlog.raised || oldest.plus(BACKLOG_AGE_MAX) <= now,
            None => backlog.raised && self.is_replaying().await?,
        };
        facts.retention_raised = backlog.raised.into();
        if known.raised && !backlog.raised {
            // Lowered first: until the object says so, each run tries again.
            self.stream.set_retention(self.retention).await?;
        }
        if backlog != known {
            Kept::replace(kept, self.objects.as_ref(), key(&self.region), backlog.clone()).await?;
        }
        if backlog.raised && self.stream.retention().await? < STREAM_RETENTION_MAX {
            self.stream.set_retention(STREAM_RETENTION_MAX).await?;
        }
        Ok(())
    }

    /// A time before which nothing of a consumer is unapplied, if it may be behind.
    async fn behind_since(
        &self,
        now: TimestampMs,
        oldest_kept: TimestampMs,
        consumer: Target,
        marks: &[Mark],
    ) -> Result<Option<TimestampMs>, PortError> {
        let since = |mark: &Mark| Some((mark.shard.clone(), behind_since(mark, oldest_kept)?));
        let mut behind: BTreeMap<ShardId, TimestampMs> = marks.iter().filter_map(since).collect();
        if !behind.is_empty() {
            let shards = self.stream.shards().await?;
            let read = read_to_the_end(&shards, marks);
            behind.retain(|shard, _| !read.contains(shard));
        }
        let behind = behind.into_values().min();
        if behind.is_some() || self.control.state(consumer).await? == ConsumerState::Running {
            return Ok(behind);
        }
        // Whoever paused it: what it had applied by then is marked, and the rest has waited since.
        Ok(Some(marks.iter().filter_map(|mark| mark.through).max().unwrap_or(now)))
    }

    /// Whether a replay is under way, which may read what is older than usual.
    async fn is_replaying(&self) -> Result<bool, PortError> {
        Ok(!self.objects.list(replays::ACTIVE, None, 1).await?.is_empty())
    }
}

/// When the oldest record of a shard arrived that may not be applied, at the earliest; none if its consumer keeps up.
/// `oldest_kept` is the arrival of the oldest record that the stream keeps now: of what a mark from before then lacks, nothing is
/// left.
fn behind_since(mark: &Mark, oldest_kept: TimestampMs) -> Option<TimestampMs> {
    match (&mark.failure, mark.through) {
        (Some(failure), through) => Some(through.unwrap_or(failure.since).min(failure.since)),
        (None, Some(through)) if through.plus(BACKLOG_LAG_MIN) < mark.at && mark.at > oldest_kept => Some(through),
        (None, _) => None,
    }
}

/// The shards that a consumer has read to their end: those from which one came that it has left a mark of, since it reads
/// parents to their end before their children. What such a shard's last mark says is past: its batch was late, or the mark
/// after it got lost, and no further one will come.
fn read_to_the_end<'a>(shards: &'a [Shard], marks: &'a [Mark]) -> BTreeSet<&'a ShardId> {
    let parents: BTreeMap<&ShardId, &[ShardId]> =
        shards.iter().map(|shard| (&shard.id, shard.parents.as_slice())).collect();
    let mut read = BTreeSet::new();
    let mut begun: Vec<&ShardId> = marks.iter().map(|mark| &mark.shard).collect();
    while let Some(shard) = begun.pop() {
        begun.extend(parents.get(shard).copied().unwrap_or_default().iter().filter(|parent| read.insert(*parent)));
    }
    read
}

#[cfg(test)]
mod tests {
    use tributary_ports::PortErrorKind;
    use tributary_worker::Failure;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const NOW: TimestampMs = TimestampMs(1_795_284_061_873);

    fn mark(at: TimestampMs, through: Option<TimestampMs>, failed_since: Option<TimestampMs>) -> Mark {
        let failure = |since| Failure { kind: PortErrorKind::Unavailable, since, last: at, batches: 1, records: 1 };
        Mark { shard: ShardId("0".into()), at, through, failure: failed_since.map(failure) }
    }

    #[test]
    fn a_shard_is_behind_from_what_it_applied_last() {
        let oldest_kept = NOW.plus_ms(-7 * 24 * HOUR_MS);
        let ago = |hours: i64| NOW.plus_ms(-hours * HOUR_MS);
        for (mark, since) in [
            (mark(NOW, Some(NOW), None), None),
            (mark(ago(48), Some(ago(48)), None), None), // nothing came for two days
            (mark(NOW, Some(ago(30)), None), Some(ago(30))), // slow
            (mark(NOW, Some(ago(30)), Some(ago(2))), Some(ago(30))),
            (mark(NOW, None, Some(ago(2))), Some(ago(2))),
            (mark(ago(200), Some(ago(300)), None), None), // what it lacked has expired
        ] {
            assert_eq!(behind_since(&mark, oldest_kept), since, "{mark:?}");
        }
    }
    #[test]
    fn a_shard_is_read_to_its_end_when_one_that_came_from_it_is_marked() {
        let id = |name: &str| ShardId(name.into());
        let shard = |name, parents: &[&str]| Shard { id: id(name), parents: parents.iter().copied().map(id).collect() };
        // 0 and 1 merge into 2, which splits into 3 and 4 before it takes a record; 5 splits into 6, which has none yet.
        let shards = [
            shard("0", &[]),
            shard("1", &["gone"]),
            shard("2", &["0", "1"]),
            shard("3", &["2"]),
            shard("4", &["2"]),
            shard("5", &[]),
            shard("6", &["5"]),
        ];
        let marked = |name| Mark { shard: id(name), ..mark(NOW, Some(NOW), None) };
        let (three, five, gone) = ([marked("0"), marked("3")], [marked("5")], [marked("gone")]);
        assert_eq!(read_to_the_end(&shards, &three), [&id("0"), &id("1"), &id("2"), &id("gone")].into());
        assert_eq!(read_to_the_end(&shards, &five), BTreeSet::new());
        assert_eq!(read_to_the_end(&shards, &gone), BTreeSet::new(), "the stream has it no longer");
    }
}
