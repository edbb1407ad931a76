//! Records through a worker into stores that keep nothing: unpack, normalize, plan and account, without a store.
//!
//! `cargo bench -p tributary-worker`. All work is on one thread, and what is measured is that thread's time on a processor
//! (on Linux; elsewhere wall time), so that other work of the machine does not count: elements per second are records
//! per CPU-second.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails as a test does")]

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use tributary_model::limits::BATCH_RECORDS;
use tributary_model::{
    AccountId, Day, Invocation, Kind, ProjectId, Region, Report, ReportId, RetentionClass, TimestampMs, TokenId,
    Version,
};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_ports::keys::{DataKey, PublicKey, Purpose, Signature};
use tributary_ports::ledger::{
    AuditEvent, DeadLetterFilter, DeadLetterRow, InvocationRow, OutageRow, RemovedDeadLetter, Resolution, TokenRow,
};
use tributary_ports::objects::{Condition, Etag, Object};
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort};
use tributary_ports::stream::{Batch, SequenceNumber, ShardId, StreamRecord};
use tributary_ports::{Keys, Ledger, Objects, PortError, PortErrorKind, Search, Upserted};
use tributary_worker::{Sink, Worker};

const NOW: TimestampMs = TimestampMs(1_795_284_061_873);

/// Takes everything and keeps nothing.
struct Null;

fn not_asked<T>() -> Result<T, PortError> {
    Err(PortError::new(PortErrorKind::Invalid, "null", "a worker does not ask this"))
}

#[async_trait]
impl Search for Null {
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        Ok(vec![Upserted::Applied; black_box(documents).len()])
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
impl Ledger for Null {
    async fn upsert_invocations(&self, rows: Vec<InvocationRow>) -> Result<Vec<Upserted>, PortError> {
        Ok(vec![Upserted::Applied; black_box(rows).len()])
    }

    async fn invocations(&self, _: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError> {
        not_asked()
    }

    async fn count_invocations(&self, _: &ProjectId, _: TimestampMs, _: TimestampMs) -> Result<u64, PortError> {
        not_asked()
    }

    async fn upsert_dead_letters(&self, _: Vec<DeadLetterRow>) -> Result<(), PortError> {
        not_asked()
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

#[async_trait]
impl Objects for Null {
    async fn put(&self, _: &str, _: Bytes, _: Condition) -> Result<Etag, PortError> {
        not_asked()
    }

    async fn get(&self, _: &str) -> Result<Option<Object>, PortError> {
        not_asked()
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, PortError> {
        not_asked()
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        not_asked()
    }
}

#[async_trait]
impl Keys for Null {
    async fn sign(&self, _: &str, _: &[u8]) -> Result<Signature, PortError> {
        not_asked()
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        not_asked()
    }

    async fn rotate(&self) -> Result<PublicKey, PortError> {
        not_asked()
    }

    async fn data_key(&self, _: Purpose) -> Result<DataKey, PortError> {
        not_asked()
    }

    async fn unwrap_key(&self, _: Purpose, _: &[u8]) -> Result<DataKey, PortError> {
        not_asked()
    }
}

const CAPTURE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/captures/js-02-warm.report.json"));

/// A report of about `bytes` bytes: a captured one of the JavaScript agent without what a small host does not have, and
/// with so many metrics that the size is right.
fn report(bytes: usize, number: usize) -> String {
    let capture: Value = serde_json::from_str(CAPTURE).expect("JSON");
    let mut report: Value =
        serde_json::from_str(capture["request"]["body_text"].as_str().expect("a body")).expect("JSON");
    report["aws"]["awsRequestId"] = format!("69e9a2a7-0000-4000-8000-{number:012}").into();
    report["timestamp"] = NOW.plus_ms(-1000).0.into();
    report["plugins"] = json!([]);
    report["environment"]["os"]["cpus"] = json!([]);
    report["environment"]["nodejs"] = json!({});
    report["aws"]["logStreamName"] = json!("");
    let missing = bytes.saturating_sub(report.to_string().len());
    let metric = |at| json!({"name": format!("cart_total_{at}"), "n": at * 7919 % 1000});
    report["custom_metrics"] = (0..missing / 36).map(metric).collect();
    report.to_string()
}

fn batch(bytes: usize) -> Batch {
    let arrival = Arrival {
        project: ProjectId::new("shop").expect("a project's name"),
        account: AccountId::new("acme").expect("an account's name"),
        region: Region::new("local").expect("a region"),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("t1").expect("a token's id"),
        received_at: NOW,
    };
    let record = |number: usize| {
        let report = report(bytes, number);
        let id = Report::parse(report.as_bytes()).expect("a report").id(&arrival.project);
        let record = pack(&arrival, id, Kind::Report, report.as_bytes()).expect("a record");
        StreamRecord {
            sequence_number: SequenceNumber(number.to_string().into()),
            partition_key: id.to_string().into(),
            arrived_at: NOW,
            data: record.encode(),
        }
    };
    Batch { shard: ShardId("0".into()), records: (0..BATCH_RECORDS).map(record).collect() }
}

fn worker(target: Sink) -> Worker {
    let region = Region::new("local").expect("a region");
    Worker { target, objects: Arc::new(Null), keys: Arc::new(Null), ledger: Arc::new(Null), region }
}

/// How long this thread has been on a processor; the kernel counts it at every tick, some 4 ms.
fn cpu_time() -> Duration {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = schedstat.and_then(|text| text.split(' ').next()?.parse().ok());
    ns.map_or_else(|| BEGUN.elapsed(), Duration::from_nanos)
}

fn records(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = criterion.benchmark_group("worker");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5)).sample_size(10);
    for bytes in [1_000, 20_000] {
        let batch = batch(bytes);
        let size = report(bytes, 0).len();
        group.throughput(Throughput::Elements(BATCH_RECORDS as u64));
        for (store, worker) in
            [("search", worker(Sink::Search(Arc::new(Null)))), ("ledger", worker(Sink::Ledger(Arc::new(Null))))]
        {
            group.bench_function(BenchmarkId::new(store, format_args!("{size} bytes")), |bencher| {
                bencher.iter_custom(|iterations| {
                    let begun = cpu_time();
                    for _ in 0..iterations {
                        let handled = runtime.block_on(worker.handle(NOW, &batch));
                        assert!(handled.redeliver.is_empty());
                    }
                    cpu_time().saturating_sub(begun)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, records);
criterion_main!(benches);
