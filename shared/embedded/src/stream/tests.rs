use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tributary_ports::contract;
use tributary_ports::stream::StreamRecord;

use super::*;

const BEGIN: i64 = 1_795_284_061_873;

/// A clock that stands still until it is moved.
#[derive(Clone)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(BEGIN)))
    }

    fn clock(&self) -> Clock {
        let now = self.clone();
        Clock::new(move || now.now())
    }

    fn now(&self) -> TimestampMs {
        TimestampMs(self.0.load(Ordering::SeqCst))
    }

    fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

fn settings(clock: &TestClock) -> StreamSettings {
    StreamSettings::new(clock.clock())
}

/// Small segments, so that a few records fill several.
fn small(clock: &TestClock) -> StreamSettings {
    StreamSettings { segment_bytes_max: 2_000, ..settings(clock) }
}

fn entry(key: &str, data: impl Into<Bytes>) -> Entry {
    Entry { partition_key: key.into(), data: data.into() }
}

async fn append(stream: &FileStream, key: &str, data: &str) -> SequenceNumber {
    stream.append(vec![entry(key, data.to_owned())]).await.unwrap().remove(0)
}

async fn read_from(stream: &FileStream, shard: &ShardId, from: Position) -> Vec<StreamRecord> {
    let mut records = Vec::new();
    let mut at = from;
    loop {
        let mut page = stream.read(shard, &at, 7).await.unwrap();
        if page.records.is_empty() && page.behind_ms == 0 {
            return records;
        }
        records.append(&mut page.records);
        at = page.next.unwrap();
    }
}

/// The data of all records, in the order of their numbers.
async fn read_all(stream: &FileStream) -> Vec<String> {
    let mut all = BTreeMap::new();
    for shard in stream.shards().await.unwrap() {
        for record in read_from(stream, &shard.id, Position::Horizon).await {
            let data = String::from_utf8(record.data.to_vec()).unwrap();
            assert_eq!(all.insert(record.sequence_number, data), None, "a number is read once");
        }
    }
    all.into_values().collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    segment::list(dir).unwrap().into_iter().map(|(_, path)| path).collect()
}

/// The folder as a process that is killed now leaves it.
fn killed(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in dir.read_dir().unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    let mut file = File::create(path).unwrap();
    io::Write::write_all(&mut file, &bytes).unwrap();
}

fn kind<T: fmt::Debug>(result: Result<T, PortError>) -> PortErrorKind {
    result.unwrap_err().kind
}

#[tokio::test]
async fn it_keeps_to_the_contract_whatever_a_segment_holds() {
    let (folder, made, clock) = (tempfile::tempdir().unwrap(), AtomicI64::new(0), TestClock::new());
    for settings in [settings(&clock), small(&clock)] {
        contract::stream::all(async || {
            let dir = folder.path().join(made.fetch_add(1, Ordering::SeqCst).to_string());
            let stream: Arc<dyn Stream> = FileStream::open(&dir, settings.clone()).unwrap();
            stream
        })
        .await;
    }
    contract::stream::operated(async || {
        let dir = folder.path().join(made.fetch_add(1, Ordering::SeqCst).to_string());
        let stream: Arc<dyn OperatedStream> = FileStream::open(&dir, settings(&clock)).unwrap();
        stream
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    for place in 0..20 {
        append(&stream, &format!("key {place}"), &format!("record {place}")).await;
        let copy = killed(dir.path());
        let reopened = FileStream::open(copy.path(), settings(&clock)).unwrap();
        let expected: Vec<String> = (0..=place).map(|place| format!("record {place}")).collect();
        assert_eq!(read_all(&reopened).await, expected);
        assert_eq!(reopened.health().damaged_places, 0);
    }
}

#[tokio::test]
async fn a_closed_stream_goes_on_where_it_ended() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let mut last = None;
    for round in 0..3 {
        let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
        let number = append(&stream, "key", &format!("round {round}")).await;
        assert!(last < Some(number.clone()), "{last:?} {number}");
        last = Some(number);
    }
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    assert_eq!(read_all(&stream).await, ["round 0", "round 1", "round 2"]);
}

#[tokio::test]
async fn the_count_of_shards_is_the_one_it_was_created_with() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    for shards in [3, 7] {
        let stream = FileStream::open(dir.path(), StreamSettings { shards, ..settings(&clock) }).unwrap();
        assert_eq!(stream.shards().await.unwrap().len(), 3);
    }
    for shards in [0, limits::STREAM_SHARDS_MAX + 1] {
        let dir = tempfile::tempdir().unwrap();
        let opened = FileStream::open(dir.path(), StreamSettings { shards, ..settings(&clock) });
        assert_eq!(kind(opened), PortErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_stream_is_open_once() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    assert_eq!(kind(FileStream::open(dir.path(), settings(&clock))), PortErrorKind::Conflict);
    drop(stream);
    FileStream::open(dir.path(), settings(&clock)).unwrap();
}

#[tokio::test]
async fn segments_without_their_meta_file_are_not_touched() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    append(&FileStream::open(dir.path(), settings(&clock)).unwrap(), "key", "data").await;
    let meta = dir.path().join(meta::FILE);
    for content in ["", "{}", r#"{"format":2,"shards":4,"salt":1,"unclaimed":1}"#] {
        change(&meta, |bytes| *bytes = content.into());
        assert_eq!(kind(FileStream::open(dir.path(), settings(&clock))), PortErrorKind::Invalid, "{content}");
        assert_eq!(check(dir.path()).unwrap().problems.len(), 1);
    }
    std::fs::remove_file(&meta).unwrap();
    assert_eq!(kind(FileStream::open(dir.path(), settings(&clock))), PortErrorKind::Invalid);
    assert_eq!(check(dir.path()).unwrap().problems[0].path, meta);
    assert_eq!(segments(dir.path()).len(), 1);
}

#[tokio::test]
async fn numbers_are_not_used_twice_though_all_segments_are_gone() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let mut before = None;
    for with_meta in [true, true, false] {
        let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
        let number = append(&stream, "key", "data").await;
        assert!(before < Some(number.clone()));
        before = Some(number);
        drop(stream);
        segments(dir.path()).iter().for_each(|path| std::fs::remove_file(path).unwrap());
        if !with_meta {
            std::fs::remove_file(dir.path().join(meta::FILE)).unwrap();
        }
        clock.pass(Duration::from_secs(3600 * 2));
    }
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    assert!(before < Some(append(&stream, "key", "data").await), "a new stream begins behind the old one's numbers");
}

