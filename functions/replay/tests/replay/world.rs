//! A stream in memory that can be split, and stores on disk, with faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tributary_embedded::keys::KeyFile;
use tributary_embedded::ledger::SqliteLedger;
use tributary_embedded::objects::FileObjects;
use tributary_model::limits::STREAM_RETENTION;
use tributary_model::{
    AccountId, Day, Invocation, Kind, ProjectId, Region, Report, ReportId, RetentionClass, StoreSettings, Target,
    TimestampMs, TokenId, Version,
};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_ports::objects::{Condition, Etag, Object};
use tributary_ports::overflow::Overflow;
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort};
use tributary_ports::stream::{
    Entry, OperatedStream, Page, Position, Reader, SequenceNumber, Shard, ShardId, StreamRecord,
};
use tributary_ports::{Ledger, LiveSettings, Objects, PortError, PortErrorKind, Search, Stream, Upserted};
use tributary_replay::{Mode, Next, Progress, Readers, Replay, Replays, Request, Runner, progress, start};

/// 2026-11-21T18:01:01.873Z
pub(crate) const NOW: TimestampMs = TimestampMs(1_795_284_061_873);
/// When the first record arrived: a day before.
pub(crate) const FIRST: TimestampMs = TimestampMs(NOW.0 - 86_400_000);

/// The stream: pages of what it was given, and the shards that were read.
#[derive(Default)]
pub(crate) struct MemoryStream {
    shards: Mutex<Vec<(Shard, Vec<StreamRecord>, bool)>>,
    /// Kinds of the failures to come.
    failures: Mutex<Vec<PortErrorKind>>,
    /// Shards in the order of their reads.
    pub(crate) reads: Mutex<Vec<String>>,
    /// Every second page is empty, though more follow.
    pub(crate) empty_pages: AtomicUsize,
    /// Readers that were made and not removed.
    pub(crate) readers: Mutex<BTreeSet<String>>,
    me: OnceLock<Weak<Self>>,
}

/// A reader that works while the stream knows it.
struct MemoryReader {
    name: String,
    stream: Arc<MemoryStream>,
}

#[async_trait]
impl Reader for MemoryReader {
    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        if !lock(&self.stream.readers).contains(&self.name) {
            return Err(PortError::new(PortErrorKind::NotFound, "memory.read", "the reader was removed"));
        }
        self.stream.read(shard, from, records_max).await
    }
}

#[async_trait]
impl OperatedStream for MemoryStream {
    async fn reader(&self, name: &str) -> Result<Arc<dyn Reader>, PortError> {
        lock(&self.readers).insert(name.to_owned());
        let stream = self.me.get().and_then(Weak::upgrade).expect("the world has it");
        Ok(Arc::new(MemoryReader { name: name.to_owned(), stream }))
    }

    async fn remove_reader(&self, name: &str) -> Result<(), PortError> {
        lock(&self.readers).remove(name);
        Ok(())
    }

    async fn retention(&self) -> Result<Duration, PortError> {
        Ok(STREAM_RETENTION)
    }

    async fn set_retention(&self, _: Duration) -> Result<(), PortError> {
        Err(PortError::new(PortErrorKind::Invalid, "memory.set_retention", "a replay sets none"))
    }
}

impl MemoryStream {
    pub(crate) fn add_shard(&self, name: &str, parents: &[&str]) {
        let shard = Shard { id: id(name), parents: parents.iter().map(|parent| id(parent)).collect() };
        lock(&self.shards).push((shard, Vec::new(), false));
        for (shard, _, closed) in lock(&self.shards).iter_mut() {
            *closed |= parents.contains(&&*shard.id.0);
        }
    }

    pub(crate) fn put(&self, shard: &str, arrived_at: TimestampMs, data: Bytes) {
        let mut shards = lock(&self.shards);
        let number: usize = shards.iter().map(|(_, records, _)| records.len()).sum();
        let (_, records, _) = shards.iter_mut().find(|(known, ..)| &*known.id.0 == shard).expect("a shard");
        records.push(StreamRecord {
            sequence_number: SequenceNumber((number + 1).to_string().into()),
            partition_key: "key".into(),
            arrived_at,
            data,
        });
    }

