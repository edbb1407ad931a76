//! The custodian on the embedded stores, with consumers whose search index can be made to fail.

#![expect(clippy::expect_used, reason = "a test's own functions fail as tests do")]

mod given_up;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tributary_access::ensure_directory;
use tributary_custodian::{Custodian, Step};
use tributary_embedded::control::FileControl;
use tributary_embedded::keys::KeyFile;
use tributary_embedded::ledger::SqliteLedger;
use tributary_embedded::objects::FileObjects;
use tributary_embedded::stream::{Clock, FileStream, StreamSettings};
use tributary_model::directory::OBJECT_KEY;
use tributary_model::limits::{STREAM_RETENTION, STREAM_RETENTION_MAX};
use tributary_model::outages::{WRITTEN, open_outage_key};
use tributary_model::store_settings::{Batches, SETTINGS_KEY, Setting};
use tributary_model::{
    AccountId, Day, Directory, Invocation, Kind, ProjectId, Record, Region, Report, ReportId, RetentionClass, Target,
    TimestampMs, TokenId, Version, overflow,
};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_ports::objects::Condition;
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort};
use tributary_ports::settings::{choose, chosen};
use tributary_ports::stream::{Batch, OperatedStream, Position, SequenceNumber, ShardId, StreamRecord};
use tributary_ports::{
    ConsumerState, Control, Ledger, Objects, Overflow, PortError, PortErrorKind, Search, Stream, Upserted,
};
use tributary_worker::{Consumer, Mark, Sink, Worker, mark_key};

/// 2026-11-21T18:01:01.873Z
const NOW: TimestampMs = TimestampMs(1_795_284_061_873);
/// No spread: a first probe comes after half of five seconds.
const CHANCE: f64 = 0.0;

/// A search index that does what it is told.
#[derive(Default)]
struct Moody {
    answers: Mutex<Option<PortErrorKind>>,
    expired: Mutex<Vec<Day>>,
}

#[async_trait]
impl Search for Moody {
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        match *self.answers.lock().expect("no panic") {
            Some(kind) => Err(PortError::new(kind, "search.upsert", "told to fail")),
            None => Ok(vec![Upserted::Applied; documents.len()]),
        }
    }

    async fn find(&self, _: &Scope, _: Sort, _: Option<After>, _: usize) -> Result<Vec<Invocation>, PortError> {
        unreachable!("a worker does not search")
    }

    async fn get(&self, _: &ProjectId, _: ReportId) -> Result<Option<Document>, PortError> {
        unreachable!("a worker does not search")
    }

    async fn versions(&self, _: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError> {
        unreachable!("a worker does not audit")
    }

    async fn expire(&self, today: Day) -> Result<(), PortError> {
        self.expired.lock().expect("no panic").push(today);
        Ok(())
    }

    async fn functions(&self, _: &Scope, _: usize) -> Result<Vec<FunctionSummary>, PortError> {
        unreachable!("a worker does not search")
    }
}

