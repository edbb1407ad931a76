//! From a report, in whatever form its agent sends it, to an invocation in the normal form.
//!
//! It never fails: what breaks a limit or makes no sense is removed, and listed in the invocation. What each agent does
//! differently is said where it is set right. What a later normalizer can derive better, it derives again from the
//! record, which keeps the report's bytes.

mod errors;
mod event;
mod labels;
mod metrics;
mod origin;
mod plugins;
mod reading;
mod system;
mod traces;

use tributary_model::invocation::Metric;
use tributary_model::json::Value;
use tributary_model::{Invocation, Kind, Record, Report, TimestampMs};

use labels::Facts;
use reading::Reading;
use traces::Span;

/// The version of this normalizer: greater whenever it makes something else of the same report, so that a replay
/// replaces what an earlier one made.
pub const NORMALIZER: u16 = 1;

/// The agents' languages, where they matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Go,
    Java,
    Other,
}

impl Language {
    fn of(agent_runtime: &str) -> Self {
        match agent_runtime {
            "go" => Self::Go,
            "java" => Self::Java,
            _ => Self::Other,
        }
    }
}

/// The parts of a report. What is under a key that this build doesn't know is kept as it is.
struct Parts<'d, 'a> {
    install_method: Option<Value<'d, 'a>>,
    duration: Option<Value<'d, 'a>>,
    timestamp_end: Option<Value<'d, 'a>>,
    coldstart: Option<Value<'d, 'a>>,
    aws: Option<Value<'d, 'a>>,
    environment: Option<Value<'d, 'a>>,
    disk: Option<Value<'d, 'a>>,
    errors: Option<Value<'d, 'a>>,
    metrics: Option<Value<'d, 'a>>,
    labels: Option<Value<'d, 'a>>,
    plugins: Option<Value<'d, 'a>>,
    marks: Option<Value<'d, 'a>>,
    http: Option<Value<'d, 'a>>,
    db: Option<Value<'d, 'a>>,
    event_type: Option<Value<'d, 'a>>,
}

impl<'d, 'a> Parts<'d, 'a> {
    fn of(reading: &mut Reading, report: &'d Report<'a>) -> Self {
        const KEYS: [&str; 18] = [
            "installMethod",
            "duration",
            "timestampEnd",
            "coldstart",
            "aws",
            "environment",
            "disk",
            "errors",
            "custom_metrics",
            "labels",
            "plugins",
            "performanceEntries",
            "httpTraceEntries",
            "dbTraceEntries",
            "eventType",
            // The token's place, which no invocation shows, and what names the report.
            "client_id",
            "processId",
            "timestamp",
        ];
        let unknown = |key: Value<'_, '_>, value: Value<'_, '_>| reading.keep_unknown("", key, value);
        let [
            install_method,
            duration,
            timestamp_end,
            coldstart,
            aws,
            environment,
            disk,
            errors,
            metrics,
            labels,
            plugins,
            marks,
            http,
            db,
            event_type,
            ..,
        ] = report.root().pick_or(KEYS, unknown);
        Self {
            install_method,
            duration,
            timestamp_end,
            coldstart,
            aws,
            environment,
            disk,
            errors,
            metrics,
            labels,
            plugins,
            marks,
            http,
            db,
            event_type,
        }
    }
}

/// Makes the invocation of a report and the record that carried it.
#[must_use]
pub fn normalize(record: &Record, report: &Report<'_>) -> Invocation {
    let mut reading = Reading::default();
    let reading = &mut reading;
    let parts = Parts::of(reading, report);
    let origin = origin::origin(reading, parts.aws);
    let timestamp_end = reading.instant("timestampEnd", parts.timestamp_end);
    let duration_ms = duration_ms(reading, parts.duration, report.timestamp(), timestamp_end);
    let labelled = labels::labels(reading, parts.labels);
    let is_labelled = |label: &str| labelled.iter().any(|own| own == label);
    let coldstart = reading.flag("coldstart", parts.coldstart).unwrap_or_else(|| is_labelled(labels::COLDSTART));
    let system = system::system(reading, parts.environment, origin.memory_limit_mib, coldstart);
    let error = errors::error(reading, parts.errors);
    let timeout = is_labelled(labels::TIMEOUT) || error.as_ref().is_some_and(errors::is_timeout);
    let metrics = metrics::metrics(reading, parts.metrics);
    let event_type = event::event_type(reading, parts.event_type);
    let event_source = event::event_source(&event_type, &metrics, &labelled);
    let span = Span { start: report.timestamp(), duration_ms, language: Language::of(&system.agent.runtime) };
    let mut invocation = Invocation {
        id: record.id,
        project: record.project.clone(),
        account: record.account.clone(),
        region: origin.region.unwrap_or_else(|| record.region.clone()),
        request_id: report.request_id().to_owned(),
        process_id: report.process_id().to_owned(),
        function: origin.function,
        version: origin.version,
        timestamp: report.timestamp(),
        timestamp_end,
        received_at: record.received_at,
        duration_ms,
        coldstart,
        timeout,
        error,
        labels: labelled,
        step_function: event::step_function(&metrics),
        metrics,
        agent: system.agent,
        runtime: system.runtime,
        aws: origin.aws,
        memory: system.memory,
        cpu: system.cpu,
        disk: system::disk(reading, parts.disk),
        host: system.host,
        event_source,
        marks: traces::marks(reading, &span, parts.marks),
        http_traces: traces::http_traces(reading, &span, parts.http),
        db_traces: traces::db_traces(reading, &span, parts.db),
        plugins: plugins::plugins(reading, parts.plugins),
        install_method: reading.text("installMethod", parts.install_method),
        token: record.token.clone(),
        signed: record.kind == Kind::SignedReport,
        removed: std::mem::take(&mut reading.removed),
        removed_count: reading.removed_count,
        unknown: std::mem::take(&mut reading.unknown),
        normalizer: NORMALIZER,
    };
    complete_labels(&mut invocation);
    invocation
}

/// Nanoseconds as milliseconds; without them the difference of the two clock readings (the Java agent leaves them out of
/// a timeout's report, and if its clock ran back).
fn duration_ms(
    reading: &mut Reading,
    duration_ns: Option<Value<'_, '_>>,
    start: TimestampMs,
    end: Option<TimestampMs>,
) -> Option<f64> {
    let measured = reading.amount("duration", duration_ns).map(|ns| ns / 1e6);
    let by_clock = || u32::try_from(end?.0.checked_sub(start.0)?).ok().map(f64::from);
    measured.or_else(by_clock)
}

fn complete_labels(invocation: &mut Invocation) {
    let own = |metric: &Metric| !metric.name.starts_with("@iopipe");
    let facts = Facts {
        coldstart: invocation.coldstart,
        error: invocation.error.is_some(),
        timeout: invocation.timeout,
        custom_metrics: invocation.metrics.iter().any(own),
        event_source: invocation.event_source.as_deref(),
    };
    labels::complete(&mut invocation.labels, &facts);
}
