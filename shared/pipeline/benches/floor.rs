//! What a report costs before any IO: reading its JSON, packing it, the collector's whole path and the worker's.
//!
//! `cargo bench -p tributary-pipeline`. The collector's goal is 55,000 requests of 1 kB a CPU-second, 18 us each, of which
//! this path may take 5; the worker's path may take 10.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails as a test does")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use tributary_model::json::Document;
use tributary_model::{AccountId, Kind, ProjectId, Region, Report, RetentionClass, TimestampMs, TokenId};
use tributary_pipeline::admit::{admit, without_token};
use tributary_pipeline::normalize::normalize;
use tributary_pipeline::pack::{Arrival, pack};
use tributary_pipeline::unpack::unpack;

const CAPTURE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/captures/js-02-warm.report.json"));

/// The captured report, one cut down to about 1 kB, and one grown to about 20 kB with metrics and traces.
fn reports() -> [(&'static str, Bytes); 3] {
    let capture: Value = serde_json::from_str(CAPTURE).expect("JSON");
    let real = capture["request"]["body_text"].as_str().expect("a body").to_owned();
    let mut small: Value = serde_json::from_str(&real).expect("JSON");
    small["plugins"] = json!([]);
    small["environment"]["os"]["cpus"] = json!([]);
    small["environment"]["nodejs"] = json!({});
    small["environment"]["os"]["linux"]["pid"]["self"]["stat_start"] = json!({});
    small["aws"]["logStreamName"] = json!("");
    small["aws"]["traceId"] = json!("");
    let mut large: Value = serde_json::from_str(&real).expect("JSON");
    large["custom_metrics"] = (0..130).map(|at| json!({"name": format!("cart-{at}"), "n": at * 37})).collect();
    large["performanceEntries"] = (0..130).map(mark).collect();
    [("1 kB", small.to_string().into()), ("2 kB", real.into()), ("20 kB", large.to_string().into())]
}

fn mark(at: u32) -> Value {
    let start = f64::from(at) * 1.000_217;
    json!({"name": format!("start:step-{at}"), "startTime": start, "duration": 0, "entryType": "mark", "timestamp": 1_795_284_061_971_u64})
}

fn arrival() -> Arrival {
    Arrival {
        project: ProjectId::new("shop").expect("a project"),
        account: AccountId::new("acme").expect("an account"),
        region: Region::new("eu-west-1").expect("a region"),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("t_bench").expect("a token's id"),
        received_at: TimestampMs(1_795_284_061_993),
    }
}

/// The collector's path of one report, from its decoded body to the bytes that the stream takes.
fn collect(arrival: &Arrival, body: &Bytes) -> Bytes {
    let report = Report::parse(body).expect("a report");
    admit(&report, arrival.received_at).expect("admitted");
    let id = report.id(&arrival.project);
    let bytes = without_token(body, &report, Some("harness-token"), &arrival.token);
    pack(arrival, id, Kind::Report, &bytes).expect("packed").encode()
}

fn floor(criterion: &mut Criterion) {
    let arrival = arrival();
    for (name, body) in reports() {
        let record = collect(&arrival, &body);
        eprintln!("{name}: {} bytes, as a record {}", body.len(), record.len());
        let mut group = criterion.benchmark_group("floor");
        group.throughput(Throughput::Bytes(body.len() as u64));
        let id = |what| BenchmarkId::new(what, name);
        group.bench_function(id("read"), |bencher| bencher.iter(|| Document::parse(black_box(&body)).expect("JSON")));
        let report = Report::parse(&body).expect("a report");
        let report_id = report.id(&arrival.project);
        group.bench_function(id("id"), |bencher| bencher.iter(|| black_box(&report).id(&arrival.project)));
        group.bench_function(id("without_token"), |bencher| {
            bencher.iter(|| without_token(black_box(&body), &report, Some("harness-token"), &arrival.token));
        });
        group.bench_function(id("pack"), |bencher| {
            bencher.iter(|| pack(&arrival, report_id, Kind::Report, black_box(&body)).expect("packed"));
        });
        group.bench_function(id("collect"), |bencher| bencher.iter(|| collect(&arrival, black_box(&body))));
        let unpacked = unpack(&record).expect("a record");
        group.bench_function(id("unpack"), |bencher| bencher.iter(|| unpack(black_box(&record)).expect("a record")));
        let read = Report::parse(&unpacked.report).expect("a report");
        group.bench_function(id("normalize"), |bencher| {
            bencher.iter(|| normalize(&unpacked.record, black_box(&read)));
        });
        group.bench_function(id("work"), |bencher| {
            bencher.iter(|| {
                let unpacked = unpack(black_box(&record)).expect("a record");
                let report = Report::parse(&unpacked.report).expect("a report");
                normalize(&unpacked.record, &report)
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(30);
    targets = floor
}
criterion_main!(benches);
