//! Realistic reports: captured ones of the published agents, each made into an invocation of one of a dozen functions.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tributary_model::{Reason, Rejection, Report};

use super::draft::Draft;
use super::size;
use crate::captures;

/// Of a hundred reports, how many are made of a capture: 6 cold starts, 4 errors and timeouts, the rest warm, half of
/// these with traces or with what the triggering event was.
const CAPTURES: [(u32, &str); 15] = [
    (25, "js-02-warm"),
    (20, "py-02-warm"),
    (3, "js-01-cold-start"),
    (3, "py-01-cold-start"),
    (1, "js-05-error-thrown-sync"),
    (1, "js-13-timeout-window"),
    (1, "py-03-error-raised"),
    (1, "py-09-timeout-window"),
    (8, "js-10-trace-marks"),
    (8, "js-11-http-trace"),
    (7, "py-07-http-trace"),
    (8, "js-12-event-info-apiGateway"),
    (5, "js-12-event-info-sqs"),
    (4, "py-08-event-info-s3"),
    (5, "py-08-event-info-kinesis"),
];

/// The functions and how long half of their invocations last at least, in milliseconds.
const FUNCTIONS: [(&str, u64); 12] = [
    ("checkout", 180),
    ("cart", 25),
    ("search-products", 90),
    ("product-page", 45),
    ("sign-in", 60),
    ("send-receipt", 350),
    ("resize-image", 900),
    ("import-orders", 2500),
    ("stock-sync", 400),
    ("payment-webhook", 120),
    ("recommendations", 75),
    ("nightly-report", 6000),
];

/// The spread of the log-normal durations: about 95 of 100 lie between a third and three times the median.
const DURATION_SIGMA: f64 = 0.55;
const DURATION_RANGE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(29));

const LABELS: [&str; 6] = ["vip", "beta", "canary", "retried", "eu-customer", "mobile"];

/// Makes a report as JSON that differs from others made with `random`, of about `size` bytes or as long as it comes.
///
/// # Errors
/// If a capture is no report.
pub(super) fn make(token: &str, size: Option<usize>, random: &mut StdRng) -> Result<String, Rejection> {
    let mut draft = Draft::new(captured(random)?);
    let (function, median_ms) = FUNCTIONS.choose(random).copied().unwrap_or(("checkout", 100));
    draft.set(&["client_id"], &json(token))?;
    name(&mut draft, function)?;
    time(&mut draft, duration(Duration::from_millis(median_ms), random))?;
    draft.append(&["labels"], &labels(random))?;
    draft.append(&["custom_metrics"], &metrics(random))?;
    if let Some(size) = size {
        size::fit(&mut draft, size, random)?;
    }
    Ok(draft.into_text())
}

fn captured(random: &mut StdRng) -> Result<String, Rejection> {
    let broken = |detail: String| Rejection::new(Reason::Malformed, detail);
    let (_, name) = CAPTURES.choose_weighted(random, |(share, _)| *share).map_err(|error| broken(error.to_string()))?;
    captures::text(name).ok_or_else(|| broken(format!("there is no capture {name}")))
}

fn name(draft: &mut Draft, function: &str) -> Result<(), Rejection> {
    draft.set(&["aws", "functionName"], &json(function))?;
    draft.set(&["aws", "logGroupName"], &json(&format!("/aws/lambda/{function}")))?;
    let arn = format!("arn:aws:lambda:us-west-2:123456789012:function:{function}");
    draft.set(&["aws", "invokedFunctionArn"], &json(&arn))
}

fn time(draft: &mut Draft, duration: Duration) -> Result<(), Rejection> {
    draft.set(&["duration"], &duration.as_nanos().to_string())?;
    let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let ended = Report::parse(draft.text().as_bytes())?.timestamp().plus_ms(ms);
    draft.set(&["timestampEnd"], &ended.0.to_string())
}