/// L21: what a kill leaves of a write does not keep the stream from opening.
#[tokio::test]
async fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    append(&stream, "a", "first").await;
    let path = segments(dir.path()).remove(0);
    let kept = std::fs::metadata(&path).unwrap().len();
    append(&stream, "b", "second").await;
    let end = std::fs::metadata(&path).unwrap().len();
    for length in kept..end {
        let copy = killed(dir.path());
        let path = segments(copy.path()).remove(0);
        change(&path, |bytes| bytes.truncate(usize::try_from(length).unwrap()));
        assert_eq!(check(copy.path()).unwrap().tail_bytes, length - kept);
        let reopened = FileStream::open(copy.path(), settings(&clock)).unwrap();
        append(&reopened, "c", "third").await;
        assert_eq!(read_all(&reopened).await, ["first", "third"], "torn at {length}");
        assert_eq!((reopened.health().cut_bytes, reopened.health().damaged_places), (length - kept, 0));
        drop(reopened);
        let report = check(copy.path()).unwrap();
        assert_eq!((report.records, report.tail_bytes, report.problems), (2, 0, Vec::new()));
    }
}

#[tokio::test]
async fn a_segment_without_a_whole_record_is_no_obstacle() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    append(&stream, "a", "first").await;
    for length in 0..60 {
        let copy = killed(dir.path());
        let path = segments(copy.path()).remove(0);
        change(&path, |bytes| bytes.truncate(length.min(bytes.len() - 1)));
        let reopened = FileStream::open(copy.path(), settings(&clock)).unwrap();
        append(&reopened, "b", "second").await;
        assert_eq!(read_all(&reopened).await, ["second"]);
    }
}

/// Every byte of a closed segment and of one that a crash left open is damaged in turn: no other record is lost.
#[tokio::test]
async fn damage_costs_the_record_it_hits_and_no_other() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    let records = ["first", "second", "third"];
    for record in records {
        append(&stream, record, record).await;
    }
    let open = killed(dir.path());
    drop(stream);
    for (folder, is_closed) in [(&open, false), (&dir, true)] {
        let length = std::fs::metadata(segments(folder.path()).remove(0)).unwrap().len();
        for byte in 0..usize::try_from(length).unwrap() {
            let copy = killed(folder.path());
            change(&segments(copy.path()).remove(0), |bytes| bytes[byte] ^= 0x41);
            let problems = check(copy.path()).unwrap();
            let reopened = FileStream::open(copy.path(), settings(&clock)).unwrap();
            append(&reopened, "fourth", "fourth").await;
            let read = read_all(&reopened).await;
            let lost: Vec<&str> =
                records.into_iter().filter(|record| !read.iter().any(|read| read == record)).collect();
            assert!(lost.len() <= 1 && read.len() + lost.len() == 4, "byte {byte}: {read:?}");
            let health = reopened.health();
            let is_tail = lost == ["third"] && !is_closed;
            assert_eq!(health.damaged_places, usize::from(!lost.is_empty() && !is_tail), "byte {byte}");
            assert!(lost.is_empty() || is_tail || !problems.problems.is_empty(), "byte {byte}: {problems:?}");
        }
    }
}