struct World {
    search: Arc<Moody>,
    stream: Arc<FileStream>,
    objects: Arc<FileObjects>,
    ledger: Arc<SqliteLedger>,
    control: Arc<FileControl>,
    keys: Arc<KeyFile>,
    consumer: Consumer,
    _folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let settings = StreamSettings { shards: 1, ..StreamSettings::new(Clock::new(|| NOW)) };
        let (search, keys) = (Arc::<Moody>::default(), KeyFile::open(&path("keys")).expect("keys"));
        let objects = FileObjects::open(&path("objects")).expect("objects");
        let ledger = SqliteLedger::open(&path("ledger")).expect("a ledger");
        let worker = Worker {
            target: Sink::Search(search.clone()),
            objects: objects.clone(),
            keys: keys.clone(),
            ledger: ledger.clone(),
            region: Region::local(),
        };
        Self {
            stream: FileStream::open(&path("stream"), settings).expect("a stream"),
            control: FileControl::open(&path("consumers")).expect("control"),
            consumer: Consumer::new(worker, Arc::default()),
            search,
            objects,
            ledger,
            keys,
            _folder: folder,
        }
    }

    fn overflow(&self) -> Overflow {
        Overflow { objects: self.objects.clone(), keys: self.keys.clone() }
    }

    fn custodian(&self) -> Custodian {
        Custodian {
            region: Region::local(),
            stream: self.stream.clone(),
            retention: STREAM_RETENTION,
            copy: None,
            search: self.search.clone(),
            objects: self.objects.clone(),
            overflow: self.overflow(),
            given_up: None,
            ledger: self.ledger.clone(),
            control: self.control.clone(),
            settings: Arc::default(),
        }
    }

    fn search_is(&self, out: Option<PortErrorKind>) {
        *self.search.answers.lock().expect("no panic") = out;
    }

    /// A batch of two records comes to the search index's consumer.
    async fn deliver(&self, now: TimestampMs) {
        let record = |(position, name): (usize, &&str)| StreamRecord {
            sequence_number: SequenceNumber(position.to_string().into()),
            partition_key: "key".into(),
            arrived_at: now,
            data: record(name, NOW).1,
        };
        let records = ["a", "b"].iter().enumerate().map(record).collect();
        self.consumer.handle(now, &Batch { shard: ShardId("0".into()), records }).await;
    }

    async fn run(&self, now: TimestampMs) -> Vec<(Target, &'static str)> {
        let facts = self.custodian().handle(now, CHANCE).await;
        assert_eq!(facts.errors, Vec::<String>::new());
        facts.outages
    }

    async fn states(&self) -> [ConsumerState; 2] {
        [
            self.control.state(Target::Search).await.expect("a state"),
            self.control.state(Target::Ledger).await.expect("a state"),
        ]
    }

    async fn in_stream(&self) -> Vec<ReportId> {
        let mut ids = Vec::new();
        for shard in self.stream.shards().await.expect("shards") {
            let page = self.stream.read(&shard.id, &Position::Horizon, 1000).await.expect("a page");
            ids.extend(page.records.iter().map(|record| Record::decode(&record.data).expect("a record").id));
        }
        ids
    }
}

