//! Reports as the published agents send them, most of them captured on the wire: what `up --sample` sends, and what
//! `load` makes its reports of.

use serde_json::Value;
use tributary_model::TimestampMs;

macro_rules! testdata {
    ($folder:literal, $end:literal, [$($name:literal),* $(,)?]) => {
        &[$(($name, include_str!(concat!("../../testdata/", $folder, "/", $name, $end)))),*]
    };
}

/// Name and captured request, in whose body the report is.
static REQUESTS: &[(&str, &str)] = testdata!(
    "captures",
    ".report.json",
    [
        "js-01-cold-start",
        "js-02-warm",
        "js-03-warm-callback-style",
        "js-04-context-succeed",
        "js-05-error-thrown-sync",
        "js-06-error-rejected-promise",
        "js-07-error-callback-string",
        "js-08-error-context-fail-object",
        "js-09-metrics-and-labels",
        "js-10-trace-marks",
        "js-11-http-trace",
        "js-12-event-info-apiGateway",
        "js-12-event-info-kinesis",
        "js-12-event-info-s3",
        "js-12-event-info-sqs",
        "js-13-timeout-window",
        "js-14-unhandled-rejection",
        "js-20-core-only-no-plugins",
        "js-23-config-object",
        "js-24-sam-local",
        "js-30-profiler-cpu",
        "js-33-logger",
        "py-01-cold-start",
        "py-02-warm",
        "py-03-error-raised",
        "py-04-error-reported-by-call",
        "py-05-metrics-and-labels",
        "py-06-trace-marks",
        "py-07-http-trace",
        "py-08-event-info-alb",
        "py-08-event-info-apiGateway",
        "py-08-event-info-kinesis",
        "py-08-event-info-s3",
        "py-08-event-info-sqs",
        "py-09-timeout-window",
        "py-10-step-function",
        "py-30-profiler",
        "py-31-logger",
    ]
);

/// Name and report.
static REPORTS: &[(&str, &str)] = testdata!(
    "reports",
    ".json",
    [
        "java-1.3.0-cold-start",
        "java-1.3.0-warm-error",
        "java-1.3.0-metrics-and-trace",
        "java-1.3.0-timeout",
        "java-1.12.0-event-info",
        "go-0.1.1-cold-start",
        "go-0.1.1-metrics",
        "go-0.1.1-error",
        "go-0.1.1-panic",
        "go-0.1.1-timeout",
    ]
);

/// The captured reports, each with its name.
///
/// # Errors
/// Never for what is compiled in; a test holds that.
pub(crate) fn reports() -> Result<Vec<(&'static str, Value)>, serde_json::Error> {
    let captured = REQUESTS.iter().map(|(name, request)| Ok((*name, body(request)?)));
    let whole = REPORTS.iter().map(|(name, report)| Ok((*name, serde_json::from_str(report)?)));
    captured.chain(whole).collect()
}

/// The captured report of this name, byte for byte as its agent sent it; none if there is none.
pub(crate) fn text(name: &str) -> Option<String> {
    let (_, request) = REQUESTS.iter().find(|(own, _)| *own == name)?;
    body_text(request).ok()
}

fn body(request: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&body_text(request)?)
}

fn body_text(request: &str) -> Result<String, serde_json::Error> {
    let request: Value = serde_json::from_str(request)?;
    Ok(request.pointer("/request/body_text").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Moves the report to begin at `begin`: every instant in it by as much.
pub(crate) fn move_to(report: &mut Value, begin: TimestampMs) {
    let Some(old) = report.get("timestamp").and_then(Value::as_f64) else { return };
    shift(report, begin.0, old);
}

#[expect(clippy::cast_possible_truncation, reason = "instants of this age are exact")]
fn shift(value: &mut Value, begin_ms: i64, old_ms: f64) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_f64() {
                    Some(at) if ["timestamp", "timestampEnd", "load_time"].contains(&name.as_str()) => {
                        *field = Value::from(begin_ms + (at - old_ms) as i64);
                    }
                    _ => shift(field, begin_ms, old_ms),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, begin_ms, old_ms)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use tributary_model::Report;

    use super::*;

    #[test]
    fn every_capture_is_a_report() {
        for (name, report) in reports().expect("JSON") {
            let bytes = serde_json::to_vec(&report).expect("JSON");
            Report::parse(&bytes).expect(name);
        }
    }

    #[test]
    fn all_instants_of_a_report_move_together() {
        let mut report = serde_json::json!({
            "timestamp": 1_795_284_082_689_u64, "timestampEnd": 1_795_284_082_700_u64, "duration": 5,
            "environment": {"agent": {"load_time": 1_795_284_082_408.5}},
            "performanceEntries": [{"timestamp": 1_795_284_082_691_u64, "startTime": 2.9}],
        });
        move_to(&mut report, TimestampMs(2_000_000_000_000));
        let expected = serde_json::json!({
            "timestamp": 2_000_000_000_000_u64, "timestampEnd": 2_000_000_000_011_u64, "duration": 5,
            "environment": {"agent": {"load_time": 1_999_999_999_720_u64}},
            "performanceEntries": [{"timestamp": 2_000_000_000_002_u64, "startTime": 2.9}],
        });
        assert_eq!(report, expected);
    }
}
