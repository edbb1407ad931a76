//! `tributary up` in this process: a report goes in at the front door and is found, over a restart, once.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test's own words for what went wrong")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tributary::local::{Local, Settings, samples};
use tributary_config::FunctionName;
use tributary_model::TimestampMs;

/// Longest time for what must happen; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

async fn start(folder: &Path) -> Local {
    Local::start(Settings::on(folder).expect("settings")).await.expect("started")
}

#[expect(clippy::disallowed_methods, reason = "a report's time is compared with the real clock")]
fn now() -> TimestampMs {
    TimestampMs::from_system(std::time::SystemTime::now())
}

fn address(local: &Local) -> &str {
    local.up().http.strip_prefix("http://").expect("an address")
}

/// Status and body.
async fn ask(local: &Local, method: &str, target: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address(local)).await.expect("connected");
    let (token, length) = (local.token(), body.len());
    let head =
        format!("{method} {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nconnection: close\r\n");
    let request = format!("{head}content-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

async fn items(local: &Local, query: &str) -> Vec<Value> {
    let (status, body) = ask(local, "GET", &format!("/v1/invocations?limit=1000&query={query}"), "").await;
    assert_eq!(status, 200, "{body}");
    let page: Value = serde_json::from_str(&body).expect("JSON");
    page["items"].as_array().expect("items").clone()
}

/// Asks until there are as many as that.
async fn find(local: &Local, query: &str, count: usize) -> Vec<Value> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = items(local, query).await;
        if found.len() >= count || tokio::time::Instant::now() > until {
            assert_eq!(found.len(), count, "{query}");
            return found;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn report(request_id: &str) -> String {
    let at = now().0;
    serde_json::json!({
        "client_id": "x", "processId": "p", "timestamp": at, "timestampEnd": at + 5, "duration": 5_000_000, "coldstart": true,
        "aws": {"awsRequestId": request_id, "functionName": "checkout"},
        "environment": {"agent": {"runtime": "nodejs", "version": "1.19.5"}},
    })
    .to_string()
}

/// D1: through the whole program.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_found_once_also_after_a_restart_and_a_resend() {
    let folder = tempfile::tempdir().expect("a folder");
    let local = start(folder.path()).await;
    let report = report("r-1");
    let (status, receipt) = ask(&local, "POST", "/v0/event", &report).await;
    assert_eq!(status, 200, "{receipt}");
    let receipt: Value = serde_json::from_str(&receipt).expect("JSON");
    let found = find(&local, "request_id:r-1", 1).await;
    assert_eq!((&found[0]["id"], &found[0]["function"]), (&receipt["id"], &"checkout".into()));
    let token = local.token().to_owned();
    local.stop().await;
    assert!(!folder.path().join("up.json").exists());

    let local = start(folder.path()).await;
    assert_eq!(local.token(), token, "the folder keeps its token");
    let (status, again) = ask(&local, "POST", "/v0/event", &report).await;
    assert_eq!((status, serde_json::from_str::<Value>(&again).expect("JSON")), (200, receipt));
    // What was sent after it has passed the same consumer's checkpoint when it is found; equal keys share a shard or not,
    // so the resend itself may still be under way: it must not show as a second one, now or later.
    ask(&local, "POST", "/v0/event", &self::report("r-2")).await;
    find(&local, "request_id:r-2", 1).await;
    assert_eq!(items(&local, "request_id:r-1").await.len(), 1);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_captured_reports_are_taken_and_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let local = start(folder.path()).await;
    let http = address(&local).parse().expect("an address");
    let sent = samples::send(http, local.token(), now()).await.expect("sent");
    assert_eq!(sent, 48);
    let found = find(&local, "", sent).await;
    let ids: BTreeSet<&str> = found.iter().map(|item| item["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), sent);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_collector_takes_in_waits_for_a_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::on(folder.path()).expect("settings");
    settings.config.only = BTreeSet::from([FunctionName::Collector]);
    let local = Local::start(settings).await.expect("started");
    assert_eq!(ask(&local, "POST", "/v0/event", &report("r-1")).await.0, 200);
    let (status, problem) = ask(&local, "GET", "/v1/invocations", "").await;
    assert_eq!(status, 404);
    assert!(problem.contains("this process does not run the read API (--only)"), "{problem}");
    local.stop().await;
    let local = start(folder.path()).await;
    find(&local, "request_id:r-1", 1).await;
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_folder_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let local = start(folder.path()).await;
    let refused = Local::start(Settings::on(folder.path()).expect("settings")).await;
    let message = refused.err().expect("refused").to_string();
    assert!(message.contains(&format!("is in use by process {}", std::process::id())), "{message}");
    assert_eq!(ask(&local, "GET", "/healthz", "").await.0, 200);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_and_keys_are_told_without_a_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let local = start(folder.path()).await;
    ask(&local, "POST", "/v0/event", &report("r-1")).await;
    find(&local, "request_id:r-1", 1).await;
    let (status, health) = ask(&local, "GET", "/healthz", "").await;
    assert_eq!((status, health.contains(r#""status":"ok""#)), (200, true), "{health}");
    let (status, metrics) = ask(&local, "GET", "/metrics", "").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("tributary_request_duration_seconds_count{function=\"collector\"} 1\n"), "{metrics}");
    let (status, keys) = ask(&local, "GET", "/.well-known/jwks.json", "").await;
    assert_eq!((status, keys.contains("ES256")), (200, true), "{keys}");
    assert_eq!(ask(&local, "POST", "/healthz", "").await.0, 405);
    assert_eq!(ask(&local, "GET", "/nothing", "").await.0, 404);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_a_process_that_nobody_uses_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..3 {
        start(folder.path()).await.stop().await;
    }
}