    pub(crate) fn fail(&self, kinds: &[PortErrorKind]) {
        *lock(&self.failures) = kinds.to_vec();
    }

    pub(crate) fn forget(&self, shard: &str) {
        lock(&self.shards).retain(|(known, ..)| &*known.id.0 != shard);
    }
}

fn id(name: &str) -> ShardId {
    ShardId(name.into())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Stream for MemoryStream {
    async fn append(&self, _: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        Err(PortError::new(PortErrorKind::Invalid, "memory.append", "a replay appends nothing"))
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        Ok(lock(&self.shards).iter().map(|(shard, ..)| shard.clone()).collect())
    }

    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        if let Some(kind) = lock(&self.failures).pop() {
            return Err(PortError::new(kind, "memory.read", "told to fail"));
        }
        let shards = lock(&self.shards);
        let gone = || PortError::new(PortErrorKind::NotFound, "memory.read", "no such shard");
        let (_, records, closed) = shards.iter().find(|(known, ..)| known.id == *shard).ok_or_else(gone)?;
        lock(&self.reads).push(shard.0.to_string());
        let begin = match from {
            Position::Horizon => 0,
            Position::At(number) => records.partition_point(|record| record.sequence_number < *number),
            Position::After(number) => records.partition_point(|record| record.sequence_number <= *number),
            Position::AtTime(time) => {
                records.iter().position(|record| record.arrived_at >= *time).unwrap_or(records.len())
            }
        };
        let empty = self.empty_pages.load(Ordering::Relaxed) > 0
            && self.empty_pages.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let end = if empty { begin } else { records.len().min(begin + records_max) };
        let ended = *closed && end == records.len();
        let next = records.get(end).map_or_else(
            || records.last().map_or(Position::Horizon, |last| Position::After(last.sequence_number.clone())),
            |next| Position::At(next.sequence_number.clone()),
        );
        let behind_ms = u64::from(end < records.len());
        Ok(Page { records: records[begin..end].to_vec(), next: (!ended).then_some(next), behind_ms })
    }
}

/// A search index in memory that fails as often as it is told to.
#[derive(Default)]
pub(crate) struct MemorySearch {
    documents: Mutex<BTreeMap<ReportId, Document>>,
    /// Kinds of the failures to come.
    pub(crate) failures: Mutex<Vec<PortErrorKind>>,
    /// Reports of which it holds a second copy.
    pub(crate) doubled: Mutex<BTreeSet<ReportId>>,
    /// Reports that it does not take.
    pub(crate) refused: Mutex<BTreeSet<ReportId>>,
}

impl MemorySearch {
    pub(crate) fn documents(&self) -> usize {
        lock(&self.documents).len()
    }

    fn write(&self, document: Document) -> Upserted {
        if lock(&self.refused).contains(&document.invocation.id) {
            return Upserted::Refused("not this one".to_owned());
        }
        let mut documents = lock(&self.documents);
        let there = documents.get(&document.invocation.id).map(|there| there.version);
        match there {
            Some(version) if version == document.version => Upserted::AlreadyThere,
            Some(version) if version > document.version => Upserted::Superseded,
            _ => {
                documents.insert(document.invocation.id, document);
                Upserted::Applied
            }
        }
    }
}

#[async_trait]
impl Search for MemorySearch {
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        if let Some(kind) = lock(&self.failures).pop() {
            return Err(PortError::new(kind, "memory.upsert", "told to fail"));
        }
        Ok(documents.into_iter().map(|document| self.write(document)).collect())
    }

    async fn find(&self, _: &Scope, _: Sort, _: Option<After>, _: usize) -> Result<Vec<Invocation>, PortError> {
        Err(PortError::new(PortErrorKind::Invalid, "memory.find", "a replay does not ask this"))
    }

    async fn get(&self, project: &ProjectId, id: ReportId) -> Result<Option<Document>, PortError> {
        let document = lock(&self.documents).get(&id).cloned();
        Ok(document.filter(|document| document.invocation.project == *project))
    }

    async fn versions(&self, ids: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError> {
        let (documents, doubled) = (lock(&self.documents), lock(&self.doubled));
        let versions = |id: &ReportId| {
            let copies = if doubled.contains(id) { 2 } else { 1 };
            documents.get(id).map_or_else(Vec::new, |document| vec![document.version; copies])
        };
        Ok(ids.iter().map(versions).collect())
    }

    async fn expire(&self, _: Day) -> Result<(), PortError> {
        Err(PortError::new(PortErrorKind::Invalid, "memory.expire", "a replay does not ask this"))
    }

    async fn functions(&self, _: &Scope, _: usize) -> Result<Vec<FunctionSummary>, PortError> {
        Err(PortError::new(PortErrorKind::Invalid, "memory.functions", "a replay does not ask this"))
    }
}

