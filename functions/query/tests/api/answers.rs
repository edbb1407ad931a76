//! What is answered to a right request.

use http::Method;
use serde_json::{Value, json};
use tributary_model::directory::Scope;
use tributary_model::{Kind, TimestampMs};
use tributary_ports::contract::search::samples;

use crate::fixture::{Fixture, NOW, captured, each, record};

#[tokio::test]
async fn a_report_that_went_in_is_found_by_a_query_with_the_names_of_the_reference() {
    let fixture = Fixture::new().await;
    let report = captured("js-09-metrics-and-labels");
    fixture.work(&[record(Kind::Report, report.as_bytes(), report.as_bytes()).1]).await;
    let sent: Value = serde_json::from_str(&report).expect("JSON");
    let request_id = sent["aws"]["awsRequestId"].as_str().expect("a request id");

    let page = fixture.read(&format!("/v1/invocations?query=request_id:{request_id}")).await;
    assert_eq!((page["items"].as_array().map(Vec::len), &page["next"]), (Some(1), &Value::Null));
    let found = &page["items"][0];
    assert_eq!(found["request_id"], request_id);
    assert_eq!(found["function"], sent["aws"]["functionName"]);
    assert_eq!((&found["project"], &found["account"]), (&json!("shop"), &json!("acme")));
    assert_eq!(found["timestamp"], TimestampMs(sent["timestamp"].as_i64().expect("a time")).to_string());
    assert_eq!(found["received_at"], NOW.to_string());
    assert_eq!(found["duration_ms"], sent["duration"].as_f64().expect("ns") / 1e6);
    assert_eq!(found["agent"], json!({"runtime": "nodejs", "version": sent["environment"]["agent"]["version"]}));
    assert_eq!(found["error"], Value::Null);
    for name in ["id", "region", "version", "coldstart", "labels", "metrics"] {
        assert!(!found[name].is_null(), "{name} is missing in {found}");
    }
}

#[tokio::test]
async fn an_invocation_is_opened_with_its_report_byte_by_byte() {
    let fixture = Fixture::new().await;
    let report = captured("py-03-error-raised");
    let (id, record) = record(Kind::Report, report.as_bytes(), report.as_bytes());
    fixture.work(&[record]).await;
    let token = fixture.token("shop", Scope::Read).await;
    let handled = fixture.send(Method::GET, &format!("/v1/invocations/{id}"), Some(&token)).await;
    let body = std::str::from_utf8(handled.response.body()).expect("UTF-8");
    assert!(body.contains(&format!("\"original\":{report}")), "{body}");
    let opened: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&opened["id"], &opened["retention"]), (&json!(id), &json!("30d")));
    assert_eq!(opened["error"]["message"], opened["original"]["errors"]["message"]);
    assert_eq!(opened.get("jws"), None);
    assert_eq!((handled.facts.route, handled.facts.status, handled.facts.items), ("/v1/invocations/{id}", 200, 1));
}

#[tokio::test]
async fn a_report_that_is_no_strict_json_is_shown_with_nulls() {
    let fixture = Fixture::new().await;
    let report = format!(
        r#"{{"processId":"p","timestamp":{},"aws":{{"awsRequestId":"r"}},"x":[NaN,-Infinity,1]}}"#,
        NOW.0 - 1000
    );
    let (id, record) = record(Kind::Report, report.as_bytes(), report.as_bytes());
    fixture.work(&[record]).await;
    let opened = fixture.read(&format!("/v1/invocations/{id}")).await;
    assert_eq!(opened["original"]["x"], json!([null, null, 1]));
}

#[tokio::test]
async fn a_signed_report_is_opened_with_its_signed_text() {
    let fixture = Fixture::new().await;
    let report = format!(r#"{{"processId":"p","timestamp":{},"aws":{{"awsRequestId":"r"}}}}"#, NOW.0 - 1000);
    let jws = format!("eyJhbGciOiJFZERTQSJ9.{}.c2lnbmF0dXJl", data_url(&report));
    let (id, record) = record(Kind::SignedReport, jws.as_bytes(), report.as_bytes());
    fixture.work(&[record]).await;
    let opened = fixture.read(&format!("/v1/invocations/{id}")).await;
    assert_eq!((&opened["jws"], &opened["signed"]), (&json!(jws), &json!(true)));
    assert_eq!(opened["original"]["aws"]["awsRequestId"], "r");
}

fn data_url(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test]
async fn functions_are_counted_over_the_range() {
    let fixture = Fixture::new().await;
    let begun = |number: u32, function: &str| {
        let mut invocation = samples::invocation(number);
        invocation.timestamp = NOW.plus_ms(-1000 * i64::from(number));
        invocation.received_at = NOW;
        invocation.function = function.to_owned();
        invocation.duration_ms = Some(100.0);
        invocation
    };
    let mut failed = begun(3, "checkout");
    failed.error = Some(samples::error("TimeoutError", "late"));
    failed.coldstart = true;
    fixture.add([begun(1, "checkout"), begun(2, "payment"), failed, begun(7200, "checkout")]).await;

    let page = fixture.read("/v1/functions?from=1h").await;
    assert_eq!(each(&page, "function"), ["checkout", "payment"]);
    let checkout = &page["items"][0];
    assert_eq!((&checkout["count"], &checkout["errors"], &checkout["coldstarts"]), (&json!(2), &json!(1), &json!(1)));
    for percentile in ["p50", "p95", "p99"] {
        let ms = checkout["duration_ms"][percentile].as_f64().expect("a number");
        assert!((ms - 100.0).abs() <= 2.0, "{percentile} {ms}");
    }
    assert_eq!(checkout["last_seen"], NOW.plus_ms(-1000).to_string());
    assert_eq!(page["next"], Value::Null);
    let failed = fixture.read("/v1/functions?from=1h&query=error:*").await;
    assert_eq!(each(&failed, "function"), ["checkout"]);
}

#[tokio::test]
async fn the_default_range_holds_what_a_collector_may_just_have_acknowledged() {
    let fixture = Fixture::new().await;
    let at = |number: u32, timestamp: TimestampMs| {
        let mut invocation = samples::invocation(number);
        (invocation.timestamp, invocation.received_at) = (timestamp, NOW);
        invocation
    };
    let day_ms = tributary_model::time::DAY_MS;
    let (oldest, latest) = (at(1, NOW.plus_ms(-8 * day_ms)), at(2, NOW.plus_ms(15 * 60_000 - 1)));
    let ids = [latest.id.to_string(), oldest.id.to_string()];
    fixture.add([oldest, latest]).await;
    assert_eq!(each(&fixture.read("/v1/invocations").await, "id"), ids);
}
