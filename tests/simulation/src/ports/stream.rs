//! The stream: shards by ranges of the key's hash, which split and merge; records go when their retention ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tributary_model::limits::STREAM_RETENTION;
use tributary_model::{Record, ReportId, Target, TimestampMs};
use tributary_ports::stream::{
    Entry, OperatedStream, Page, Position, Reader, SequenceNumber, Shard, ShardId, StreamRecord,
};
use tributary_ports::{PortError, PortErrorKind, Stream};

use crate::bell::Bell;
use crate::bug::Bug;
use crate::invariant::Invariant;
use crate::story::About;
use crate::weather::{Fate, Place};
use crate::world::{World, lock};

pub(crate) struct MemoryStream {
    me: Weak<Self>,
    world: Arc<World>,
    state: Mutex<State>,
    /// Rung when something was appended or a shard was closed.
    pub(crate) news: Bell,
}

struct State {
    shards: BTreeMap<ShardId, MemoryShard>,
    next_shard: usize,
    next_number: u64,
    retention: Duration,
    /// The greatest version, by its time of receipt, that ever was in the stream: the earliest.
    earliest: BTreeMap<ReportId, TimestampMs>,
    /// Records that nobody can read, as dead letters name them.
    unreadable: BTreeSet<String>,
    /// The last record of a shard that a consumer's checkpoint has passed.
    passed: BTreeMap<(Target, ShardId), SequenceNumber>,
}

struct MemoryShard {
    parents: Vec<ShardId>,
    hashes: RangeInclusive<u64>,
    records: VecDeque<StreamRecord>,
    closed: bool,
}

impl MemoryStream {
    pub(crate) fn new(world: Arc<World>, shards: usize) -> Arc<Self> {
        let width = u64::MAX / shards.max(1) as u64;
        let mut state = State {
            shards: BTreeMap::new(),
            next_shard: 0,
            next_number: 1_000,
            retention: STREAM_RETENTION,
            earliest: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            passed: BTreeMap::new(),
        };
        for at in 0..shards as u64 {
            let end = if at + 1 == shards as u64 { u64::MAX } else { (at + 1) * width - 1 };
            state.add_shard(Vec::new(), at * width..=end);
        }
        Arc::new_cyclic(|me| Self { me: me.clone(), world, state: Mutex::new(state), news: Bell::default() })
    }

    /// The time of receipt of the version that must win, of every report that was ever in the stream.
    pub(crate) fn earliest(&self) -> BTreeMap<ReportId, TimestampMs> {
        lock(&self.state).earliest.clone()
    }

    pub(crate) fn unreadable(&self) -> BTreeSet<String> {
        lock(&self.state).unreadable.clone()
    }

    pub(crate) fn holds(&self, id: ReportId) -> bool {
        lock(&self.state).earliest.contains_key(&id)
    }

    /// All records, shard by shard: what a consumer reads that begins at the horizon.
    pub(crate) fn everything(&self) -> Vec<(ShardId, Vec<StreamRecord>)> {
        let state = lock(&self.state);
        state.shards.iter().map(|(id, shard)| (id.clone(), shard.records.iter().cloned().collect())).collect()
    }

    /// The last record of each shard, for whoever asks whether a consumer has caught up.
    pub(crate) fn ends(&self) -> Vec<(ShardId, Option<SequenceNumber>)> {
        let state = lock(&self.state);
        let end = |shard: &MemoryShard| shard.records.back().map(|record| record.sequence_number.clone());
        state.shards.iter().map(|(id, shard)| (id.clone(), end(shard))).collect()
    }

    /// How long a record is kept.
    pub(crate) fn retention_now(&self) -> Duration {
        lock(&self.state).retention
    }

    /// The shards that take records.
    pub(crate) fn open_shards(&self) -> BTreeSet<ShardId> {
        let state = lock(&self.state);
        state.shards.iter().filter(|(_, shard)| !shard.closed).map(|(id, _)| id.clone()).collect()
    }

    /// The shard that takes a record of this key.
    pub(crate) fn shard_of(&self, key: &str) -> Option<ShardId> {
        let hash = hash(key);
        let state = lock(&self.state);
        let takes = |(_, shard): &(&ShardId, &MemoryShard)| !shard.closed && shard.hashes.contains(&hash);
        state.shards.iter().find(takes).map(|(id, _)| id.clone())
    }

    /// Notes that a consumer's checkpoint has passed a record.
    pub(crate) fn passed(&self, consumer: Target, shard: &ShardId, number: SequenceNumber) {
        lock(&self.state).passed.insert((consumer, shard.clone()), number);
    }

