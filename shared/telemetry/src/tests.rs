use std::io;
use std::sync::{Arc, Mutex};

use tributary_model::limits::{LOG_BUFFER_BYTES, LOG_TEXT_BYTES_MAX};
use tributary_model::{Outcome, Outcomes, ProjectId, Target};

use super::*;

const NOW: TimestampMs = TimestampMs(1_795_284_061_873);

/// Keeps what is written; refuses everything once told to.
#[derive(Clone, Default)]
struct Paper {
    written: Arc<Mutex<Vec<u8>>>,
    full: Arc<Mutex<bool>>,
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.written.lock().expect("lock").clone()).expect("UTF-8")
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if *self.full.lock().expect("lock") {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.written.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn telemetry(threshold: Option<Level>) -> (Telemetry, Paper) {
    let paper = Paper::default();
    (Telemetry::new(threshold, Box::new(paper.clone())), paper)
}

fn accepted() -> CollectorFacts {
    let project = Some(ProjectId::new("shop").expect("a project's name"));
    CollectorFacts { status: 200, reason: "accepted", project, body_bytes: 1024, duration_us: 4200, error: None }
}

fn refused(status: u16, reason: &'static str) -> CollectorFacts {
    CollectorFacts { status, reason, project: None, body_bytes: 10, duration_us: 100, error: None }
}

fn batch(outcomes: Outcomes, error: Option<&str>) -> WorkerFacts {
    let records = usize::try_from(outcomes.total()).expect("small");
    let error = error.map(str::to_owned);
    WorkerFacts { target: Target::Search, shard: "0".into(), outcomes, records, bytes: 900, duration_ms: 12, error }
}

#[test]
fn a_line_holds_the_time_the_level_the_event_and_the_facts() {
    let (telemetry, paper) = telemetry(Some(Level::Info));
    telemetry.emit(NOW, &accepted());
    telemetry.emit(NOW, &refused(401, "unauthorized"));
    telemetry.emit(NOW, &batch([Outcome::Applied].into_iter().collect(), None));
    telemetry.emit(NOW, &QueryFacts { route: "/v1/functions", status: 200, items: 3, duration_us: 900, error: None });
    telemetry.flush();
    let expected = concat!(
        r#"{"at":"2026-11-21T18:01:01.873Z","level":"info","event":"collector.request","status":200,"#,
        r#""reason":"accepted","project":"shop","body_bytes":1024,"duration_us":4200}"#,
        "\n",
        r#"{"at":"2026-11-21T18:01:01.873Z","level":"warn","event":"collector.request","status":401,"#,
        r#""reason":"unauthorized","body_bytes":10,"duration_us":100}"#,
        "\n",
        r#"{"at":"2026-11-21T18:01:01.873Z","level":"info","event":"worker.batch","target":"search","shard":"0","#,
        r#""applied":1,"already_there":0,"superseded":0,"expired":0,"erased":0,"dead_lettered":0,"redelivered":0,"#,
        r#""records":1,"bytes":900,"duration_ms":12}"#,
        "\n",
        r#"{"at":"2026-11-21T18:01:01.873Z","level":"info","event":"query.request","route":"/v1/functions","#,
        r#""status":200,"items":3,"duration_us":900}"#,
        "\n",
    );
    assert_eq!(paper.text(), expected);
}

#[test]
fn a_line_can_hold_its_metrics_for_cloudwatch() {
    let paper = Paper::default();
    let telemetry = Telemetry::new(Some(Level::Info), Box::new(paper.clone())).with_embedded_metrics();
    telemetry.emit(NOW, &accepted());
    telemetry.emit(NOW, &batch([Outcome::Applied].into_iter().collect(), None));
    telemetry.emit(NOW, &QueryFacts { route: "/v1/functions", status: 200, items: 3, duration_us: 900, error: None });
    telemetry.flush();
    let text = paper.text();
    assert!(text.contains(
        r#","_aws":{"Timestamp":1795284061873,"CloudWatchMetrics":[{"Namespace":"Tributary","Dimensions":[["route"]],"Metrics":[{"Name":"items","Unit":"Count"},{"Name":"duration_us","Unit":"Microseconds"}]}]},"route":"#
    ), "{text}");
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert!(line[directive["Dimensions"][0][0].as_str().expect("a name")].is_string(), "{line}");
        let metrics = directive["Metrics"].as_array().expect("a list");
        assert!((2..=100).contains(&metrics.len()), "{line}");
        for metric in metrics {
            assert!(line[metric["Name"].as_str().expect("a name")].is_number(), "{metric} of {line}");
        }
    }
}

