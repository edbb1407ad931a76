//! The stream's adapter on kinesis-local: directly, and through a proxy that makes happen what happens on AWS.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tributary_aws::stream::KinesisStream;
use tributary_ports::stream::{Entry, OperatedStream, Position, Shard, ShardId, StreamRecord};
use tributary_ports::{PortErrorKind, Stream, contract};
use tributary_rig::fault_proxy::{FaultProxy, Faults, ShardLimit};
use tributary_rig::kinesis::Kinesis;
use tributary_rig::process::PATIENCE;
use tributary_rig::sdk_config;

const SEED: u64 = 20_261_121;
/// The peer takes in less than 1 MB a second, and a busy machine less than that.
const APPEND_TIMEOUT: Duration = Duration::from_secs(60);

async fn stream(endpoint: &str, name: &str) -> KinesisStream {
    KinesisStream::new(&sdk_config(endpoint).await, name).with_append_timeout(APPEND_TIMEOUT)
}

async fn keeps_to_the_contract(kinesis: &Kinesis, endpoint: &str) {
    let made = AtomicUsize::new(0);
    contract::stream::all(async || {
        let name = format!("contract-{}", made.fetch_add(1, Ordering::SeqCst));
        kinesis.create(&name, 3).await;
        let stream: Arc<dyn Stream> = Arc::new(stream(endpoint, &name).await);
        stream
    })
    .await;
}

#[tokio::test]
async fn it_keeps_to_the_contract() {
    let kinesis = Kinesis::start().await;
    keeps_to_the_contract(&kinesis, &kinesis.endpoint).await;
}

#[tokio::test]
async fn it_keeps_to_the_contract_while_a_third_of_all_entries_is_throttled() {
    let kinesis = Kinesis::start().await;
    let proxy = FaultProxy::start(&kinesis.endpoint, SEED).await;
    proxy.set(Faults { entries_throttled: 1.0 / 3.0, ..Faults::default() });
    keeps_to_the_contract(&kinesis, &proxy.endpoint).await;
    let counts = proxy.counts();
    let expected = counts.entries / 4..counts.entries / 2;
    assert!(expected.contains(&counts.entries_throttled), "{counts:?}");
}

/// A fan-out consumer, which gets its records pushed. Each case has a peer of its own: kinesis-local removes a consumer by
/// its name alone, whichever stream it belongs to.
#[tokio::test]
async fn it_keeps_to_the_contract_of_an_operated_stream() {
    let peers = RefCell::new(Vec::new());
    contract::stream::operated(async || {
        let kinesis = Kinesis::start().await;
        kinesis.create("operated", 2).await;
        let stream: Arc<dyn OperatedStream> = Arc::new(stream(&kinesis.endpoint, "operated").await);
        peers.borrow_mut().push(kinesis);
        stream
    })
    .await;
}

/// Records `first..end` under forty keys, so that every shard gets some; a record's data is its number.
fn entries(first: usize, end: usize) -> Vec<Entry> {
    let entry =
        |number: usize| Entry { partition_key: format!("key {}", number % 40).into(), data: number.to_string().into() };
    (first..end).map(entry).collect()
}

fn number(record: &StreamRecord) -> usize {
    String::from_utf8_lossy(&record.data).parse().expect("a number")
}

/// Reads a stream as a consumer does: a shard only once all that it came from has been read to its end.
#[derive(Default)]
struct Follower {
    /// Where to go on; none where the shard has ended.
    positions: BTreeMap<ShardId, Option<Position>>,
    records: Vec<StreamRecord>,
}