/// Objects of which one call goes wrong: the one that the counter reaches zero at.
pub(crate) struct FaultyObjects {
    objects: Arc<FileObjects>,
    until_fault: AtomicI64,
    calls: AtomicUsize,
    /// Whether that call takes effect all the same.
    takes_effect: bool,
}

impl FaultyObjects {
    /// Whether the call that goes wrong was made.
    pub(crate) fn was_hit(&self) -> bool {
        self.until_fault.load(Ordering::Relaxed) < 0
    }

    /// Calls that were made.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn fault(&self) -> Option<PortError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let hit = self.until_fault.fetch_sub(1, Ordering::Relaxed) == 0;
        hit.then(|| PortError::new(PortErrorKind::Unavailable, "faulty.objects", "told to fail"))
    }
}

#[async_trait]
impl Objects for FaultyObjects {
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Etag, PortError> {
        let fault = self.fault();
        if let Some(fault) = fault {
            if self.takes_effect {
                self.objects.put(key, bytes, condition).await?;
            }
            return Err(fault);
        }
        self.objects.put(key, bytes, condition).await
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        self.fault().map_or(Ok(()), Err)?;
        self.objects.get(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError> {
        self.fault().map_or(Ok(()), Err)?;
        self.objects.list(prefix, after, limit).await
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        self.fault().map_or(Ok(()), Err)?;
        self.objects.delete(key).await
    }
}

pub(crate) struct World {
    pub(crate) stream: Arc<MemoryStream>,
    pub(crate) search: Arc<MemorySearch>,
    pub(crate) ledger: Arc<SqliteLedger>,
    pub(crate) objects: Arc<FileObjects>,
    pub(crate) replays: Replays,
    /// Replays started; each a millisecond after the one before.
    started: AtomicI64,
    _folder: TempDir,
}

impl World {
    /// With the shards `a` and `b`, whose records are read three at a time.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let search = Arc::new(MemorySearch::default());
        let ledger = SqliteLedger::open(&folder.path().join("ledger")).expect("a ledger");
        let objects = FileObjects::open(&folder.path().join("objects")).expect("objects");
        let stream = Arc::new(MemoryStream::default());
        stream.me.set(Arc::downgrade(&stream)).expect("set once");
        ["a", "b"].into_iter().for_each(|shard| stream.add_shard(shard, &[]));
        let keys = KeyFile::open(&folder.path().join("keys")).expect("a key file");
        let replays = Replays {
            streams: BTreeMap::from([(Region::local(), stream.clone() as Arc<dyn OperatedStream>)]),
            readers: Readers::default(),
            search: search.clone(),
            ledger: ledger.clone(),
            objects: objects.clone(),
            keys: keys.clone(),
            overflows: vec![Overflow { objects: objects.clone(), keys }],
            settings: Arc::new(LiveSettings::new(StoreSettings { stream_page_records: 3, ..StoreSettings::default() })),
        };
        Self { stream, search, ledger, objects, replays, started: AtomicI64::new(0), _folder: folder }
    }

    /// From now on objects whose `call`-th call goes wrong.
    pub(crate) fn break_objects(&mut self, call: i64, takes_effect: bool) -> Arc<FaultyObjects> {
        let objects = self.objects.clone();
        let faulty = Arc::new(FaultyObjects {
            objects,
            until_fault: AtomicI64::new(call),
            calls: AtomicUsize::new(0),
            takes_effect,
        });
        self.replays.objects = faulty.clone();
        faulty
    }

    /// Puts good records into `shard`, a second apart from each other.
    pub(crate) fn fill(&self, shard: &str, names: std::ops::Range<u32>) {
        for name in names {
            let at = FIRST.plus_ms(i64::from(name) * 1000);
            self.stream.put(shard, at, record(&format!("{shard}{name}"), at));
        }
    }

    pub(crate) async fn start(&self, request: Request) -> Replay {
        let now = NOW.plus_ms(self.started.fetch_add(1, Ordering::Relaxed));
        start(&self.replays, now, &by(), request).await.expect("started")
    }

    /// Runs `runner` until it has nothing to do; answers when that was.
    pub(crate) async fn run(&self, runner: &mut Runner, mut now: TimestampMs) -> TimestampMs {
        for _ in 0..1000 {
            match runner.step(&self.replays, now).await.map(|stepped| stepped.next) {
                Ok(Next::At(at)) => now = now.max(at).plus_ms(1),
                Ok(Next::Idle) => return now,
                Err(_) => now = now.plus_ms(61_000),
            }
        }
        panic!("a replay does not end");
    }

    /// Lets time pass until the replay is over.
    pub(crate) async fn finish(&self, id: &str) -> Progress {
        let mut runner = Runner::new("one");
        let mut now = NOW.plus_ms(2000);
        for _ in 0..100 {
            now = self.run(&mut runner, now).await.plus_ms(10_000);
            let progress = progress(&self.replays, now, id).await.expect("an answer").expect("a replay");
            if progress.replay.state.is_over() {
                return progress;
            }
        }
        panic!("the replay does not end");
    }

    pub(crate) async fn replay(&self, request: Request) -> Progress {
        let replay = self.start(request).await;
        let progress = self.finish(&replay.id).await;
        adds_up(&progress);
        progress
    }

    /// Whether both stores have the reports of these names, and the search index nothing else of the project.
    pub(crate) async fn has(&self, names: &[String]) -> bool {
        let ids: Vec<ReportId> = names.iter().map(|name| report_id(name)).collect();
        let rows = self.ledger.invocations(&ids).await.expect("rows");
        let count = self.ledger.count_invocations(&project(), TimestampMs(0), NOW).await.expect("a count");
        let mut all = rows.iter().all(Option::is_some)
            && usize::try_from(count).expect("few") == names.len()
            && self.search.documents() == names.len();
        for id in ids {
            all &= self.search.get(&project(), id).await.expect("an answer").is_some();
        }
        all
    }
}

/// Every record that was read has exactly one end in each store.
pub(crate) fn adds_up(progress: &Progress) {
    let counts = &progress.counts;
    for target in &progress.replay.request.targets {
        assert_eq!(counts.read, counts.skipped + counts.of(*target).total(), "{target:?}: {counts:?}");
    }
}

pub(crate) fn request(mode: Mode) -> Request {
    Request {
        mode,
        from: FIRST,
        to: NOW,
        regions: vec![],
        shards: vec![],
        project: None,
        function: None,
        ids: vec![],
        targets: Target::ALL.to_vec(),
        records_per_second: None,
    }
}

pub(crate) fn by() -> TokenId {
    TokenId::new("operator-1").expect("a token's id")
}

pub(crate) fn project() -> ProjectId {
    ProjectId::new("shop").expect("a project's name")
}

pub(crate) fn names(shard: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{shard}{number}")).collect()
}

pub(crate) fn report(name: &str) -> String {
    let timestamp = FIRST.0 - if name == "old" { 5 * 86_400_000 } else { 1000 };
    let function = if name.ends_with('0') { "checkout" } else { "basket" };
    format!(
        r#"{{"processId":"p","timestamp":{timestamp},"aws":{{"awsRequestId":"{name}","functionName":"{function}"}}}}"#
    )
}

pub(crate) fn report_id(name: &str) -> ReportId {
    Report::parse(report(name).as_bytes()).expect("a report").id(&project())
}

pub(crate) fn record(name: &str, received_at: TimestampMs) -> Bytes {
    record_of(name, received_at, RetentionClass::DEFAULT, report(name).as_bytes())
}

pub(crate) fn record_of(name: &str, received_at: TimestampMs, retention: RetentionClass, payload: &[u8]) -> Bytes {
    let arrival = Arrival {
        project: project(),
        account: AccountId::new("acme").expect("an account"),
        region: Region::local(),
        retention,
        token: TokenId::new("t1").expect("a token's id"),
        received_at,
    };
    pack(&arrival, report_id(name), Kind::Report, payload).expect("a record").encode()
}