#[tokio::test]
async fn a_damaged_place_is_gone_past_and_counted_once() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), small(&clock)).unwrap();
    let data = "x".repeat(150);
    for place in 0..40 {
        append(&stream, &format!("key {place}"), &format!("{place} {data}")).await;
    }
    let paths = segments(dir.path());
    assert!(paths.len() > 3);
    change(&paths[1], |bytes| bytes[500..700].fill(0));
    let whole = std::fs::metadata(&paths[2]).unwrap().len();
    change(&paths[2], |bytes| bytes.truncate(1000));
    let read = read_all(&stream).await;
    let again = read_all(&stream).await;
    assert_eq!(read, again);
    assert!((28..38).contains(&read.len()), "{}", read.len());
    assert!(read.last().unwrap().starts_with("39 "));
    let health = stream.health();
    assert_eq!(health.damaged_places, 2);
    assert!(health.damaged_bytes >= 200 && health.damaged_bytes < 500 + whole, "{health:?}");
    assert_eq!(check(dir.path()).unwrap().problems.len(), 2);
    drop(stream);
    let reopened = FileStream::open(dir.path(), small(&clock)).unwrap();
    assert_eq!(read_all(&reopened).await, read);
    assert_eq!(reopened.health().damaged_places, 2);
}

#[tokio::test]
async fn data_that_looks_like_a_frame_is_not_taken_for_one() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    let first = append(&stream, "first", "first").await.0.parse::<u64>().unwrap();
    let mut forged = Vec::new();
    frame::Content { sequence: first + 2, arrived_at: BEGIN, shard: 0, key: "k", data: b"forged" }
        .encode(&mut forged, 0);
    stream.append(vec![entry("second", forged)]).await.unwrap();
    append(&stream, "third", "third").await;
    let damaged_at = 24 + frame::frame_bytes("first", b"first") + 2;
    change(&segments(dir.path())[0], |bytes| bytes[damaged_at] ^= 1);
    assert_eq!(read_all(&stream).await, ["first", "third"]);
}

#[tokio::test]
async fn records_leave_the_disk_when_their_retention_ends() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    append(&stream, "a", "old").await;
    clock.pass(Duration::from_secs(7 * 3600));
    let new = append(&stream, "a", "new").await;
    assert_eq!(segments(dir.path()).len(), 2, "the first segment's age closed it");
    assert_eq!(stream.expire(clock.now()).unwrap(), 0);
    assert_eq!(read_all(&stream).await, ["old", "new"]);

    clock.pass(limits::STREAM_RETENTION - Duration::from_secs(3600));
    assert_eq!(read_all(&stream).await, ["new"], "not served though still on disk");
    assert_eq!(stream.expire(clock.now()).unwrap(), 1);
    assert_eq!(segments(dir.path()).len(), 1);
    assert_eq!(stream.health().records, 1);
    let shards = stream.shards().await.unwrap();
    let mut read = Vec::new();
    for shard in shards {
        read.extend(read_from(&stream, &shard.id, Position::At(SequenceNumber("1".into()))).await);
    }
    assert_eq!(
        read.iter().map(|record| &record.sequence_number).collect::<Vec<_>>(),
        [&new],
        "from the first kept one"
    );

    clock.pass(Duration::from_secs(3600 * 2));
    assert_eq!(stream.expire(clock.now()).unwrap(), 1, "a quiet stream ends up empty");
    assert_eq!(segments(dir.path()), Vec::<PathBuf>::new());
    assert!(append(&stream, "a", "newest").await > new);
    assert_eq!(read_all(&stream).await, ["newest"]);
}

