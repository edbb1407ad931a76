//! Ports in memory that fail when they are told to, and the records that tests send.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tributary_model::dead_letter::DeadLetter;
use tributary_model::{
    AccountId, Day, Invocation, Kind, Outcome, ProjectId, Region, Report, ReportId, RetentionClass, Target,
    TimestampMs, TokenId, Version,
};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_ports::envelope::open;
use tributary_ports::keys::{DATA_KEY_BYTES, DataKey, PublicKey, Purpose, Signature};
use tributary_ports::ledger::{
    AuditEvent, DeadLetterFilter, DeadLetterRow, InvocationRow, OutageRow, RemovedDeadLetter, Resolution, TokenRow,
};
use tributary_ports::objects::{Condition, Etag, Object};
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort};
use tributary_ports::stream::{Batch, SequenceNumber, ShardId, StreamRecord};
use tributary_ports::{Keys, Ledger, Objects, PortError, PortErrorKind, Search, Upserted};

use crate::{Handled, Sink, Worker};

/// 2026-11-21T18:01:01.873Z
pub(crate) const NOW: TimestampMs = TimestampMs(1_795_284_061_873);

/// What goes wrong in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The call fails and nothing is written.
    Fails(PortErrorKind),
    /// Everything is written, and the answer gets lost.
    AnswerLost,
    /// One answer is missing.
    Short,
    /// There is one answer too many.
    Long,
}

/// Faults for the calls to come, the next one first; none when they are used up.
#[derive(Default)]
struct Faults(Mutex<VecDeque<Fault>>);

impl Faults {
    fn set(&self, faults: &[Fault]) {
        *lock(&self.0) = faults.iter().copied().collect();
    }

    fn next(&self) -> Fault {
        lock(&self.0).pop_front().unwrap_or(Fault::None)
    }