/// One label in three reports, two in one of nine.
fn labels(random: &mut StdRng) -> Vec<String> {
    let count = usize::from(random.random_ratio(1, 3)) + usize::from(random.random_ratio(1, 9));
    LABELS.choose_multiple(random, count).map(|label| json(label)).collect()
}

/// Custom metrics in half of the reports.
fn metrics(random: &mut StdRng) -> Vec<String> {
    if random.random() {
        return Vec::new();
    }
    let cents: u32 = random.random_range(100..50_000);
    let customer: u32 = random.random_range(1..100_000);
    vec![
        format!(r#"{{"name":"cart_total","n":{}.{:02}}}"#, cents / 100, cents % 100),
        format!(r#"{{"name":"items","n":{}}}"#, random.random_range(1..12)),
        format!(r#"{{"name":"customer","s":"c-{customer:06}"}}"#),
    ]
}

/// A duration around a median, log-normal (Box and Muller's transform of two uniform numbers).
fn duration(median: Duration, random: &mut StdRng) -> Duration {
    let (radius, angle): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    let normal = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
    median.mul_f64((DURATION_SIGMA * normal).exp()).clamp(DURATION_RANGE.0, DURATION_RANGE.1)
}

/// A text as JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use tributary_model::json::Value;

    use super::*;

    fn texts(count: usize, size: Option<usize>) -> Vec<String> {
        let mut random = StdRng::seed_from_u64(11);
        (0..count).map(|_| make("a.b.c", size, &mut random).expect("a report")).collect()
    }

    #[test]
    fn a_report_is_an_invocation_of_one_function_throughout() {
        for text in texts(200, None) {
            let report = Report::parse(text.as_bytes()).expect("a report");
            let field = |path: &[&str]| report.root().path(path).and_then(Value::as_str).expect("a text");
            let function = field(&["aws", "functionName"]);
            assert!(FUNCTIONS.iter().any(|(name, _)| *name == function), "{function}");
            assert!(field(&["aws", "invokedFunctionArn"]).ends_with(&format!(":{function}")));
            assert_eq!(field(&["aws", "logGroupName"]), format!("/aws/lambda/{function}"));
            assert_eq!(report.client_id().as_deref(), Some("a.b.c"));
        }
    }

    #[test]
    fn the_end_is_the_beginning_and_the_duration() {
        for text in texts(200, Some(4000)) {
            let report = Report::parse(text.as_bytes()).expect("a report");
            let number = |key| report.root().get(key).and_then(Value::as_f64).expect("a number");
            let lasted_ms = (number("duration") / 1e6).floor();
            assert!((1.0..=29_000.0).contains(&lasted_ms));
            assert_eq!(number("timestampEnd") - number("timestamp"), lasted_ms);
        }
    }

    #[test]
    fn functions_cold_starts_errors_labels_and_metrics_vary() {
        let texts = texts(1000, None);
        let holds = |part: &str| texts.iter().filter(|text| text.contains(part)).count();
        for (function, _) in FUNCTIONS {
            assert!(holds(&format!("\"{function}\"")) > 40, "{function}");
        }
        assert!((30..100).contains(&(holds("\"coldstart\":true") + holds("\"coldstart\": true"))), "cold starts");
        assert!((20..70).contains(&holds("\"stack\"")), "errors");
        let labelled: usize = LABELS.iter().map(|label| holds(&format!("\"{label}\""))).sum();
        assert!((350..550).contains(&labelled), "labels");
        assert!((400..600).contains(&holds("cart_total")), "metrics");
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "each is another");
    }

    #[test]
    fn durations_lie_around_the_median_and_far_above_it() {
        let mut random = StdRng::seed_from_u64(3);
        let mut drawn: Vec<Duration> = (0..1000).map(|_| duration(Duration::from_millis(100), &mut random)).collect();
        drawn.sort();
        assert!((90..110).contains(&drawn[500].as_millis()), "{:?}", drawn[500]);
        assert!((200..300).contains(&drawn[950].as_millis()), "{:?}", drawn[950]);
    }
}