    /// Forgets what is past its retention. What a consumer has not handled must not be.
    fn expire(&self, state: &mut State) {
        for (shard, record) in state.expire(self.world.now()) {
            let number = &record.sequence_number;
            let passed = |target| state.passed.get(&(target, shard.clone())).is_some_and(|passed| passed >= number);
            let waits = Target::ALL.into_iter().find(|target| !passed(*target));
            let id = Record::decode(&record.data).ok().map(|record| record.id);
            self.world.check(waits.is_none(), Invariant::NothingWaitingExpires, id, || {
                let (at, kept_h) = (record.arrived_at, state.retention.as_secs() / 3600);
                let consumer = waits.map_or("", Target::as_str);
                format!("{number} of {shard}, arrived at {at}, expires after {kept_h} h, and waits for {consumer}")
            });
        }
    }

    /// Keeps records for so long from now on. What has expired by then does not come back.
    fn keep_for(&self, state: &mut State, retention: Duration) {
        let raises = retention > state.retention;
        let ignores = (self.world.has(Bug::RetentionNotRaised) && raises)
            || (self.world.has(Bug::RetentionStaysRaised) && !raises);
        self.expire(state);
        if state.retention == retention || ignores {
            return;
        }
        state.retention = retention;
        self.world.tell("stream", About::All, || format!("keeps records for {} h", retention.as_secs() / 3600));
        self.expire(state);
    }

    /// Puts bytes into the stream that no collector made.
    pub(crate) fn smuggle(&self, data: Bytes) {
        let entry = Entry { partition_key: "smuggled".into(), data };
        let now = self.world.now();
        lock(&self.state).append(entry, now);
        self.news.ring();
    }

    /// Splits a shard or merges two that are neighbours.
    pub(crate) fn reshard(&self) {
        let open: Vec<ShardId> = {
            let state = lock(&self.state);
            let open = state.shards.iter().filter(|(_, shard)| !shard.closed);
            let mut open: Vec<(u64, ShardId)> = open.map(|(id, shard)| (*shard.hashes.start(), id.clone())).collect();
            open.sort();
            open.into_iter().map(|(_, id)| id).collect()
        };
        let at = self.world.draw(|random| random.below(open.len()));
        let merges = open.len() > 1 && self.world.draw(|random| random.percent(50.0));
        let mut state = lock(&self.state);
        let what = match (open.get(at), open.get(at + 1)) {
            (Some(left), Some(right)) if merges => state.merge(left, right),
            (Some(shard), _) => state.split(shard),
            _ => return,
        };
        drop(state);
        self.world.tell("stream", About::All, || what);
        self.news.ring();
    }
}

impl State {
    fn add_shard(&mut self, parents: Vec<ShardId>, hashes: RangeInclusive<u64>) -> ShardId {
        let id = ShardId(format!("shard-{:03}", self.next_shard).into());
        self.next_shard += 1;
        let shard = MemoryShard { parents, hashes, records: VecDeque::new(), closed: false };
        self.shards.insert(id.clone(), shard);
        id
    }

    fn close(&mut self, id: &ShardId) -> RangeInclusive<u64> {
        let Some(shard) = self.shards.get_mut(id) else { return 0..=0 };
        shard.closed = true;
        shard.hashes.clone()
    }

    fn split(&mut self, id: &ShardId) -> String {
        let hashes = self.close(id);
        let (start, end) = (*hashes.start(), *hashes.end());
        let middle = start + (end - start) / 2;
        let left = self.add_shard(vec![id.clone()], start..=middle);
        let right = self.add_shard(vec![id.clone()], middle + 1..=end);
        format!("{id} splits into {left} and {right}")
    }

    fn merge(&mut self, left: &ShardId, right: &ShardId) -> String {
        let (first, second) = (self.close(left), self.close(right));
        let child = self.add_shard(vec![left.clone(), right.clone()], *first.start()..=*second.end());
        format!("{left} and {right} merge into {child}")
    }

    fn append(&mut self, entry: Entry, now: TimestampMs) -> SequenceNumber {
        let hash = hash(&entry.partition_key);
        let sequence_number = SequenceNumber(self.next_number.to_string().into());
        self.next_number += 1 + hash % 7;
        let shard = self.shards.iter_mut().find(|(_, shard)| !shard.closed && shard.hashes.contains(&hash));
        let Some((id, shard)) = shard else { return sequence_number };
        match Record::decode(&entry.data) {
            Ok(record) => {
                let earliest = self.earliest.entry(record.id).or_insert(record.received_at);
                *earliest = record.received_at.min(*earliest);
            }
            Err(_) => drop(self.unreadable.insert(format!("record-local-{id}-{sequence_number}"))),
        }
        shard.records.push_back(StreamRecord {
            sequence_number: sequence_number.clone(),
            partition_key: entry.partition_key,
            arrived_at: now,
            data: entry.data,
        });
        sequence_number
    }

    /// Takes out what is past its retention.
    fn expire(&mut self, now: TimestampMs) -> Vec<(ShardId, StreamRecord)> {
        let oldest = now.minus(self.retention);
        let mut expired = Vec::new();
        for (id, shard) in &mut self.shards {
            let kept_from = shard.records.partition_point(|record| record.arrived_at < oldest);
            expired.extend(shard.records.drain(..kept_from).map(|record| (id.clone(), record)));
        }
        expired
    }
}