impl Follower {
    /// Reads one page of each shard whose turn it is; true if all that are open have been caught up with.
    async fn round(&mut self, stream: &dyn Stream, records_max: usize) -> bool {
        let mut has_caught_up = true;
        for Shard { id, parents } in stream.shards().await.expect("the shards") {
            let has_ended = |shard: &ShardId| matches!(self.positions.get(shard), Some(None));
            if has_ended(&id) {
                continue;
            }
            if !parents.iter().all(has_ended) {
                has_caught_up = false;
                continue;
            }
            let from = self.positions.get(&id).cloned().flatten().unwrap_or(Position::Horizon);
            let page = match stream.read(&id, &from, records_max).await {
                Err(error) if error.kind == PortErrorKind::Throttled => {
                    has_caught_up = false;
                    continue;
                }
                page => page.expect("a page"),
            };
            has_caught_up &= page.next.is_some() && page.behind_ms == 0 && page.records.is_empty();
            self.records.extend(page.records);
            self.positions.insert(id, page.next);
        }
        has_caught_up
    }

    async fn catch_up(&mut self, stream: &dyn Stream) {
        let begun = Instant::now();
        while !self.round(stream, 50).await {
            assert!(begun.elapsed() < PATIENCE, "{} records after {PATIENCE:?}", self.records.len());
        }
    }

    /// Every number once.
    fn expect_all(&self, end: usize) {
        let mut numbers: Vec<usize> = self.records.iter().map(number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..end).collect::<Vec<_>>());
    }

    /// The numbers of a key in the order in which they were read, each as the append that it came with.
    fn appends_of(&self, key: &str, size: usize) -> Vec<usize> {
        self.records.iter().filter(|record| &*record.partition_key == key).map(|record| number(record) / size).collect()
    }
}

#[tokio::test]
async fn reading_follows_a_split_and_a_merger() {
    let kinesis = Kinesis::start().await;
    kinesis.create("reshard", 2).await;
    let stream = stream(&kinesis.endpoint, "reshard").await;
    let mut follower = Follower::default();
    stream.append(entries(0, 200)).await.expect("an append");
    follower.round(&stream, 20).await;
    let before = stream.shards().await.expect("the shards");
    kinesis.split("reshard", &before[0].id.0).await;
    stream.append(entries(200, 400)).await.expect("an append to the halves");
    follower.round(&stream, 20).await;
    let halves: Vec<Shard> = stream.shards().await.expect("the shards");
    let halves: Vec<&Shard> = halves.iter().filter(|shard| shard.parents == [before[0].id.clone()]).collect();
    assert_eq!(halves.len(), 2, "two halves of one shard");
    kinesis.merge("reshard", &halves[0].id.0, &halves[1].id.0).await;
    stream.append(entries(400, 600)).await.expect("an append to the merged one");
    follower.catch_up(&stream).await;
    follower.expect_all(600);
    let ended = follower.positions.values().filter(|position| position.is_none()).count();
    assert_eq!((follower.positions.len(), ended), (5, 3), "one was split, its halves were merged");
    for key in 0..40 {
        let appends = follower.appends_of(&format!("key {key}"), 200);
        assert_eq!(appends, [[0; 5], [1; 5], [2; 5]].concat(), "key {key} in its order across shards");
    }
    let shards = stream.shards().await.expect("the shards");
    let places: BTreeMap<_, _> = shards.iter().enumerate().map(|(place, shard)| (&shard.id, place)).collect();
    let merged: Vec<_> = shards.iter().filter(|shard| shard.parents.len() == 2).collect();
    assert_eq!(merged.len(), 1);
    assert!(merged[0].parents.iter().all(|parent| places[parent] < places[&merged[0].id]), "{shards:?}");
}

#[tokio::test]
async fn throttled_reads_and_expired_iterators_neither_skip_nor_repeat() {
    let kinesis = Kinesis::start().await;
    kinesis.create("reads", 2).await;
    let proxy = FaultProxy::start(&kinesis.endpoint, SEED).await;
    let stream = stream(&proxy.endpoint, "reads").await;
    stream.append(entries(0, 500)).await.expect("an append");
    proxy.set(Faults { reads_throttled: 0.3, iterators_expired: 0.2, ..Faults::default() });
    let mut follower = Follower::default();
    let begun = Instant::now();
    while follower.records.len() < 500 {
        assert!(begun.elapsed() < PATIENCE, "{} records", follower.records.len());
        for shard in stream.shards().await.expect("the shards") {
            let from = follower.positions.get(&shard.id).cloned().flatten().unwrap_or(Position::Horizon);
            // An iterator that expires twice in a row is bad luck, which a consumer meets by trying again.
            if let Ok(page) = stream.read(&shard.id, &from, 20).await {
                follower.records.extend(page.records);
                follower.positions.insert(shard.id, page.next);
            }
        }
    }
    follower.expect_all(500);
    assert!(proxy.counts().requests_faulted > 5, "{:?}", proxy.counts());
}