#[tokio::test]
async fn a_retention_that_is_changed_keeps_what_is_there_and_survives_a_restart() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    append(&stream, "a", "old").await;
    stream.set_retention(limits::STREAM_RETENTION * 2).await.unwrap();
    drop(stream);
    clock.pass(limits::STREAM_RETENTION + Duration::from_secs(1));
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    assert_eq!(stream.retention().await.unwrap(), limits::STREAM_RETENTION * 2);
    assert_eq!(stream.expire(clock.now()).unwrap(), 0);
    assert_eq!(read_all(&stream).await, ["old"]);

    stream.set_retention(limits::STREAM_RETENTION).await.unwrap();
    assert_eq!(read_all(&stream).await, Vec::<String>::new(), "not served though still on disk");
    assert_eq!(stream.expire(clock.now()).unwrap(), 1);
    drop(stream);
    let shorter = StreamSettings { retention: limits::STREAM_RETENTION / 7, ..settings(&clock) };
    let stream = FileStream::open(dir.path(), shorter).unwrap();
    assert_eq!(stream.retention().await.unwrap(), limits::STREAM_RETENTION / 7, "the settings hold again");
}

#[tokio::test]
async fn a_time_is_found_across_segments_and_clock_steps() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), StreamSettings { shards: 1, ..small(&clock) }).unwrap();
    let data = "x".repeat(300);
    for place in 0..30 {
        // Every tenth time the clock is set back by 15 seconds.
        clock.0.fetch_add(if place % 10 == 9 { -15_000 } else { 5_000 }, Ordering::SeqCst);
        append(&stream, "key", &format!("{place:02} {data}")).await;
    }
    let shard = shard_id(0);
    let all = read_from(&stream, &shard, Position::Horizon).await;
    for time in (BEGIN..=clock.now().0 + 20_000).step_by(2_500) {
        let read = read_from(&stream, &shard, Position::AtTime(TimestampMs(time))).await;
        let first = all.iter().position(|record| record.arrived_at.0 >= time).unwrap_or(all.len());
        assert_eq!(read, all[first..], "{time}");
    }
}

#[tokio::test]
async fn a_position_that_is_no_number_of_this_stream_is_refused() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    for number in ["", "x", "-1", "49590338271490256608559692538361571095921575989136588898"] {
        let from = Position::After(SequenceNumber(number.into()));
        assert_eq!(kind(stream.read(&shard_id(0), &from, 1).await), PortErrorKind::Invalid, "{number}");
    }
    let from = Position::After(SequenceNumber(u64::MAX.to_string().into()));
    assert_eq!(stream.read(&shard_id(0), &from, 1).await.unwrap().records, []);
}

#[test]
fn a_full_queue_throttles_and_an_append_that_never_fits_is_refused() {
    let clock = TestClock::new();
    let queue = Queue::new(1, 4, 0, 1_000);
    let clock = clock.clock();
    queue.push(&[entry("key", vec![0; 500])], &clock).unwrap();
    let error = queue.push(&[entry("key", vec![0; 500])], &clock).unwrap_err();
    assert_eq!((error.kind, error.retry_after), (PortErrorKind::Throttled, Some(limits::STREAM_RETRY_AFTER)));
    queue.push(&[entry("key", vec![0; 400])], &clock).unwrap();
    assert_eq!(kind(queue.push(&[entry("key", vec![0; 1_000])], &clock)), PortErrorKind::Invalid);
    queue.close();
    assert_eq!(kind(queue.push(&[entry("key", "x")], &clock)), PortErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_append_and_read_at_once() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream =
        FileStream::open(dir.path(), StreamSettings { segment_bytes_max: 20_000, ..settings(&clock) }).unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let stream = Arc::clone(&stream);
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for round in 0..20 {
                    numbers.push(append(&stream, &format!("key {task}"), &format!("{task}/{round}")).await);
                }
                assert!(numbers.is_sorted_by(|a, b| a < b));
            })
        })
        .collect();
    for task in tasks {
        let so_far = read_all(&stream).await;
        assert!(so_far.len() <= 640);
        task.await.unwrap();
    }
    let read = read_all(&stream).await;
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), 640);
    for task in 0..32 {
        let own: Vec<_> = read.iter().filter(|data| data.starts_with(&format!("{task}/"))).collect();
        let expected: Vec<_> = (0..20).map(|round| format!("{task}/{round}")).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>(), "the order of a key");
    }
}

#[tokio::test]
async fn a_reader_that_has_caught_up_is_woken() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), settings(&clock)).unwrap();
    let mut durable = stream.durable();
    let waiting = tokio::spawn(async move {
        durable.changed().await.unwrap();
        *durable.borrow()
    });
    let number = append(&stream, "key", "data").await;
    assert_eq!(waiting.await.unwrap().to_string(), number.0.as_ref());
}

