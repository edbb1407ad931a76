use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tributary_ports::stream::{Batch, Entry, Page, Position, StreamRecord};
use tributary_ports::{ConsumerState, Control, PortError, PortErrorKind};

use super::*;
use crate::stream::{Clock, FileStream, StreamSettings};

/// One shard of a stream that does as it is told.
#[derive(Debug, Default)]
struct TestShard {
    parents: Vec<ShardId>,
    records: Vec<StreamRecord>,
    is_closed: bool,
    is_gone: bool,
    is_listed: bool,
}

#[derive(Debug)]
struct TestStream {
    shards: Mutex<BTreeMap<ShardId, TestShard>>,
    news: watch::Sender<u64>,
    fails: Mutex<Option<PortErrorKind>>,
    reads: AtomicUsize,
}

fn shard(name: &str) -> ShardId {
    ShardId(name.into())
}

fn number(number: usize) -> SequenceNumber {
    SequenceNumber(number.to_string().into())
}

impl TestStream {
    fn new() -> Arc<Self> {
        let stream = Self {
            shards: Mutex::default(),
            news: watch::Sender::new(0),
            fails: Mutex::default(),
            reads: AtomicUsize::new(0),
        };
        stream.change("a", |_| {});
        Arc::new(stream)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut TestShard)) {
        let mut shards = self.shards.lock().unwrap();
        change(shards.entry(shard(name)).or_insert_with(|| TestShard { is_listed: true, ..TestShard::default() }));
        self.news.send_modify(|news| *news += 1);
    }

    /// Appends one record for each key, numbered from 1 on, which also arrive at that millisecond.
    fn append<'a>(&self, name: &str, keys: impl IntoIterator<Item = &'a str>) {
        self.change(name, |shard| {
            for key in keys {
                let place = shard.records.len() + 1;
                shard.records.push(StreamRecord {
                    sequence_number: number(place),
                    partition_key: key.into(),
                    arrived_at: TimestampMs(i64::try_from(place).unwrap()),
                    data: Bytes::from_static(b"data"),
                });
            }
        });
    }
}

#[async_trait]
impl Stream for TestStream {
    async fn append(&self, _: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        unreachable!("a poller only reads")
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        let shards = self.shards.lock().unwrap();
        let listed = shards.iter().filter(|(_, shard)| shard.is_listed);
        Ok(listed.map(|(id, shard)| Shard { id: id.clone(), parents: shard.parents.clone() }).collect())
    }

    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if let Some(kind) = *self.fails.lock().unwrap() {
            return Err(PortError::new(kind, "stream.read", "as told"));
        }
        let shards = self.shards.lock().unwrap();
        let Some(shard) = shards.get(shard).filter(|shard| !shard.is_gone) else {
            return Err(PortError::new(PortErrorKind::NotFound, "stream.read", "as told"));
        };
        let begin = match from {
            Position::After(number) => number.0.parse().unwrap(),
            _ => 0,
        };
        let records: Vec<StreamRecord> = shard.records.iter().skip(begin).take(records_max).cloned().collect();
        let end = begin + records.len();
        let is_end = end == shard.records.len();
        let next = if end == 0 { Position::Horizon } else { Position::After(number(end)) };
        let next = (!(is_end && shard.is_closed)).then_some(next);
        Ok(Page { records, next, behind_ms: u64::from(!is_end) })
    }
}

/// What the consumer does with one delivery.
enum Answer {
    Again(Vec<SequenceNumber>),
    Panic,
}

fn again(numbers: &[usize]) -> Answer {
    Answer::Again(numbers.iter().copied().map(number).collect())
}

/// One delivery, and when it came.
#[derive(Debug, PartialEq, Eq)]
struct Delivery {
    at_ms: u128,
    shard: ShardId,
    numbers: Vec<usize>,
}

/// Reports its deliveries and answers as it was told, one answer for each; then it takes everything.
struct TestConsumer {
    begun: Instant,
    answers: Mutex<VecDeque<Answer>>,
    deliveries: mpsc::UnboundedSender<Delivery>,
    gate: Semaphore,
}