    /// Does `write` unless the next fault forbids it, and answers as the fault wants.
    fn around<A>(&self, write: impl FnOnce() -> A, change: impl FnOnce(&mut A, Fault)) -> Result<A, PortError> {
        let fault = self.next();
        if let Fault::Fails(kind) = fault {
            return Err(PortError::new(kind, "double.call", "told to fail"));
        }
        let mut answer = write();
        if fault == Fault::AnswerLost {
            return Err(PortError::new(PortErrorKind::Unavailable, "double.call", "told to lose its answer"));
        }
        change(&mut answer, fault);
        Ok(answer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic")
}

fn whole(_: &mut (), _: Fault) {}

/// Both stores: writes by id and version, and the calls as they came.
#[derive(Default)]
pub(crate) struct Store {
    written: Mutex<BTreeMap<ReportId, (Version, String)>>,
    refused: Mutex<BTreeMap<(ReportId, Version), String>>,
    dead_letters: Mutex<BTreeMap<String, DeadLetterRow>>,
    calls: Mutex<Vec<usize>>,
    upserts: Faults,
    rows: Faults,
}

impl Store {
    pub(crate) fn upserts_fail(&self, faults: &[Fault]) {
        self.upserts.set(faults);
    }

    pub(crate) fn dead_letter_rows_fail(&self, faults: &[Fault]) {
        self.rows.set(faults);
    }

    /// The store refuses this version, for ever.
    pub(crate) fn refuse(&self, id: ReportId, version: Version) {
        self.refuse_saying(id, version, "the store does not take this");
    }

    pub(crate) fn refuse_saying(&self, id: ReportId, version: Version, detail: &str) {
        lock(&self.refused).insert((id, version), detail.to_owned());
    }

    /// Ids and versions, and what was written, in short.
    pub(crate) fn written(&self) -> BTreeMap<ReportId, (Version, String)> {
        lock(&self.written).clone()
    }

    pub(crate) fn dead_letters(&self) -> Vec<DeadLetterRow> {
        lock(&self.dead_letters).values().cloned().collect()
    }

    /// How many items each upsert had.
    pub(crate) fn calls(&self) -> Vec<usize> {
        lock(&self.calls).clone()
    }

    fn upsert_one(&self, id: ReportId, version: Version, written: String) -> Upserted {
        if let Some(detail) = lock(&self.refused).get(&(id, version)) {
            return Upserted::Refused(detail.clone());
        }
        let mut all = lock(&self.written);
        match all.get(&id).map(|(there, _)| there.cmp(&version)) {
            Some(std::cmp::Ordering::Greater) => Upserted::Superseded,
            Some(std::cmp::Ordering::Equal) => Upserted::AlreadyThere,
            _ => {
                all.insert(id, (version, written));
                Upserted::Applied
            }
        }
    }

    fn upsert_all(&self, items: Vec<(ReportId, Version, String)>) -> Result<Vec<Upserted>, PortError> {
        lock(&self.calls).push(items.len());
        let ids: BTreeSet<ReportId> = items.iter().map(|(id, ..)| *id).collect();
        assert_eq!(ids.len(), items.len(), "one write per id");
        let write = || items.into_iter().map(|(id, version, text)| self.upsert_one(id, version, text)).collect();
        self.upserts.around(write, |answers: &mut Vec<Upserted>, fault| match fault {
            Fault::Short => drop(answers.pop()),
            Fault::Long => answers.push(Upserted::Applied),
            _ => {}
        })
    }
}

fn not_asked<T>() -> Result<T, PortError> {
    Err(PortError::new(PortErrorKind::Invalid, "double.call", "a worker does not ask this"))
}

#[async_trait]
impl Search for Store {
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        let short = |document: Document| {
            let Document { version, invocation, .. } = document;
            (invocation.id, version, format!("{} {}", invocation.request_id, invocation.received_at))
        };
        self.upsert_all(documents.into_iter().map(short).collect())
    }

    async fn find(&self, _: &Scope, _: Sort, _: Option<After>, _: usize) -> Result<Vec<Invocation>, PortError> {
        not_asked()
    }

    async fn get(&self, _: &ProjectId, _: ReportId) -> Result<Option<Document>, PortError> {
        not_asked()
    }

    async fn versions(&self, _: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError> {
        not_asked()
    }

    async fn expire(&self, _: Day) -> Result<(), PortError> {
        not_asked()
    }

    async fn functions(&self, _: &Scope, _: usize) -> Result<Vec<FunctionSummary>, PortError> {
        not_asked()
    }
}

#[async_trait]
impl Ledger for Store {
    async fn upsert_invocations(&self, rows: Vec<InvocationRow>) -> Result<Vec<Upserted>, PortError> {
        let short = |row: InvocationRow| (row.id, row.version, format!("{} {}", row.function, row.received_at));
        self.upsert_all(rows.into_iter().map(short).collect())
    }

    async fn invocations(&self, _: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError> {
        not_asked()
    }

    async fn count_invocations(&self, _: &ProjectId, _: TimestampMs, _: TimestampMs) -> Result<u64, PortError> {
        not_asked()
    }

    async fn upsert_dead_letters(&self, rows: Vec<DeadLetterRow>) -> Result<(), PortError> {
        let write = || {
            let mut all = lock(&self.dead_letters);
            for row in rows {
                let folded = all.entry(row.id.clone()).or_insert_with(|| row.clone());
                let targets: BTreeSet<Target> = folded.targets.iter().chain(&row.targets).copied().collect();
                let first_seen = folded.first_seen.min(row.first_seen);
                *folded = DeadLetterRow { targets: targets.into_iter().collect(), first_seen, ..row };
            }
        };
        self.rows.around(write, whole)
    }

    async fn dead_letters(
        &self,
        _: &DeadLetterFilter,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<DeadLetterRow>, PortError> {
        not_asked()
    }

    async fn dead_letter(&self, _: &str) -> Result<Option<DeadLetterRow>, PortError> {
        not_asked()
    }

    async fn resolve_dead_letters(&self, _: Vec<Resolution>) -> Result<Vec<RemovedDeadLetter>, PortError> {
        not_asked()
    }

    async fn expire_dead_letters(&self, _: TimestampMs, _: usize) -> Result<Vec<RemovedDeadLetter>, PortError> {
        not_asked()
    }

    async fn upsert_outages(&self, _: Vec<OutageRow>) -> Result<(), PortError> {
        not_asked()
    }

    async fn outage(&self, _: &str) -> Result<Option<OutageRow>, PortError> {
        not_asked()
    }

    async fn outages(&self, _: Option<&OutageRow>, _: usize) -> Result<Vec<OutageRow>, PortError> {
        not_asked()
    }

    async fn append_audit_events(&self, _: Vec<AuditEvent>) -> Result<(), PortError> {
        not_asked()
    }

    async fn audit_events(
        &self,
        _: Option<&ProjectId>,
        _: Option<&AuditEvent>,
        _: usize,
    ) -> Result<Vec<AuditEvent>, PortError> {
        not_asked()
    }

    async fn insert_token(&self, _: TokenRow) -> Result<(), PortError> {
        not_asked()
    }

    async fn token(&self, _: &TokenId) -> Result<Option<TokenRow>, PortError> {
        not_asked()
    }

    async fn tokens(&self, _: &ProjectId, _: Option<&TokenRow>, _: usize) -> Result<Vec<TokenRow>, PortError> {
        not_asked()
    }
}

/// Objects.
#[derive(Default)]
pub(crate) struct Shelf {
    objects: Mutex<BTreeMap<String, Bytes>>,
    puts: Faults,
}

impl Shelf {
    pub(crate) fn puts_fail(&self, faults: &[Fault]) {
        self.puts.set(faults);
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        lock(&self.objects).keys().cloned().collect()
    }

    pub(crate) fn object(&self, key: &str) -> Bytes {
        lock(&self.objects)[key].clone()
    }

    pub(crate) fn dead_letter(&self, key: &str) -> DeadLetter {
        serde_json::from_slice(&lock(&self.objects)[key]).expect("a dead letter")
    }
}

/// Data keys, each of which it gives out as its own wrapped form, and which it can refuse to give out.
#[derive(Default)]
pub(crate) struct Keyring(Faults);

impl Keyring {
    pub(crate) fn data_keys_fail(&self, faults: &[Fault]) {
        self.0.set(faults);
    }
}

fn data_key(key: [u8; DATA_KEY_BYTES]) -> DataKey {
    DataKey { plaintext: key.into(), wrapped: Bytes::copy_from_slice(&key) }
}

#[async_trait]
impl Keys for Keyring {
    async fn data_key(&self, _: Purpose) -> Result<DataKey, PortError> {
        self.0.around(|| data_key([7; DATA_KEY_BYTES]), |_, _| {})
    }

    async fn unwrap_key(&self, _: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError> {
        Ok(data_key(wrapped.try_into().expect("a key of this store")))
    }

    async fn sign(&self, _: &str, _: &[u8]) -> Result<Signature, PortError> {
        not_asked()
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        not_asked()
    }

    async fn rotate(&self) -> Result<PublicKey, PortError> {
        not_asked()
    }
}

#[async_trait]
impl Objects for Shelf {
    async fn put(&self, key: &str, bytes: Bytes, _: Condition) -> Result<Etag, PortError> {
        let write = || drop(lock(&self.objects).insert(key.to_owned(), bytes));
        self.puts.around(write, whole).map(|()| Etag("x".into()))
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        let bytes = lock(&self.objects).get(key).cloned();
        Ok(bytes.map(|bytes| Object { bytes, etag: Etag("x".into()) }))
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, PortError> {
        not_asked()
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        not_asked()
    }
}

/// Everything a worker works with.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) search: Arc<Store>,
    pub(crate) ledger: Arc<Store>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) keys: Arc<Keyring>,
}

impl World {
    pub(crate) fn worker(&self, target: Target) -> Worker {
        let sink = match target {
            Target::Search => Sink::Search(self.search.clone()),
            Target::Ledger => Sink::Ledger(self.ledger.clone()),
        };
        let region = Region::new("local").expect("a region");
        let (objects, keys, ledger) = (self.shelf.clone(), self.keys.clone(), self.ledger.clone());
        Worker { target: sink, objects, keys, ledger, region }
    }

    /// The record that lies under an object key.
    pub(crate) async fn kept(&self, key: &str) -> Bytes {
        let sealed = STANDARD.decode(self.shelf.dead_letter(key).sealed_record).expect("base64");
        open(&*self.keys, Purpose::DeadLetter, key, &sealed).await.expect("a record")
    }

    pub(crate) fn store(&self, target: Target) -> &Store {
        match target {
            Target::Search => &self.search,
            Target::Ledger => &self.ledger,
        }
    }
}

/// The records as one batch; a record's number is its position.
pub(crate) fn batch(records: &[Bytes]) -> Batch {
    let record = |(position, data): (usize, &Bytes)| StreamRecord {
        sequence_number: SequenceNumber(position.to_string().into()),
        partition_key: "key".into(),
        arrived_at: NOW,
        data: data.clone(),
    };
    Batch { shard: ShardId("0".into()), records: records.iter().enumerate().map(record).collect() }
}

pub(crate) fn project() -> ProjectId {
    ProjectId::new("shop").expect("a project's name")
}

/// A report of the request `name`, begun a minute before now.
fn report(name: &str) -> String {
    let timestamp = NOW.plus_ms(-60_000).0;
    format!(
        r#"{{"processId":"p","timestamp":{timestamp},"aws":{{"awsRequestId":"{name}","functionName":"checkout"}}}}"#
    )
}

pub(crate) fn id(name: &str) -> ReportId {
    Report::parse(report(name).as_bytes()).expect("a report").id(&project())
}

/// The record of the request `name`, received `late_ms` after the report's own time.
pub(crate) fn record(name: &str, late_ms: i64) -> Bytes {
    record_of(name, late_ms, RetentionClass::DEFAULT, Kind::Report, report(name).as_bytes())
}

pub(crate) fn version(late_ms: i64) -> Version {
    Version::new(tributary_pipeline::normalize::NORMALIZER, received_at(late_ms))
}

fn received_at(late_ms: i64) -> TimestampMs {
    NOW.plus_ms(-60_000 + late_ms)
}

/// A record of any payload under the id of the request `name`.
pub(crate) fn record_of(name: &str, late_ms: i64, retention: RetentionClass, kind: Kind, payload: &[u8]) -> Bytes {
    let arrival = Arrival {
        project: project(),
        account: AccountId::new("acme").expect("an account's name"),
        region: Region::new("local").expect("a region"),
        retention,
        token: TokenId::new("t1").expect("a token's id"),
        received_at: received_at(late_ms),
    };
    pack(&arrival, id(name), kind, payload).expect("a record").encode()
}

/// The outcome of each record, as far as the answer tells: redelivered or not, and how many of each.
pub(crate) fn counted(handled: &Handled) -> Vec<(Outcome, u64)> {
    let outcomes = handled.facts.outcomes;
    Outcome::ALL.into_iter().map(|outcome| (outcome, outcomes.of(outcome))).filter(|(_, count)| *count > 0).collect()
}

/// The positions to redeliver.
pub(crate) fn redelivered(handled: &Handled) -> Vec<usize> {
    handled.redeliver.iter().map(|number| number.0.parse().expect("a position")).collect()
}
