//! The metrics. Names begin with `tributary_`; units are Prometheus' base units (seconds, bytes).
//!
//! What is counted per request finds its counter without an allocation: label values are numbers and static texts.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};
use tributary_model::{Outcome, Outcomes, Target};

/// Seconds. A request waits for one fsync or one search: less than a millisecond to some seconds.
const REQUEST_BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Seconds. A batch has up to 10,000 records, and a store in trouble takes its time.
const BATCH_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

const COLLECTOR: &str = "collector";
const QUERY: &str = "query";

type Seconds = Gauge<f64, AtomicU64>;
type Consumer = [(&'static str, &'static str); 1];

/// All metrics of one process. Facts count into it; the wiring sets the gauges.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    body_bytes: Counter,
    items: Counter,
    collector_duration: Histogram,
    query_duration: Histogram,
    consumers: [ConsumerMetrics; Target::ALL.len()],
    replayed: Family<[(&'static str, &'static str); 3], Counter>,
    findings: Family<[(&'static str, &'static str); 1], Counter>,
    consumer_lag: Family<[(&'static str, String); 2], Seconds>,
    consumer_running: Family<Consumer, Gauge>,
    outage: Family<Consumer, Gauge>,
    overflow_drained: Counter,
    search_documents: Gauge,
    stream_bytes: Gauge,
    directory_age: Seconds,
    log_lines_lost: Counter,
}

/// A label without a value is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RequestLabels {
    function: &'static str,
    route: Option<&'static str>,
    status: u16,
    reason: Option<&'static str>,
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        ("function", self.function).encode(encoder.encode_label())?;
        if let Some(route) = self.route {
            ("route", route).encode(encoder.encode_label())?;
        }
        ("status", self.status).encode(encoder.encode_label())?;
        self.reason.map_or(Ok(()), |reason| ("reason", reason).encode(encoder.encode_label()))
    }
}