#[async_trait]
impl Consume for TestConsumer {
    async fn consume(&self, batch: Batch) -> Vec<SequenceNumber> {
        let numbers = batch.records.iter().map(|record| record.sequence_number.0.parse().unwrap()).collect();
        let at_ms = self.begun.elapsed().as_millis();
        self.deliveries.send(Delivery { at_ms, shard: batch.shard, numbers }).unwrap();
        self.gate.acquire().await.unwrap().forget();
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            None => Vec::new(),
            Some(Answer::Again(numbers)) => numbers,
            Some(Answer::Panic) => panic!("as told"),
        }
    }
}

/// A poller in its surroundings.
struct Bench {
    dir: TempDir,
    stream: Arc<TestStream>,
    consumer: Arc<TestConsumer>,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    settings: PollerSettings,
}

const SETTINGS: PollerSettings = PollerSettings {
    batches: Batches { records: 5, concurrency: 1 },
    window: Duration::from_millis(50),
    poll_interval: Duration::from_secs(1),
    redelivery_delay_min: Duration::from_millis(100),
    redelivery_delay_max: Duration::from_secs(10),
};

impl Bench {
    fn new(settings: PollerSettings) -> Self {
        let (sender, deliveries) = mpsc::unbounded_channel();
        let consumer = TestConsumer {
            begun: Instant::now(),
            answers: Mutex::default(),
            deliveries: sender,
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        };
        let dir = tempfile::tempdir().unwrap();
        Self { dir, stream: TestStream::new(), consumer: Arc::new(consumer), deliveries, settings }
    }

    fn control(&self) -> Arc<FileControl> {
        FileControl::open(self.dir.path()).unwrap()
    }

    fn start_with(&self, control: &FileControl) -> Poller {
        let feed = Feed { stream: self.stream.clone(), news: Some(self.stream.news.subscribe()) };
        Poller::start(feed, self.consumer.clone(), control, Target::Search, self.settings)
    }

    fn start(&self) -> Poller {
        self.start_with(&self.control())
    }

    fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.consumer.answers.lock().unwrap().extend(answers);
    }

    async fn delivery(&mut self) -> Delivery {
        self.deliveries.recv().await.unwrap()
    }

    async fn numbers(&mut self) -> Vec<usize> {
        self.delivery().await.numbers
    }

    fn no_more(&mut self) {
        assert_eq!(self.deliveries.try_recv().ok(), None);
    }

    fn checkpoint(&self, name: &str) -> Option<String> {
        let checkpoints: serde_json::Value = serde_json::from_slice(&std::fs::read(self.file()).ok()?).unwrap();
        Some(checkpoints[name]["after"].as_str()?.to_owned())
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("search.json")
    }
}

fn passed(ms: u64) -> tokio::time::Sleep {
    tokio::time::sleep(Duration::from_millis(ms))
}

#[tokio::test(start_paused = true)]
async fn records_are_delivered_once_in_order_and_a_restart_goes_on_behind_them() {
    let mut bench = Bench::new(SETTINGS);
    bench.stream.append("a", ["k"; 12]);
    let poller = bench.start();
    assert_eq!(bench.numbers().await, [1, 2, 3, 4, 5]);
    assert_eq!(bench.numbers().await, [6, 7, 8, 9, 10]);
    assert_eq!(bench.numbers().await, [11, 12]);
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("12"));

    bench.stream.append("a", ["k"; 2]);
    let poller = bench.start();
    assert_eq!(bench.numbers().await, [13, 14]);
    poller.stop().await;
    bench.no_more();
}

/// L26: a few records, then silence.
#[tokio::test(start_paused = true)]
async fn a_full_batch_goes_at_once_and_the_last_few_records_when_their_window_ends() {
    let mut bench = Bench::new(SETTINGS);
    bench.stream.append("a", ["k"; 7]);
    let poller = bench.start();
    assert_eq!(bench.delivery().await, Delivery { at_ms: 0, shard: shard("a"), numbers: vec![1, 2, 3, 4, 5] });
    assert_eq!(bench.delivery().await, Delivery { at_ms: 50, shard: shard("a"), numbers: vec![6, 7] });
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("7"));
}