fn record(name: &str, received_at: TimestampMs) -> (ReportId, Bytes) {
    let project = ProjectId::new("shop").expect("a project's name");
    let timestamp = NOW.plus_ms(-60_000).0;
    let report =
        format!(r#"{{"processId":"p","timestamp":{timestamp},"aws":{{"awsRequestId":"{name}","functionName":"f"}}}}"#);
    let id = Report::parse(report.as_bytes()).expect("a report").id(&project);
    let arrival = Arrival {
        project,
        account: AccountId::new("acme").expect("an account's name"),
        region: Region::local(),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("t1").expect("a token's id"),
        received_at,
    };
    (id, pack(&arrival, id, Kind::Report, report.as_bytes()).expect("a record").encode())
}

use ConsumerState::{Paused, Running};

#[tokio::test]
async fn a_store_that_fails_pauses_its_own_consumer_until_it_is_back() {
    let world = World::new();
    world.search_is(Some(PortErrorKind::Unavailable));
    for ms in 0..3 {
        assert_eq!((world.run(NOW.plus_ms(ms)).await, world.states().await), (vec![], [Running, Running]), "a blip");
        world.deliver(NOW.plus_ms(ms)).await;
    }
    let out = vec![(Target::Search, "unavailable")];
    assert_eq!((world.run(NOW.plus_ms(3)).await, world.states().await), (out.clone(), [Paused, Running]));
    let row = world.ledger.outages(None, 10).await.expect("rows").remove(0);
    assert_eq!((row.started_at, row.ended_at, row.failed_batches, row.failed_records), (NOW, None, 3, 6));

    // The first probe comes after 2.5 s and fails; the second after another 5.
    assert_eq!((world.run(NOW.plus_ms(2000)).await, world.states().await), (out.clone(), [Paused, Running]));
    assert_eq!((world.run(NOW.plus_ms(3000)).await, world.states().await), (out.clone(), [Running, Running]));
    world.deliver(NOW.plus_ms(3100)).await;
    assert_eq!((world.run(NOW.plus_ms(4000)).await, world.states().await), (out.clone(), [Paused, Running]));
    assert_eq!((world.run(NOW.plus_ms(8000)).await, world.states().await), (out.clone(), [Paused, Running]));
    assert_eq!((world.run(NOW.plus_ms(9000)).await, world.states().await), (out, [Running, Running]));
    world.search_is(None);
    world.deliver(NOW.plus_ms(9100)).await;
    assert_eq!((world.run(NOW.plus_ms(9200)).await, world.states().await), (vec![], [Running, Running]));
    let rows = world.ledger.outages(None, 10).await.expect("rows");
    assert_eq!(rows.len(), 1, "one outage");
    assert_eq!((rows[0].ended_at, rows[0].failed_batches), (Some(NOW.plus_ms(9100)), 4));
    let left = world.objects.list("outages/", None, 10).await.expect("keys");
    assert_eq!(left, [format!("{WRITTEN}{}.json", rows[0].id)], "what is left is for a ledger that gets lost");
}

/// PEER-BUGS L6: a failing login pauses; and a changed secret is found by the next probe.
#[tokio::test]
async fn missing_rights_pause_at_once_and_are_their_own_cause() {
    let world = World::new();
    world.search_is(Some(PortErrorKind::Denied));
    world.deliver(NOW).await;
    assert_eq!(world.run(NOW.plus_ms(1)).await, [(Target::Search, "denied")]);
    assert_eq!(world.states().await, [Paused, Running]);
    world.search_is(None);
    world.run(NOW.plus_ms(60_000)).await;
    world.deliver(NOW.plus_ms(60_001)).await;
    assert_eq!((world.run(NOW.plus_ms(60_002)).await, world.states().await), (vec![], [Running, Running]));
    assert_eq!(world.ledger.outages(None, 10).await.expect("rows")[0].cause, PortErrorKind::Denied);
}

#[tokio::test]
async fn our_own_mistakes_pause_nothing() {
    let world = World::new();
    for kind in [PortErrorKind::Invalid, PortErrorKind::NotFound, PortErrorKind::Conflict] {
        world.search_is(Some(kind));
        for ms in 0..10 {
            world.deliver(NOW.plus_ms(ms)).await;
        }
        assert_eq!((world.run(NOW.plus_ms(10)).await, world.states().await), (vec![], [Running, Running]), "{kind:?}");
    }
}

#[tokio::test]
async fn a_probe_without_a_batch_ends_the_outage_after_a_while() {
    let world = World::new();
    world.search_is(Some(PortErrorKind::Denied));
    world.deliver(NOW).await;
    world.run(NOW).await;
    world.run(NOW.plus_ms(10_000)).await;
    assert_eq!(world.run(NOW.plus_ms(100_000)).await.len(), 1);
    assert_eq!((world.run(NOW.plus_ms(200_000)).await, world.states().await), (vec![], [Running, Running]));
}

#[tokio::test]
async fn a_consumer_that_a_person_paused_stays_paused() {
    let world = World::new();
    world.control.pause(Target::Ledger).await.expect("paused");
    world.run(NOW).await;
    assert_eq!(world.states().await, [Running, Paused]);
}

/// Killed after it wrote what it intends and before it did it, the next run does it.
#[tokio::test]
async fn what_was_intended_is_done_by_the_next_run() {
    let world = World::new();
    world.search_is(Some(PortErrorKind::Denied));
    world.deliver(NOW).await;
    world.run(NOW).await;
    world.control.resume(Target::Search).await.expect("resumed");
    world.run(NOW.plus_ms(1)).await;
    assert_eq!(world.states().await, [Paused, Running]);

    let key = open_outage_key(&Region::local(), Target::Search);
    let object = world.objects.get(&key).await.expect("read").expect("an outage");
    let mut outage: tributary_custodian::Outage = serde_json::from_slice(&object.bytes).expect("JSON");
    outage.step = Step::ProbingSince(NOW.plus_ms(2));
    let bytes = serde_json::to_vec(&outage).expect("JSON").into();
    world.objects.put(&key, bytes, Condition::Always).await.expect("written");
    world.run(NOW.plus_ms(3)).await;
    assert_eq!(world.states().await, [Running, Running]);
}

/// PEER-BUGS L20: the oldest first, and all of them.
#[tokio::test]
async fn the_overflow_is_drained_in_the_order_of_age() {
    let world = World::new();
    let overflow = world.overflow();
    let names: Vec<String> = (0..250).map(|number| format!("r{number}")).collect();
    for (age_ms, name) in names.iter().enumerate().rev() {
        let received_at = NOW.plus_ms(i64::try_from(age_ms).expect("small"));
        let (id, bytes) = record(name, received_at);
        overflow.keep(id, received_at, &bytes).await.expect("kept");
    }
    let garbage = overflow::object_key(NOW, record("garbage", NOW).0);
    world.objects.put(&garbage, Bytes::from_static(b"garbage"), Condition::Always).await.expect("written");
    let facts = world.custodian().handle(NOW, CHANCE).await;
    assert_eq!((facts.drained, facts.unreadable, facts.errors), (250, 1, vec![]));
    let expected: Vec<ReportId> = names.iter().map(|name| record(name, NOW).0).collect();
    assert_eq!(world.in_stream().await, expected);
    assert_eq!(world.objects.list(overflow::PREFIX, None, 10).await.expect("keys"), [garbage]);
    let facts = world.custodian().handle(NOW, CHANCE).await;
    assert_eq!((facts.drained, facts.unreadable), (0, 1), "what is no record stays, and is told of");
    assert_eq!(world.in_stream().await.len(), 250);
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[tokio::test]
async fn what_waits_for_a_store_for_days_is_kept_until_it_has_caught_up() {
    let world = World::new();
    world.deliver(NOW).await;
    world.search_is(Some(PortErrorKind::Unavailable));
    for ms in 1..=3 {
        world.deliver(NOW.plus_ms(ms)).await;
    }
    let raised = async |ms| world.custodian().handle(NOW.plus_ms(ms), CHANCE).await.retention_raised;
    assert_eq!(raised(10).await, 0);
    assert_eq!(raised(4 * DAY_MS - 1).await, 0, "the oldest unapplied record arrived at NOW at the earliest");
    assert_eq!(world.stream.retention().await.expect("a retention"), STREAM_RETENTION);
    assert_eq!(raised(4 * DAY_MS).await, 1);
    assert_eq!(world.stream.retention().await.expect("a retention"), STREAM_RETENTION_MAX);

    // Somebody lowers it, as a deployment may.
    world.stream.set_retention(STREAM_RETENTION).await.expect("set");
    assert_eq!(raised(5 * DAY_MS).await, 1);
    assert_eq!(world.stream.retention().await.expect("a retention"), STREAM_RETENTION_MAX);

    world.search_is(None);
    world.deliver(NOW.plus_ms(6 * DAY_MS)).await;
    world.control.resume(Target::Search).await.expect("resumed");
    let replay = format!("{}20261127t000000.000z", tributary_model::replays::ACTIVE);
    world.objects.put(&replay, Bytes::from_static(b"0"), Condition::Always).await.expect("a marker");
    assert_eq!(raised(6 * DAY_MS + 1).await, 1, "a replay may read what is old");
    world.objects.delete(&replay).await.expect("deleted");
    assert_eq!(raised(6 * DAY_MS + 2).await, 0);
    assert_eq!(world.stream.retention().await.expect("a retention"), STREAM_RETENTION);
}

/// A worker that dies before it leaves a mark, with its mapping running, does not count as one that has caught up.
#[tokio::test]
async fn what_was_raised_stays_while_a_shard_that_was_behind_says_nothing() {
    let world = World::new();
    let mark = |at: TimestampMs| {
        let mark = Mark { shard: ShardId("0".into()), at, through: Some(at.plus_ms(-5 * DAY_MS)), failure: None };
        Bytes::from(serde_json::to_vec(&mark).expect("JSON"))
    };
    let key = mark_key(&Region::local(), Target::Search, &ShardId("0".into()));
    world.objects.put(&key, mark(NOW), Condition::Always).await.expect("a mark");
    for day in [0, 8, 30] {
        let facts = world.custodian().handle(NOW.plus_ms(day * DAY_MS), CHANCE).await;
        assert_eq!(facts.retention_raised, 1, "day {day}");
    }
}

#[tokio::test]
async fn a_consumer_that_a_person_paused_loses_nothing_either() {
    let world = World::new();
    world.control.pause(Target::Ledger).await.expect("paused");
    world.run(NOW).await;
    world.run(NOW.plus_ms(4 * DAY_MS)).await;
    assert_eq!(world.stream.retention().await.expect("a retention"), STREAM_RETENTION_MAX);
    world.control.resume(Target::Ledger).await.expect("resumed");
    world.run(NOW.plus_ms(4 * DAY_MS + 1)).await;
    assert_eq!(world.stream.retention().await.expect("a retention"), STREAM_RETENTION);
}

#[tokio::test]
async fn the_index_forgets_once_a_day() {
    let world = World::new();
    for ms in [0, 1, DAY_MS, DAY_MS + 1] {
        world.run(NOW.plus_ms(ms)).await;
    }
    assert_eq!(*world.search.expired.lock().expect("no panic"), [NOW.day(), NOW.plus_ms(DAY_MS).day()]);
}

#[tokio::test]
async fn the_copy_of_the_directory_follows_and_holds_up_nothing() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = FileObjects::open(folder.path()).expect("objects");
    let custodian = Custodian { copy: Some(copy.clone()), ..world.custodian() };
    let facts = custodian.handle(NOW, CHANCE).await;
    assert_eq!(facts.failed, 1, "there is no directory yet: {:?}", facts.errors);
    assert_eq!(world.search.expired.lock().expect("no panic").len(), 1, "the next chore is done");
    let directory = ensure_directory(&*world.objects, &*world.keys, "tributary", NOW).await.expect("a directory");
    assert_eq!(custodian.handle(NOW, CHANCE).await.errors, Vec::<String>::new());
    let object = copy.get(OBJECT_KEY).await.expect("read").expect("a copy");
    let copied: Directory = serde_json::from_slice(&object.bytes).expect("JSON");
    assert_eq!(copied, directory);
}

/// A control that keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<(Target, Batches)>>);

#[async_trait]
impl Control for Told {
    async fn pause(&self, _: Target) -> Result<(), PortError> {
        unreachable!("no store is out")
    }

    async fn resume(&self, _: Target) -> Result<(), PortError> {
        unreachable!("no store is out")
    }

    async fn state(&self, _: Target) -> Result<ConsumerState, PortError> {
        Ok(ConsumerState::Running)
    }

    async fn set_batches(&self, consumer: Target, batches: Batches) -> Result<(), PortError> {
        self.0.lock().expect("no panic").push((consumer, batches));
        Ok(())
    }
}

fn setting(name: &str) -> &'static Setting {
    Setting::named(name).expect(name)
}