/// What is counted of one consumer. Everything stands at zero from the start, so that a rate has a beginning.
struct ConsumerMetrics {
    records: [Counter; Outcome::ALL.len()],
    record_bytes: Counter,
    batches: Counter,
    batch_errors: Counter,
    duration: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tributary");
        let r = &mut registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "The version that runs", version);
        let durations = Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS));
        let duration_of = |function| durations.get_or_create_owned(&[("function", function)]);
        let (collector_duration, query_duration) = (duration_of(COLLECTOR), duration_of(QUERY));
        let help = "Time from a request's arrival to its answer";
        r.register_with_unit("request_duration", help, Unit::Seconds, durations);
        let lost = "Log lines that the log's output refused";
        let age = "Age of the directory that tokens are checked against";
        Self {
            requests: registered(r, "requests", "Requests answered"),
            body_bytes: registered_bytes(r, "request_body", "Bytes of reports' bodies as they were sent"),
            items: registered(r, "items", "Items answered by the read API"),
            collector_duration,
            query_duration,
            consumers: consumers(r),
            replayed: registered(r, "replay_records", "Records of replays, each in one outcome for each target"),
            findings: registered(r, "audit_findings", "Reports that a store lacks, has in an older version, or twice"),
            consumer_lag: registered_seconds(r, "consumer_lag", "How far a consumer is behind the end of a shard"),
            consumer_running: registered(
                r,
                "consumer_running",
                "1 while a consumer takes batches, 0 while it is paused",
            ),
            outage: registered(r, "outage", "1 while a consumer's store is out, as the custodian last saw it"),
            overflow_drained: registered(r, "overflow_drained", "Records that went from the overflow into the stream"),
            search_documents: registered(r, "search_documents", "Documents in the search index"),
            stream_bytes: registered_bytes(r, "stream", "Bytes that the stream keeps"),
            directory_age: registered_seconds(r, "directory_age", age),
            log_lines_lost: registered(r, "log_lines_lost", lost),
            registry,
        }
    }

    pub(crate) fn count_report(&self, status: u16, reason: &'static str, body_bytes: usize, duration_us: u64) {
        let labels = RequestLabels { function: COLLECTOR, route: None, status, reason: Some(reason) };
        self.requests.get_or_create(&labels).inc();
        self.body_bytes.inc_by(as_u64(body_bytes));
        self.collector_duration.observe(seconds(duration_us, 1_000_000.0));
    }

    pub(crate) fn count_query(&self, route: &'static str, status: u16, items: usize, duration_us: u64) {
        let labels = RequestLabels { function: QUERY, route: Some(route), status, reason: None };
        self.requests.get_or_create(&labels).inc();
        self.items.inc_by(as_u64(items));
        self.query_duration.observe(seconds(duration_us, 1_000_000.0));
    }

    pub(crate) fn count_batch(
        &self,
        target: Target,
        outcomes: &Outcomes,
        bytes: usize,
        duration_ms: u64,
        failed: bool,
    ) {
        let Some(consumer) = self.consumers.get(target as usize) else { return };
        for (outcome, records) in Outcome::ALL.into_iter().zip(&consumer.records) {
            records.inc_by(outcomes.of(outcome));
        }
        consumer.record_bytes.inc_by(as_u64(bytes));
        consumer.batches.inc();
        consumer.batch_errors.inc_by(u64::from(failed));
        consumer.duration.observe(seconds(duration_ms, 1000.0));
    }

    pub(crate) fn count_replay(&self, mode: &'static str, target: Target, outcomes: &Outcomes) {
        for outcome in Outcome::ALL.into_iter().filter(|outcome| outcomes.of(*outcome) > 0) {
            let labels = [("mode", mode), ("target", target.as_str()), ("outcome", outcome.as_str())];
            self.replayed.get_or_create(&labels).inc_by(outcomes.of(outcome));
        }
    }

    pub(crate) fn count_findings(&self, mode: &'static str, found: u64) {
        self.findings.get_or_create(&[("mode", mode)]).inc_by(found);
    }

    /// How far a consumer is behind the end of a shard.
    pub fn set_consumer_lag_ms(&self, consumer: Target, shard: &str, lag_ms: u64) {
        let labels = [("consumer", consumer.as_str().to_owned()), ("shard", shard.to_owned())];
        self.consumer_lag.get_or_create(&labels).set(seconds(lag_ms, 1000.0));
    }

    /// Whether a consumer takes batches, or is paused.
    pub fn set_consumer_running(&self, consumer: Target, running: bool) {
        self.consumer_running.get_or_create(&[("consumer", consumer.as_str())]).set(i64::from(running));
    }

    pub(crate) fn set_outage(&self, consumer: Target, is_out: bool) {
        self.outage.get_or_create(&[("consumer", consumer.as_str())]).set(i64::from(is_out));
    }

    pub(crate) fn count_drained(&self, records: usize) {
        self.overflow_drained.inc_by(as_u64(records));
    }

    /// Documents in the search index.
    pub fn set_search_documents(&self, documents: u64) {
        self.search_documents.set(as_i64(documents));
    }

    /// Bytes that the stream keeps.
    pub fn set_stream_bytes(&self, bytes: u64) {
        self.stream_bytes.set(as_i64(bytes));
    }

    /// Age of the directory that tokens are checked against.
    pub fn set_directory_age_ms(&self, age_ms: u64) {
        self.directory_age.set(seconds(age_ms, 1000.0));
    }

    pub(crate) fn log_lines_lost(&self) -> Counter {
        self.log_lines_lost.clone()
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a string does not fail.
            Err(std::fmt::Error) => String::new(),
        }
    }
}

fn consumers(registry: &mut Registry) -> [ConsumerMetrics; Target::ALL.len()] {
    let records: Family<[(&'static str, &'static str); 2], Counter> =
        registered(registry, "records", "Records read from the stream, each in exactly one outcome");
    let bytes: Family<Consumer, Counter> =
        registered_bytes(registry, "record", "Bytes of records read from the stream");
    let batches: Family<Consumer, Counter> = registered(registry, "batches", "Batches given to a worker");
    let errors: Family<Consumer, Counter> =
        registered(registry, "batch_errors", "Batches of which the store did not take all");
    let durations = Family::<Consumer, Histogram, _>::new_with_constructor(|| Histogram::new(BATCH_BUCKETS));
    let of = Target::ALL.map(|target| {
        let consumer = ("consumer", target.as_str());
        ConsumerMetrics {
            records: Outcome::ALL
                .map(|outcome| records.get_or_create_owned(&[consumer, ("outcome", outcome.as_str())])),
            record_bytes: bytes.get_or_create_owned(&[consumer]),
            batches: batches.get_or_create_owned(&[consumer]),
            batch_errors: errors.get_or_create_owned(&[consumer]),
            duration: durations.get_or_create_owned(&[consumer]),
        }
    });
    let help = "Time from a batch's arrival to its answer";
    registry.register_with_unit("batch_duration", help, Unit::Seconds, durations);
    of
}

fn registered<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn registered_bytes<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register_with_unit(name, help, Unit::Bytes, metric.clone());
    metric
}

fn registered_seconds<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a duration beyond 2^53 units is no duration")]
fn seconds(duration: u64, per_second: f64) -> f64 {
    duration as f64 / per_second
}