#[tokio::test(start_paused = true)]
async fn what_arrives_within_the_window_is_in_the_batch_and_is_not_read_one_by_one() {
    let mut bench = Bench::new(PollerSettings {
        batches: Batches { records: 100, concurrency: 1 },
        poll_interval: Duration::from_secs(3600),
        ..SETTINGS
    });
    let poller = bench.start();
    passed(1000).await;
    let reads = bench.stream.reads.load(Ordering::SeqCst);
    for _ in 0..40 {
        bench.stream.append("a", ["k"]);
        passed(1).await;
    }
    let delivery = bench.delivery().await;
    assert_eq!((delivery.at_ms, delivery.numbers.len()), (1050, 40));
    poller.stop().await;
    assert!(bench.stream.reads.load(Ordering::SeqCst) <= reads + 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_news_is_read_every_poll_interval() {
    let mut bench = Bench::new(SETTINGS);
    let feed = Feed { stream: bench.stream.clone(), news: None };
    let poller = Poller::start(feed, bench.consumer.clone(), &bench.control(), Target::Search, bench.settings);
    passed(500).await;
    bench.stream.append("a", ["k"]);
    assert_eq!(bench.delivery().await, Delivery { at_ms: 1050, shard: shard("a"), numbers: vec![1] });
    poller.stop().await;
}

/// D5: the lowest number decides, in whatever order they are named.
#[tokio::test(start_paused = true)]
async fn redelivery_begins_at_the_lowest_number_returned() {
    let mut bench = Bench::new(SETTINGS);
    bench.answer([again(&[4, 2]), again(&[5, 3, 3]), again(&[5])]);
    bench.stream.append("a", ["k"; 5]);
    let poller = bench.start();
    for expected in [vec![1, 2, 3, 4, 5], vec![2, 3, 4, 5], vec![3, 4, 5], vec![5]] {
        let delivery = bench.delivery().await;
        assert_eq!((delivery.at_ms, delivery.numbers), (0, expected), "with progress, there is no pause");
    }
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("5"));
    bench.no_more();
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_stays_below_what_comes_again() {
    let mut bench = Bench::new(SETTINGS);
    bench.answer([again(&[3]), again(&[3]), again(&[3])]);
    bench.stream.append("a", ["k"; 5]);
    let poller = bench.start();
    assert_eq!(bench.numbers().await, [1, 2, 3, 4, 5]);
    assert_eq!(bench.numbers().await, [3, 4, 5]);
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("2"));
    let poller = bench.start();
    assert_eq!(bench.numbers().await, [3, 4, 5]);
    assert_eq!(bench.numbers().await, [3, 4, 5]);
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("5"));
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_not_of_the_batch_and_a_panic_are_the_whole_batch() {
    let mut bench = Bench::new(SETTINGS);
    bench.answer([again(&[99]), Answer::Panic, again(&[2, 99]), Answer::Again(vec![SequenceNumber("".into())])]);
    bench.stream.append("a", ["k"; 3]);
    let poller = bench.start();
    for at_ms in [50, 150, 350, 750, 1550] {
        assert_eq!(bench.delivery().await, Delivery { at_ms, shard: shard("a"), numbers: vec![1, 2, 3] });
    }
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("3"));
    bench.no_more();
}

/// L5, S11: a store that is out for longer than any number of attempts costs no record, and few calls.
#[tokio::test(start_paused = true)]
async fn a_batch_that_never_succeeds_comes_again_for_ever_at_a_bounded_pace() {
    let mut bench = Bench::new(SETTINGS);
    bench.answer((0..20).map(|_| again(&[1])));
    bench.stream.append("a", ["k"]);
    let poller = bench.start();
    let mut pauses = Vec::new();
    let mut before = bench.delivery().await.at_ms;
    for _ in 0..20 {
        let now = bench.delivery().await.at_ms;
        pauses.push(now - before);
        before = now;
    }
    assert_eq!(pauses[..8], [100, 200, 400, 800, 1600, 3200, 6400, 10_000]);
    assert_eq!(pauses[19], 10_000);
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("1"));
}