#[test]
fn lines_below_the_threshold_are_counted_and_not_written() {
    let (telemetry, paper) = telemetry(Some(Level::Error));
    telemetry.emit(NOW, &accepted());
    telemetry.emit(NOW, &refused(503, "unavailable"));
    telemetry.flush();
    assert_eq!(paper.text().lines().count(), 1);
    assert!(paper.text().contains(r#""level":"error""#), "{}", paper.text());
    let text = telemetry.prometheus();
    assert!(
        text.contains(r#"tributary_requests_total{function="collector",status="200",reason="accepted"} 1"#),
        "{text}"
    );
}

#[test]
fn nothing_is_written_without_a_threshold() {
    let (telemetry, paper) = telemetry(None);
    telemetry.emit(NOW, &refused(503, "unavailable"));
    drop(telemetry);
    assert_eq!(paper.text(), "");
}

#[test]
fn a_batch_matters_by_its_worst_outcome() {
    let level = |outcomes: &[Outcome], error| batch(outcomes.iter().copied().collect(), error).level();
    assert_eq!(level(&[Outcome::Applied, Outcome::Superseded], None), Level::Info);
    assert_eq!(level(&[Outcome::Applied, Outcome::DeadLettered], None), Level::Warn);
    assert_eq!(level(&[Outcome::Redelivered], None), Level::Warn);
    assert_eq!(level(&[Outcome::Redelivered], Some("search.upsert: unavailable: gone")), Level::Error);
}

#[test]
fn record_counters_add_up_to_the_records_read() {
    let (telemetry, _) = telemetry(None);
    telemetry.emit(NOW, &batch(Outcome::ALL.into_iter().chain([Outcome::Applied]).collect(), None));
    telemetry.emit(NOW, &batch([Outcome::Applied].into_iter().collect(), Some("gone")));
    let text = telemetry.prometheus();
    for (outcome, count) in Outcome::ALL.map(|outcome| (outcome, if outcome == Outcome::Applied { 3 } else { 1 })) {
        let line = format!("tributary_records_total{{consumer=\"search\",outcome=\"{}\"}} {count}\n", outcome.as_str());
        assert!(text.contains(&line), "{line} in {text}");
    }
    for line in [
        "tributary_records_total{consumer=\"ledger\",outcome=\"applied\"} 0\n",
        "tributary_record_bytes_total{consumer=\"search\"} 1800\n",
        "tributary_batches_total{consumer=\"search\"} 2\n",
        "tributary_batch_errors_total{consumer=\"search\"} 1\n",
        "tributary_batch_duration_seconds_count{consumer=\"search\"} 2\n",
        "tributary_batch_duration_seconds_bucket{le=\"0.01\",consumer=\"search\"} 0\n",
        "tributary_batch_duration_seconds_bucket{le=\"0.025\",consumer=\"search\"} 2\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn requests_are_counted_by_function_status_and_reason() {
    let (telemetry, _) = telemetry(None);
    telemetry.emit(NOW, &accepted());
    telemetry.emit(NOW, &accepted());
    telemetry.emit(NOW, &refused(413, "too-large"));
    telemetry.emit(NOW, &QueryFacts { route: "/v1/invocations", status: 400, items: 7, duration_us: 900, error: None });
    let text = telemetry.prometheus();
    for line in [
        "tributary_requests_total{function=\"collector\",status=\"200\",reason=\"accepted\"} 2\n",
        "tributary_requests_total{function=\"collector\",status=\"413\",reason=\"too-large\"} 1\n",
        "tributary_requests_total{function=\"query\",route=\"/v1/invocations\",status=\"400\"} 1\n",
        "tributary_request_body_bytes_total 2058\n",
        "tributary_items_total 7\n",
        "tributary_request_duration_seconds_count{function=\"collector\"} 3\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn gauges_show_what_was_set_last() {
    let (telemetry, _) = telemetry(None);
    let metrics = telemetry.metrics();
    metrics.set_consumer_lag_ms(Target::Ledger, "3", 99_000);
    metrics.set_consumer_lag_ms(Target::Ledger, "3", 1500);
    metrics.set_consumer_running(Target::Search, true);
    metrics.set_search_documents(46);
    metrics.set_stream_bytes(1 << 40);
    metrics.set_directory_age_ms(60_500);
    let text = telemetry.prometheus();
    for line in [
        "tributary_consumer_lag_seconds{consumer=\"ledger\",shard=\"3\"} 1.5\n",
        "tributary_consumer_running{consumer=\"search\"} 1\n",
        "tributary_search_documents 46\n",
        "tributary_stream_bytes 1099511627776\n",
        "tributary_directory_age_seconds 60.5\n",
        concat!("tributary_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1\n"),
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let lines_with = |start| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(lines_with("# HELP "), lines_with("# TYPE "));
}

#[test]
fn a_full_buffer_is_written_before_anyone_asks() {
    let (telemetry, paper) = telemetry(Some(Level::Info));
    let mut emitted = 0;
    while paper.text().is_empty() {
        telemetry.emit(NOW, &accepted());
        emitted += 1;
        assert!(emitted <= LOG_BUFFER_BYTES, "nothing was written");
    }
    assert_eq!(paper.text().lines().count(), emitted);
    assert!(paper.text().len() >= LOG_BUFFER_BYTES);
}

#[test]
fn lines_that_the_output_refuses_are_counted_as_lost_and_later_ones_are_written() {
    let (telemetry, paper) = telemetry(Some(Level::Info));
    *paper.full.lock().expect("lock") = true;
    telemetry.emit(NOW, &accepted());
    telemetry.emit(NOW, &accepted());
    telemetry.flush();
    assert!(telemetry.prometheus().contains("tributary_log_lines_lost_total 2\n"));
    *paper.full.lock().expect("lock") = false;
    telemetry.emit(NOW, &accepted());
    drop(telemetry);
    assert_eq!(paper.text().lines().count(), 1);
}

#[test]
fn a_long_error_is_cut_in_the_log_at_a_character() {
    let (telemetry, paper) = telemetry(Some(Level::Info));
    let long = format!("x{}", "ü".repeat(LOG_TEXT_BYTES_MAX));
    telemetry.emit(NOW, &batch(Outcomes::default(), Some(&long)));
    telemetry.flush();
    let line: serde_json::Value = serde_json::from_str(&paper.text()).expect("one line of JSON");
    let error = line["error"].as_str().expect("a text");
    assert!(error.ends_with("ü...") && error.len() <= LOG_TEXT_BYTES_MAX + 3, "{} bytes", error.len());
}

#[test]
fn lines_stay_whole_when_many_threads_write() {
    let (telemetry, paper) = telemetry(Some(Level::Info));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| telemetry.emit(NOW, &accepted())));
        }
    });
    telemetry.flush();
    let text = paper.text();
    assert_eq!(text.lines().count(), 4000);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(telemetry.prometheus().contains("status=\"200\",reason=\"accepted\"} 4000\n"));
}