#[tokio::test]
async fn the_consumers_are_told_what_was_chosen_within_a_minute() {
    let (world, told) = (World::new(), Arc::<Told>::default());
    let custodian = Custodian { control: told.clone(), ..world.custodian() };
    let mut expected = Vec::new();
    for (at_ms, value, search) in [(0, Some(4), 4), (1, Some(5), 4), (60_000, None, 5), (120_000, None, 2)] {
        if at_ms < 2 || at_ms == 120_000 {
            choose(&*world.objects, setting("search.concurrency"), value).await.expect("chosen");
        }
        assert_eq!(custodian.handle(NOW.plus_ms(at_ms), CHANCE).await.errors, Vec::<String>::new());
        expected.push((Target::Search, Batches { records: 500, concurrency: search }));
        expected.push((Target::Ledger, Batches { records: 500, concurrency: 1 }));
    }
    assert_eq!(*told.0.lock().expect("no panic"), expected);
}

#[tokio::test]
async fn settings_that_cannot_be_read_are_told_and_change_nothing() {
    let (world, told) = (World::new(), Arc::<Told>::default());
    let custodian = Custodian { control: told.clone(), ..world.custodian() };
    choose(&*world.objects, setting("ledger.concurrency"), Some(3)).await.expect("chosen");
    custodian.handle(NOW, CHANCE).await;
    let broken = world.objects.put(SETTINGS_KEY, Bytes::from_static(b"{"), Condition::Always).await;
    broken.expect("written");
    let errors = custodian.handle(NOW.plus_ms(60_000), CHANCE).await.errors;
    assert!(errors.len() == 1 && errors[0].contains(SETTINGS_KEY), "{errors:?}");
    let told = told.0.lock().expect("no panic").pop();
    assert_eq!(told, Some((Target::Ledger, Batches { records: 500, concurrency: 3 })));
}

#[tokio::test]
async fn settings_chosen_at_the_same_time_are_all_kept_and_one_out_of_range_is_refused() {
    let world = World::new();
    let objects: &dyn Objects = &*world.objects;
    let (one, two, three) = tokio::join!(
        choose(objects, setting("search.page_bytes"), Some(100_000)),
        choose(objects, setting("ledger.page_rows"), Some(10)),
        choose(objects, setting("stream.page_records"), Some(1000)),
    );
    for written in [one, two, three] {
        written.expect("chosen");
    }
    let refused = choose(objects, setting("ledger.page_rows"), Some(10_001)).await.expect_err("out of range");
    assert_eq!(refused.kind, PortErrorKind::Invalid);
    assert!(refused.to_string().contains("ledger.page_rows is a whole number from 1 to 10000, not 10001"), "{refused}");
    let kept = chosen(objects).await.expect("settings");
    let expected = [("ledger.page_rows", 10), ("search.page_bytes", 100_000), ("stream.page_records", 1000)];
    assert_eq!(kept, expected.map(|(name, value)| (name.to_owned(), value)).into());
}