/// Records fail in turn, and anew on every delivery: none is left out, and none is overtaken by one of its key.
#[tokio::test(start_paused = true)]
async fn the_order_of_a_key_holds_in_parallel_whatever_fails() {
    struct Failing {
        deliveries: AtomicUsize,
        handled: Mutex<BTreeMap<Box<str>, Vec<usize>>>,
        done: mpsc::UnboundedSender<()>,
    }

    #[async_trait]
    impl Consume for Failing {
        async fn consume(&self, batch: Batch) -> Vec<SequenceNumber> {
            let delivery = self.deliveries.fetch_add(1, Ordering::SeqCst);
            passed(u64::try_from(delivery * 7 % 11).unwrap()).await;
            let fails_at = (delivery * 5 + 3) % (batch.records.len() * 2);
            let mut handled = self.handled.lock().unwrap();
            for record in batch.records.iter().take(fails_at) {
                let number = record.sequence_number.0.parse().unwrap();
                handled.entry(record.partition_key.clone()).or_default().push(number);
                self.done.send(()).unwrap();
            }
            batch
                .records
                .iter()
                .skip(fails_at)
                .rev()
                .step_by(2)
                .map(|record| record.sequence_number.clone())
                .chain(batch.records.get(fails_at).map(|record| record.sequence_number.clone()))
                .collect()
        }
    }

    let bench = Bench::new(SETTINGS);
    let keys: Vec<String> = (0..400).map(|place| format!("key {}", place * place % 23)).collect();
    bench.stream.append("a", keys.iter().map(String::as_str));
    let (done, mut handled) = mpsc::unbounded_channel();
    let consumer = Arc::new(Failing { deliveries: AtomicUsize::new(0), handled: Mutex::default(), done });
    let feed = Feed { stream: bench.stream.clone(), news: None };
    let settings = PollerSettings { batches: Batches { records: 5, concurrency: 4 }, ..SETTINGS };
    let poller = Poller::start(feed, consumer.clone(), &bench.control(), Target::Search, settings);
    for _ in 0..400 {
        handled.recv().await.unwrap();
    }
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("400"));
    let handled = consumer.handled.lock().unwrap();
    assert_eq!(handled.values().map(Vec::len).sum::<usize>(), 400, "each once");
    for (key, numbers) in handled.iter() {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_batches_hold_from_the_checkpoint_on_once_those_under_way_have_ended() {
    let mut bench = Bench::new(SETTINGS);
    bench.stream.append("a", ["k"; 8]);
    let control = bench.control();
    bench.consumer.gate.forget_permits(Semaphore::MAX_PERMITS);
    let poller = bench.start_with(&control);
    assert_eq!(bench.numbers().await, [1, 2, 3, 4, 5]);
    control.set_batches(Target::Search, Batches { records: 2, concurrency: 1 }).await.unwrap();
    passed(1000).await;
    bench.no_more();
    bench.consumer.gate.add_permits(10);
    assert_eq!((bench.numbers().await, bench.numbers().await), (vec![6, 7], vec![8]));
    control.set_batches(Target::Search, Batches { records: 2, concurrency: 1 }).await.unwrap();
    bench.stream.append("a", ["k"; 3]);
    assert_eq!((bench.numbers().await, bench.numbers().await), (vec![9, 10], vec![11]));
    poller.stop().await;
    bench.no_more();
    assert_eq!(bench.checkpoint("a").as_deref(), Some("11"));
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_fails_holds_the_checkpoint_and_not_the_other_lanes() {
    let mut bench = Bench::new(PollerSettings { batches: Batches { records: 1, concurrency: 2 }, ..SETTINGS });
    let (stuck, other) = two_lanes();
    bench.answer([again(&[1])]);
    bench.stream.append("a", [stuck.as_str(), &other, &other, &other]);
    let poller = bench.start();
    let mut delivered = Vec::new();
    for _ in 0..5 {
        delivered.append(&mut bench.numbers().await);
    }
    assert_eq!(delivered, [1, 2, 3, 4, 1], "the others did not wait for the pause");
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn what_is_handled_above_a_failed_record_comes_again_after_a_restart() {
    let mut bench = Bench::new(PollerSettings { batches: Batches { records: 1, concurrency: 2 }, ..SETTINGS });
    let (stuck, other) = two_lanes();
    bench.answer([again(&[1])]);
    bench.stream.append("a", [stuck.as_str(), &other]);
    let poller = bench.start();
    assert_eq!((bench.numbers().await, bench.numbers().await), (vec![1], vec![2]));
    poller.stop().await;
    assert_eq!(bench.checkpoint("a"), None);
    let poller = bench.start();
    assert_eq!((bench.numbers().await, bench.numbers().await), (vec![1], vec![2]));
    poller.stop().await;
    assert_eq!(bench.checkpoint("a").as_deref(), Some("2"));
}

/// A key of the first of two lanes, and one of the second.
fn two_lanes() -> (String, String) {
    let key_of = |lane| (0..).map(|key| format!("key {key}")).find(|key| lanes::lane_of(key, 2) == lane).unwrap();
    (key_of(0), key_of(1))
}

#[tokio::test(start_paused = true)]
async fn a_paused_consumer_takes_nothing_until_it_is_resumed_even_after_a_restart() {
    let mut bench = Bench::new(SETTINGS);
    let control = bench.control();
    let poller = bench.start_with(&control);
    control.pause(Target::Search).await.unwrap();
    bench.stream.append("a", ["k"; 7]);
    passed(60_000).await;
    bench.no_more();
    assert_eq!(poller.lag(TimestampMs(1001))[0].behind_ms, 1000, "it is seen to fall behind");
    poller.stop().await;

    let control = bench.control();
    let poller = bench.start_with(&control);
    passed(60_000).await;
    bench.no_more();
    assert_eq!(control.state(Target::Search).await.unwrap(), ConsumerState::Paused);
    control.resume(Target::Search).await.unwrap();
    assert_eq!(bench.numbers().await, [1, 2, 3, 4, 5]);
    assert_eq!(bench.numbers().await, [6, 7]);
    poller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_lets_the_batch_under_way_end() {
    let mut bench = Bench::new(SETTINGS);
    let control = bench.control();
    bench.consumer.gate.forget_permits(Semaphore::MAX_PERMITS);
    bench.stream.append("a", ["k"; 7]);
    let poller = bench.start_with(&control);
    assert_eq!(bench.numbers().await, [1, 2, 3, 4, 5]);
    control.pause(Target::Search).await.unwrap();
    assert_eq!(control.state(Target::Search).await.unwrap(), ConsumerState::Pausing);
    bench.consumer.gate.add_permits(10);
    passed(60_000).await;
    assert_eq!(control.state(Target::Search).await.unwrap(), ConsumerState::Paused);
    assert_eq!(bench.checkpoint("a").as_deref(), Some("5"));
    bench.no_more();
    poller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_batch_under_way_and_keeps_its_answer() {
    let mut bench = Bench::new(SETTINGS);
    bench.consumer.gate.forget_permits(Semaphore::MAX_PERMITS);
    bench.answer([again(&[4])]);
    bench.stream.append("a", ["k"; 5]);
    let poller = bench.start();
    assert_eq!(bench.numbers().await, [1, 2, 3, 4, 5]);
    let stopping = tokio::spawn(async move { poller.stop().await });
    passed(60_000).await;
    assert!(!stopping.is_finished());
    bench.consumer.gate.add_permits(1);
    stopping.await.unwrap();
    assert_eq!(bench.checkpoint("a").as_deref(), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_checkpoint_is_the_horizon() {
    let mut bench = Bench::new(SETTINGS);
    bench.stream.append("a", ["k"; 3]);
    for content in [None, Some("{\"a\":{\"after\"")] {
        if let Some(content) = content {
            replace(&bench.file(), content);
        }
        let poller = bench.start();
        assert_eq!(bench.numbers().await, [1, 2, 3]);
        poller.stop().await;
    }
}

fn replace(path: &Path, content: &str) {
    let file = crate::files::prepare(path.parent().unwrap(), content.as_bytes()).unwrap();
    file.persist(path).unwrap();
}

#[tokio::test(start_paused = true)]
async fn children_are_read_when_their_parents_are_handled_to_the_end() {
    let mut bench = Bench::new(SETTINGS);
    bench.answer([again(&[2])]);
    bench.stream.append("a", ["k"; 2]);
    bench.stream.append("b", ["k"; 1]);
    bench.stream.change("b", |child| child.parents = vec![shard("a"), shard("long gone")]);
    let poller = bench.start();
    assert_eq!(bench.numbers().await, [1, 2]);
    bench.stream.change("a", |parent| parent.is_closed = true);
    assert_eq!(bench.delivery().await.shard, shard("a"));
    assert_eq!(bench.delivery().await.shard, shard("b"));
    poller.stop().await;

    let reads = bench.stream.reads.load(Ordering::SeqCst);
    let poller = bench.start();
    passed(500).await;
    bench.no_more();
    assert_eq!(bench.stream.reads.load(Ordering::SeqCst), reads + 1, "the parent is finished for good");
    poller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_parent_is_no_obstacle_and_one_that_is_only_missing_is_waited_for() {
    let mut bench = Bench::new(SETTINGS);
    bench.stream.append("a", ["k"; 2]);
    bench.stream.append("b", ["k"; 1]);
    bench.stream.change("a", |parent| parent.is_gone = true);
    bench.stream.change("b", |child| child.parents = vec![shard("a")]);
    let poller = bench.start();
    passed(60_000).await;
    bench.no_more();
    assert!(bench.stream.reads.load(Ordering::SeqCst) <= 8, "it is not asked for all the time");
    bench.stream.change("a", |parent| parent.is_gone = false);
    assert_eq!(bench.numbers().await, [1, 2]);
    bench.stream.change("a", |parent| (parent.is_gone, parent.is_listed) = (true, false));
    let delivery = bench.delivery().await;
    assert_eq!((delivery.shard, delivery.numbers), (shard("b"), vec![1]));
    poller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_is_asked_at_a_bounded_pace_and_nothing_is_left_out() {
    let mut bench = Bench::new(SETTINGS);
    for kind in [PortErrorKind::Unavailable, PortErrorKind::Denied, PortErrorKind::Throttled] {
        *bench.stream.fails.lock().unwrap() = Some(kind);
        bench.stream.append("a", ["k"; 2]);
        let reads = bench.stream.reads.load(Ordering::SeqCst);
        let poller = bench.start();
        passed(60_000).await;
        let asked = bench.stream.reads.load(Ordering::SeqCst) - reads;
        assert!((8..16).contains(&asked), "{asked} reads in a minute");
        let lag = poller.lag(TimestampMs(0)).remove(0);
        assert!(lag.failures > 5 && lag.last_error.unwrap().contains(kind.as_str()));
        *bench.stream.fails.lock().unwrap() = None;
        bench.delivery().await;
        poller.stop().await;
    }
    assert_eq!(bench.checkpoint("a").as_deref(), Some("6"));
}

#[tokio::test(start_paused = true)]
async fn what_is_read_ahead_of_a_slow_consumer_is_bounded() {
    let mut bench = Bench::new(SETTINGS);
    bench.consumer.gate.forget_permits(Semaphore::MAX_PERMITS);
    bench.stream.append("a", ["k"; 1000]);
    let poller = bench.start();
    bench.delivery().await;
    passed(60_000).await;
    let lag = poller.lag(TimestampMs(5001)).remove(0);
    assert_eq!((lag.outstanding, lag.behind_ms, lag.checkpoint), (10, 5000, None));
    bench.consumer.gate.add_permits(1000);
    let mut delivered = 5;
    while delivered < 1000 {
        delivered += bench.numbers().await.len();
    }
    poller.stop().await;
    let lag = poller.lag(TimestampMs(5001)).remove(0);
    assert_eq!((lag.outstanding, lag.behind_ms, lag.checkpoint), (0, 0, Some(number(1000))));
}

/// With the stream of this machine, in real time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_drives_a_consumer_over_the_file_stream() {
    struct Counting(mpsc::UnboundedSender<Bytes>);

    #[async_trait]
    impl Consume for Counting {
        async fn consume(&self, batch: Batch) -> Vec<SequenceNumber> {
            batch.records.into_iter().for_each(|record| self.0.send(record.data).unwrap());
            Vec::new()
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let settings = StreamSettings::new(Clock::new(|| TimestampMs(1_795_284_061_873)));
    let stream = FileStream::open(dir.path(), settings).unwrap();
    let control = FileControl::open(&dir.path().join("consumers")).unwrap();
    let (sender, mut handled) = mpsc::unbounded_channel();
    let consumer = Arc::new(Counting(sender));
    let mut expected = BTreeSet::new();
    for round in 0..3 {
        let feed = Feed { stream: stream.clone(), news: Some(stream.durable()) };
        let poller = Poller::start(feed, consumer.clone(), &control, Target::Ledger, PollerSettings::default());
        for place in 0..50 {
            let data = Bytes::from(format!("{round}/{place}"));
            let entry = Entry { partition_key: format!("key {place}").into(), data: data.clone() };
            stream.append(vec![entry]).await.unwrap();
            expected.insert(data);
        }
        let mut read = BTreeSet::new();
        for _ in 0..50 {
            assert!(read.insert(handled.recv().await.unwrap()), "once");
        }
        assert!(read.is_subset(&expected));
        poller.stop().await;
        assert!(handled.try_recv().is_err());
    }
}