/// An answer that is lost on its way may leave a record twice, which consumers know by its id; none is lost.
#[tokio::test]
async fn whatever_happens_on_the_way_what_was_acknowledged_can_be_read() {
    let kinesis = Kinesis::start().await;
    kinesis.create("faults", 2).await;
    let proxy = FaultProxy::start(&kinesis.endpoint, SEED).await;
    proxy.set(Faults {
        entries_throttled: 0.2,
        entries_failed: 0.1,
        requests_failed: 0.1,
        requests_dropped: 0.1,
        answers_dropped: 0.1,
        delayed: 0.2,
        delay: Duration::from_millis(20),
        ..Faults::default()
    });
    let stream = stream(&proxy.endpoint, "faults").await;
    for round in 0..20 {
        stream.append(entries(round * 50, (round + 1) * 50)).await.expect("an append");
    }
    let counts = proxy.counts();
    assert!(counts.requests_faulted > 3 && counts.entries_failed > 50, "{counts:?}");
    proxy.set(Faults::default());
    let mut follower = Follower::default();
    follower.catch_up(&stream).await;
    let read: BTreeSet<usize> = follower.records.iter().map(number).collect();
    assert_eq!(read, (0..1000).collect());
}

#[tokio::test]
async fn a_shard_that_is_full_takes_the_rest_later() {
    let kinesis = Kinesis::start().await;
    kinesis.create("full", 1).await;
    let proxy = FaultProxy::start(&kinesis.endpoint, SEED).await;
    // Less than what the peer takes in, so that it is the limit that is met.
    proxy.set(Faults { shard_limit: Some(ShardLimit { bytes: 1e6, records: 200.0 }), ..Faults::default() });
    let stream = stream(&proxy.endpoint, "full").await;
    stream.append(entries(0, 800)).await.expect("an append");
    let counts = proxy.counts();
    assert!(counts.entries_throttled > 0, "{counts:?}");
    let mut follower = Follower::default();
    follower.catch_up(&stream).await;
    follower.expect_all(800);
}

#[tokio::test]
async fn a_stream_that_is_gone_is_unavailable_until_it_is_back() {
    let kinesis = Kinesis::start().await;
    kinesis.create("gone", 1).await;
    let proxy = FaultProxy::start(&kinesis.endpoint, SEED).await;
    let stream = KinesisStream::new(&sdk_config(&proxy.endpoint).await, "gone");
    stream.shards().await.expect("the shards");
    proxy.set(Faults { is_gone: true, ..Faults::default() });
    let error = stream.append(entries(0, 3)).await.expect_err("a refusal");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    assert_eq!(stream.shards().await.expect_err("a refusal").kind, PortErrorKind::Unavailable);
    let calls = proxy.counts().requests["PutRecords"];
    assert!(calls <= 8, "{calls} calls");
    proxy.set(Faults::default());
    let patient = stream.with_append_timeout(APPEND_TIMEOUT);
    assert_eq!(patient.append(entries(0, 3)).await.expect("an append").len(), 3);
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_not_found() {
    let kinesis = Kinesis::start().await;
    let stream = stream(&kinesis.endpoint, "no-such-stream").await;
    assert_eq!(stream.append(entries(0, 1)).await.expect_err("a refusal").kind, PortErrorKind::NotFound);
    assert_eq!(stream.shards().await.expect_err("a refusal").kind, PortErrorKind::NotFound);
}