#[cfg(unix)]
#[tokio::test]
async fn a_commit_that_fails_is_told_and_the_next_one_begins_a_segment() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let stream = FileStream::open(dir.path(), StreamSettings { segment_bytes_max: 1, ..settings(&clock) }).unwrap();
    append(&stream, "key", "first").await;
    let away = dir.path().with_extension("away");
    std::fs::rename(dir.path(), &away).unwrap();
    assert_eq!(kind(stream.append(vec![entry("key", "second")]).await), PortErrorKind::Unavailable);
    std::fs::rename(&away, dir.path()).unwrap();
    append(&stream, "key", "third").await;
    assert_eq!(read_all(&stream).await, ["first", "third"]);
    assert_eq!(stream.health().failed_commits, 1);
    drop(stream);
    assert_eq!(check(dir.path()).unwrap().problems, []);
}

/// What the model test does to a stream.
#[derive(Debug, Clone)]
enum Action {
    Append(Vec<(u8, u16)>),
    Pass(u32),
    Expire,
    Close,
    Kill,
    /// Killed, with this many bytes of something behind the last segment's frames.
    Tear(Vec<u8>),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => prop::collection::vec((any::<u8>(), 0..400_u16), 1..8).prop_map(Action::Append),
        2 => (0..40_000_u32).prop_map(Action::Pass),
        1 => Just(Action::Expire),
        1 => Just(Action::Close),
        1 => Just(Action::Kill),
        2 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Action::Tear),
    ]
}

/// A stream beside a plain list of what it acknowledged.
struct Model {
    dir: TempDir,
    clock: TestClock,
    stream: Option<Arc<FileStream>>,
    acknowledged: Vec<(u64, i64, String)>,
    appended: usize,
}

impl Model {
    const RETENTION: Duration = Duration::from_secs(60);

    fn new() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let mut model = Self { dir, clock, stream: None, acknowledged: Vec::new(), appended: 0 };
        model.open();
        model
    }

    fn open(&mut self) {
        let settings = StreamSettings {
            retention: Self::RETENTION,
            segment_age_max: Duration::from_secs(20),
            segment_bytes_max: 1_500,
            ..settings(&self.clock)
        };
        self.stream = Some(FileStream::open(self.dir.path(), settings).unwrap());
    }

    fn stream(&self) -> &FileStream {
        self.stream.as_ref().unwrap()
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Append(records) => self.append(records).await,
            Action::Pass(ms) => self.clock.pass(Duration::from_millis(ms.into())),
            Action::Expire => drop(self.stream().expire(self.clock.now()).unwrap()),
            Action::Close => {
                self.stream = None;
                self.open();
            }
            Action::Kill => self.kill(&[]),
            Action::Tear(garbage) => self.kill(&garbage),
        }
    }

    async fn append(&mut self, records: Vec<(u8, u16)>) {
        let mut entries = Vec::new();
        for (key, bytes) in records {
            self.appended += 1;
            entries.push(entry(&format!("key {key}"), format!("{} {}", self.appended, "x".repeat(bytes.into()))));
        }
        let numbers = self.stream().append(entries.clone()).await.unwrap();
        for (entry, number) in entries.into_iter().zip(numbers) {
            let data = String::from_utf8(entry.data.to_vec()).unwrap();
            self.acknowledged.push((number.0.parse().unwrap(), self.clock.now().0, data));
        }
    }

    fn kill(&mut self, garbage: &[u8]) {
        let copy = killed(self.dir.path());
        self.stream = None;
        self.dir = copy;
        if let Some(last) = segments(self.dir.path()).last() {
            change(last, |bytes| bytes.extend_from_slice(garbage));
        }
        self.open();
    }

    /// What was acknowledged and is within its retention is read, once and in order.
    async fn verify(&self) {
        let horizon = self.clock.now().plus_ms(-ms(Self::RETENTION)).0;
        let kept: Vec<&String> =
            self.acknowledged.iter().filter(|(_, at, _)| *at >= horizon).map(|(_, _, data)| data).collect();
        assert_eq!(read_all(self.stream()).await.iter().collect::<Vec<_>>(), kept);
        assert!(self.acknowledged.is_sorted_by(|a, b| a.0 < b.0), "numbers ascend and are used once");
        assert_eq!(self.stream().health().damaged_places, 0);
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_does_as_a_plain_list_does(actions in prop::collection::vec(action(), 1..20)) {
        Runtime::new().unwrap().block_on(async {
            let mut model = Model::new();
            for action in actions {
                model.act(action).await;
                model.verify().await;
            }
        });
    }
}