/// FNV-1a, then mixed, so that keys spread over all shards.
fn hash(key: &str) -> u64 {
    let fnv = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn ids(entries: &[Entry]) -> Vec<ReportId> {
    entries.iter().filter_map(|entry| Record::decode(&entry.data).ok()).map(|record| record.id).collect()
}

#[async_trait]
impl Stream for MemoryStream {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        let count = entries.len();
        let about = About::Reports(ids(&entries));
        let effect = |fate: Fate| {
            let part = match fate {
                Fate::Partly(_) => self.world.draw(|random| random.below(count + 1)),
                _ => count,
            };
            let now = self.world.now();
            let mut state = lock(&self.state);
            let numbers = entries.into_iter().take(part).map(|entry| state.append(entry, now)).collect();
            drop(state);
            self.news.ring();
            Ok(numbers)
        };
        let appended = self.world.call(Place::Stream, "stream.append", about, effect).await;
        if self.world.has(Bug::IgnoreFailedEntries) && appended.is_err() {
            return Ok((0..count).map(|at| SequenceNumber(at.to_string().into())).collect());
        }
        appended
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        let effect = |_| {
            let state = lock(&self.state);
            // Parents have smaller names than their children.
            let shard =
                |(id, shard): (&ShardId, &MemoryShard)| Shard { id: id.clone(), parents: shard.parents.clone() };
            Ok(state.shards.iter().map(shard).collect())
        };
        self.world.call(Place::Stream, "stream.shards", About::Nobody, effect).await
    }

    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        let page_max = self.world.draw(|random| random.below(24)).min(records_max);
        let now = self.world.now();
        let effect = |_| {
            let mut state = lock(&self.state);
            self.expire(&mut state);
            let Some(shard) = state.shards.get(shard) else {
                return Err(PortError::new(PortErrorKind::NotFound, "stream.read", "there is no such shard"));
            };
            let page = page(shard, from, page_max, now);
            if self.world.has(Bug::LowerWhileOneWaits) && page.behind_ms == 0 {
                self.keep_for(&mut state, STREAM_RETENTION);
            }
            Ok(page)
        };
        self.world.call(Place::Stream, "stream.read", About::Nobody, effect).await
    }
}

/// What a replay reads by; it goes when nobody holds it.
struct MemoryReader(Arc<MemoryStream>);

#[async_trait]
impl Reader for MemoryReader {
    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        self.0.read(shard, from, records_max).await
    }
}

#[async_trait]
impl OperatedStream for MemoryStream {
    async fn reader(&self, _: &str) -> Result<Arc<dyn Reader>, PortError> {
        let effect = |_| {
            let gone = || PortError::new(PortErrorKind::NotFound, "stream.reader", "the stream is gone");
            Ok(Arc::new(MemoryReader(self.me.upgrade().ok_or_else(gone)?)) as Arc<dyn Reader>)
        };
        self.world.call(Place::Stream, "stream.reader", About::Nobody, effect).await
    }

    async fn remove_reader(&self, _: &str) -> Result<(), PortError> {
        self.world.call(Place::Stream, "stream.remove_reader", About::Nobody, |_| Ok(())).await
    }

    async fn retention(&self) -> Result<Duration, PortError> {
        let effect = |_| Ok(lock(&self.state).retention);
        self.world.call(Place::Stream, "stream.retention", About::Nobody, effect).await
    }

    async fn set_retention(&self, retention: Duration) -> Result<(), PortError> {
        let effect = |_| {
            self.keep_for(&mut lock(&self.state), retention);
            Ok(())
        };
        self.world.call(Place::Stream, "stream.set_retention", About::Nobody, effect).await
    }
}

/// At most `records_max` records; none at all if the seed has it so, as Kinesis does now and then.
fn page(shard: &MemoryShard, from: &Position, records_max: usize, now: TimestampMs) -> Page {
    let wanted = |record: &&StreamRecord| match from {
        Position::Horizon => true,
        Position::At(number) => record.sequence_number >= *number,
        Position::After(number) => record.sequence_number > *number,
        Position::AtTime(at) => record.arrived_at >= *at,
    };
    let all: Vec<&StreamRecord> = shard.records.iter().filter(wanted).collect();
    let records: Vec<StreamRecord> = all.iter().take(records_max).map(|record| (*record).clone()).collect();
    let is_end = records.len() == all.len();
    let next = match records.last() {
        Some(last) => Position::After(last.sequence_number.clone()),
        None => from.clone(),
    };
    let behind = all.get(records.len()).map_or(0, |record| now.0.saturating_sub(record.arrived_at.0).max(1));
    Page {
        records,
        next: if is_end && shard.closed { None } else { Some(next) },
        behind_ms: u64::try_from(behind).unwrap_or_default(),
    }
}
