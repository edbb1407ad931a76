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

/// The parts of a report.
#[derive(Default)]
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
    /// In one pass; of several equal keys the last counts. What is under a key that this build doesn't know is kept.
    fn of(reading: &mut Reading, report: &'d Report<'a>) -> Self {
        let mut parts = Self::default();
        for (key, value) in report.root().entries() {
            let part = match key.as_str().as_deref() {
                Some("installMethod") => &mut parts.install_method,
                Some("duration") => &mut parts.duration,
                Some("timestampEnd") => &mut parts.timestamp_end,
                Some("coldstart") => &mut parts.coldstart,
                Some("aws") => &mut parts.aws,
                Some("environment") => &mut parts.environment,
                Some("disk") => &mut parts.disk,
                Some("errors") => &mut parts.errors,
                Some("custom_metrics") => &mut parts.metrics,
                Some("labels") => &mut parts.labels,
                Some("plugins") => &mut parts.plugins,
                Some("performanceEntries") => &mut parts.marks,
                Some("httpTraceEntries") => &mut parts.http,
                Some("dbTraceEntries") => &mut parts.db,
                Some("eventType") => &mut parts.event_type,
                // The token's place, which no invocation shows, and what names the report.
                Some("client_id" | "processId" | "timestamp") => continue,
                _ => {
                    reading.keep_unknown("", key, value);
                    continue;
                }
            };
            *part = Some(value);
        }
        parts
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
    let event_type = reading.text("eventType", parts.event_type);
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tributary_model::limits::{
        ERROR_MESSAGE_BYTES_MAX, ERROR_NAME_BYTES_MAX, ERROR_STACK_BYTES_MAX, LABELS_MAX, METRICS_MAX, PLUGINS_MAX,
        TRACE_ENTRIES_MAX, UNKNOWN_BYTES_MAX, URL_BYTES_MAX,
    };
    use tributary_model::record::Codec;
    use tributary_model::{AccountId, ProjectId, Region, RetentionClass, TokenId};

    use super::*;

    const AT: TimestampMs = TimestampMs(1_795_284_061_873);

    fn normalized(kind: Kind, fields: &str) -> Invocation {
        let text = format!(r#"{{"processId":"p","timestamp":{},{fields}}}"#, AT.0);
        let report = Report::parse(text.as_bytes()).expect("a report");
        let project = ProjectId::new("shop").expect("a project");
        let record = Record {
            kind,
            codec: Codec::Plain,
            received_at: AT.plus_ms(50),
            retention: RetentionClass::DEFAULT,
            id: report.id(&project),
            project,
            account: AccountId::new("acme").expect("an account"),
            region: Region::new("eu-central-1").expect("a region"),
            token: TokenId::new("t_1").expect("a token's id"),
            payload_bytes: 0,
            payload: Bytes::new(),
        };
        normalize(&record, &report)
    }

    const AWS: &str = r#""aws":{"awsRequestId":"r"}"#;

    fn removed(fields: &str) -> (Invocation, Vec<String>) {
        let invocation = normalized(Kind::Report, &format!("{AWS},{fields}"));
        let removed =
            invocation.removed.iter().map(|removed| format!("{} {}", removed.field, removed.reason)).collect();
        (invocation, removed)
    }

    #[test]
    fn lists_end_at_their_limits_and_say_so() {
        let items = |item: &str, count: usize| vec![item; count].join(",");
        for (key, item, limit) in [
            ("labels", "\"x\"", LABELS_MAX),
            ("custom_metrics", "{\"name\":\"x\",\"n\":1}", METRICS_MAX),
            ("plugins", "{\"name\":\"x\"}", PLUGINS_MAX),
            ("performanceEntries", "{\"name\":\"start:x\"}", TRACE_ENTRIES_MAX),
            ("httpTraceEntries", "{\"request\":{}}", TRACE_ENTRIES_MAX),
            ("dbTraceEntries", "{\"request\":{}}", TRACE_ENTRIES_MAX),
        ] {
            let (full, none) = removed(&format!("\"{key}\":[{}]", items(item, limit)));
            assert_eq!((full.removed_count, none), (0, vec![]), "{key}");
            let (cut, one) = removed(&format!("\"{key}\":[{}]", items(item, limit + 3)));
            assert_eq!(
                (cut.removed_count, one),
                (3, vec![format!("{key} has {} items; the limit is {limit}", limit + 3)])
            );
        }
    }

    #[test]
    fn long_texts_are_cut_at_whole_characters() {
        let text = "é".repeat(ERROR_STACK_BYTES_MAX);
        let (invocation, removed) = removed(&format!(
            r#""errors":{{"name":"{text}","message":"{text}","stack":"x{text}"}},"httpTraceEntries":[{{"request":{{"url":"{text}"}}}}]"#
        ));
        let error = invocation.error.expect("an error");
        assert_eq!(error.name.len(), ERROR_NAME_BYTES_MAX);
        assert_eq!(error.message.len(), ERROR_MESSAGE_BYTES_MAX);
        assert_eq!(error.stack.len(), ERROR_STACK_BYTES_MAX - 1, "the last character would be half");
        assert_eq!(invocation.http_traces[0].url.len(), URL_BYTES_MAX);
        assert_eq!(removed[2], "errors.stack has 131073 bytes; cut to the limit of 65536");
        assert_eq!(invocation.removed_count, 4);
    }

    #[test]
    fn unknown_keys_are_kept_within_their_bytes() {
        let (invocation, removed) = removed(&format!(r#""big":"{}","small":1"#, "x".repeat(UNKNOWN_BYTES_MAX)));
        assert_eq!(invocation.unknown.keys().collect::<Vec<_>>(), ["small"]);
        assert_eq!(removed, ["big has 65541 bytes; all unknown keys together may have 65536"]);
    }

    #[test]
    fn the_token_and_its_place_are_nowhere() {
        let (invocation, _) = removed(r#""client_id":{"deep":"secret"},"client_id":"secret""#);
        assert!(!serde_json::to_string(&invocation).expect("JSON").contains("secret"));
    }

    #[test]
    fn the_region_is_that_of_the_arn_else_the_records() {
        let of = |arn: &str| {
            let fields = format!(r#""aws":{{"awsRequestId":"r","invokedFunctionArn":"{arn}"}}"#);
            let invocation = normalized(Kind::SignedReport, &fields);
            (invocation.region.to_string(), invocation.aws.account_id, invocation.function, invocation.signed)
        };
        let expected = ("ap-south-1".to_owned(), "123456789012".to_owned(), "checkout".to_owned(), true);
        assert_eq!(of("arn:aws:lambda:ap-south-1:123456789012:function:checkout:7"), expected);
        assert_eq!(of("arn:aws:lambda:NOWHERE!:123456789012:function:checkout").0, "eu-central-1");
        assert_eq!(of("unknown"), ("eu-central-1".to_owned(), String::new(), String::new(), true));
    }

    #[test]
    fn a_missing_duration_is_the_clocks() {
        let of = |fields: &str| removed(fields).0.duration_ms;
        let end = AT.0 + 2851;
        assert_eq!(of(r#""duration":1500000"#), Some(1.5));
        assert_eq!(of(&format!(r#""timestampEnd":{end}"#)), Some(2851.0));
        assert_eq!(of(&format!(r#""timestampEnd":{end},"duration":"0""#)), Some(0.0));
        assert_eq!(of(&format!(r#""timestampEnd":{}"#, AT.0 - 1)), None, "the clock ran back");
        assert_eq!(of(r#""duration":-5"#), None);
    }

    #[test]
    fn a_timeout_is_known_by_its_label_or_its_error() {
        let of = |fields: &str| removed(fields).0.timeout;
        assert!(of(r#""labels":["@iopipe/timeout"]"#));
        for (name, message) in [
            ("Error", "Timeout Exceeded."),
            ("TimeoutError", "Timeout Exceeded."),
            ("errorString", "Timeout Exceeded"),
            ("com.iopipe.IOpipeTimeOutException", "Execution timed out."),
        ] {
            assert!(of(&format!(r#""errors":{{"name":"{name}","message":"{message}"}}"#)), "{name}");
        }
        assert!(!of(r#""errors":{"name":"TimeoutError","message":"the database did not answer"}"#));
    }
}
