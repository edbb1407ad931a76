//! Replays, audits and repairs through the API, on a stream of three reports.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tributary_model::directory::Scope;
use tributary_model::{Kind, Target};
use tributary_ports::error::PortErrorKind;
use tributary_ports::ledger::OutageRow;
use tributary_ports::stream::Entry;
use tributary_ports::{Ledger, Stream};
use tributary_replay::{Next, Runner};

use crate::fixture::{Fixture, NOW, each, problem, record};

fn report(name: &str) -> String {
    format!(r#"{{"processId":"p","timestamp":{},"aws":{{"awsRequestId":"{name}"}}}}"#, NOW.0 - 1000)
}

/// With three reports of `shop` in the stream, and a record that can't be read; neither store has them.
async fn filled() -> (Fixture, Vec<String>) {
    let fixture = Fixture::new().await;
    let records = ["a", "b", "c"].map(|name| record(Kind::Report, report(name).as_bytes(), report(name).as_bytes()));
    let (mut ids, mut entries) = (Vec::new(), vec![entry(Bytes::from_static(b"garbage"))]);
    for (id, data) in records {
        ids.push(id.to_string());
        entries.push(entry(data));
    }
    fixture.stream.append(entries).await.expect("appended");
    ids.sort();
    (fixture, ids)
}

fn entry(data: Bytes) -> Entry {
    Entry { partition_key: "key".into(), data }
}

/// Lets a runner work until there is nothing to do.
async fn run(fixture: &Fixture) {
    let replays = fixture.query.replays.as_deref().expect("replays");
    let mut runner = Runner::new("one");
    let mut now = NOW.plus_ms(2000);
    while let Next::At(at) = runner.step(replays, now).await.expect("a step").next {
        now = now.max(at).plus_ms(1);
    }
}

async fn start(fixture: &Fixture, name: &str, body: Value) -> (u16, Value) {
    fixture.operate(name, Method::POST, "/v1/replays", &body.to_string()).await
}

async fn get(fixture: &Fixture, path: &str) -> Value {
    let (status, body) = fixture.operate("shop", Method::GET, path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// The whole stream: all of it arrived at the fixture's one instant, so the end lies behind it.
fn all(mode: &str) -> Value {
    json!({"mode": mode, "from": "1h"})
}

#[tokio::test]
async fn a_replay_is_started_shown_steered_and_listed() {
    let (fixture, _) = filled().await;
    let (status, started) = start(&fixture, "shop", json!({"from": "1h", "targets": ["ledger", "ledger"]})).await;
    assert_eq!((status, &started["state"], &started["mode"]), (200, &"running".into(), &"apply".into()));
    assert_eq!((&started["targets"], &started["counts"]["read"]), (&json!(["ledger"]), &0.into()));
    let path = format!("/v1/replays/{}", started["id"].as_str().expect("an id"));
    for (method, path, state) in [
        (Method::POST, format!("{path}/pause"), "paused"),
        (Method::POST, format!("{path}/resume"), "running"),
        (Method::DELETE, path.clone(), "cancelled"),
        (Method::DELETE, path.clone(), "cancelled"),
        (Method::GET, path.clone(), "cancelled"),
    ] {
        let (status, body) = fixture.operate("shop", method, &path, "").await;
        assert_eq!((status, &body["state"]), (200, &state.into()), "{path}");
    }
    let (status, over) = fixture.operate("shop", Method::POST, &format!("{path}/resume"), "").await;
    assert_eq!((status, &over["detail"]), (422, &"the replay is cancelled".into()));
    let listed = get(&fixture, "/v1/replays?limit=1").await;
    assert_eq!((each(&listed, "state"), &listed["next"]), (vec!["cancelled"], &Value::Null));
}

#[tokio::test]
async fn an_audit_names_and_heals_through_the_api() {
    let (fixture, ids) = filled().await;
    let range = |mode: &str| json!({"mode": mode, "from": "1h", "ids": ids});
    // The fixture's stream arrived at NOW, which is the end of every range: nothing of it is of one yet.
    let (_, none) = start(&fixture, "shop", range("audit")).await;
    run(&fixture).await;
    let path = format!("/v1/replays/{}", none["id"].as_str().expect("an id"));
    assert_eq!(get(&fixture, &path).await["counts"]["read"], 0);

    let later = NOW.plus_ms(1000);
    let token = fixture.token("shop", Scope::Operate).await;
    for (mode, found) in [("audit", 6), ("heal", 6), ("audit", 0)] {
        let body = Bytes::from(range(mode).to_string());
        let now = later.plus_ms(if mode == "heal" { 1 } else { i64::from(found == 0) * 2 });
        let started = fixture.send_body(now, Method::POST, "/v1/replays", Some(&token), body).await;
        let started: Value = serde_json::from_slice(started.response.body()).expect("JSON");
        run(&fixture).await;
        let path = format!("/v1/replays/{}", started["id"].as_str().expect("an id"));
        let done = get(&fixture, &path).await;
        assert_eq!((&done["state"], &done["counts"]["found"]), (&"finished".into(), &found.into()), "{done}");
        assert_eq!(done["counts"]["skipped"], 1, "what can't be read is no report that was named");
        let mut named: Vec<String> = Vec::new();
        let mut page = get(&fixture, &format!("{path}/findings")).await;
        named.extend(each(&page, "id").into_iter().map(str::to_owned));
        while let Some(next) = page["next"].as_str() {
            page = get(&fixture, &format!("{path}/findings?cursor={next}")).await;
            named.extend(each(&page, "id").into_iter().map(str::to_owned));
        }
        named.sort();
        named.dedup();
        assert_eq!(named, if found == 0 { vec![] } else { ids.clone() });
    }
    let body = json!({"ids": ids}).to_string();
    let (status, receipts) = fixture.operate("shop", Method::POST, "/v1/receipts", &body).await;
    let has = |item: &Value| item["search"] == true && item["ledger"] == true;
    assert!(status == 200 && receipts["items"].as_array().expect("items").iter().all(has), "{receipts}");
    let (_, others) = fixture.operate("other", Method::POST, "/v1/receipts", &body).await;
    assert!(!others["items"].as_array().expect("items").iter().any(has), "another project's are not there: {others}");
}

#[tokio::test]
async fn a_project_replays_itself_and_nobody_else() {
    let (fixture, _) = filled().await;
    let (status, own) = start(&fixture, "other", all("apply")).await;
    assert_eq!((status, &own["project"]), (200, &"other".into()), "held to the token's project");
    let (status, refused) = start(&fixture, "other", json!({"from": "1h", "project": "shop"})).await;
    assert_eq!((status, &refused["status"]), (403, &403.into()));
    let (_, all) = start_later(&fixture).await;
    let id = all["id"].as_str().expect("an id");
    for (method, path) in [
        (Method::GET, format!("/v1/replays/{id}")),
        (Method::DELETE, format!("/v1/replays/{id}")),
        (Method::POST, format!("/v1/replays/{id}/pause")),
        (Method::GET, format!("/v1/replays/{id}/findings")),
        (Method::GET, "/v1/replays/..%2Fx".to_owned()),
    ] {
        assert_eq!(fixture.operate("other", method, &path, "").await.0, 404, "{path}");
    }
    let (_, listed) = fixture.operate("other", Method::GET, "/v1/replays", "").await;
    assert_eq!(each(&listed, "id"), [own["id"].as_str().expect("an id")]);
    let reader = fixture.token("shop", Scope::Read).await;
    let (status, _) = problem(&fixture.send(Method::GET, "/v1/replays", Some(&reader)).await.response);
    assert_eq!(status, 403, "a read token operates nothing");
}

async fn start_later(fixture: &Fixture) -> (u16, Value) {
    let token = fixture.token("shop", Scope::Operate).await;
    let body = Bytes::from(all("dry-run").to_string());
    let handled = fixture.send_body(NOW.plus_ms(1), Method::POST, "/v1/replays", Some(&token), body).await;
    (handled.response.status().as_u16(), serde_json::from_slice(handled.response.body()).expect("JSON"))
}

#[tokio::test]
async fn what_can_t_be_meant_is_refused_by_name() {
    let (fixture, _) = filled().await;
    for (body, status, detail) in [
        (json!({"from": "8d"}), 422, "the stream of local holds records from"),
        (json!({"from": "1h", "to": "2h"}), 422, "from ("),
        (json!({"from": "1h", "shards": ["x"]}), 422, "there is no shard x"),
        (json!({"from": "yesterday"}), 400, "from must be a time"),
        (json!({}), 400, "from must be a time"),
        (json!({"from": "1h", "form": 1}), 400, "the body: unknown field `form`"),
        (json!({"since_outage": "none"}), 422, "there is no outage of this id"),
        (json!({"since_outage": "x", "from": "1h"}), 400, "since_outage stands for"),
    ] {
        let (found, answer) = start(&fixture, "shop", body).await;
        let text = answer["detail"].as_str().expect("a detail");
        assert!(found == status && text.starts_with(detail), "{found} {text}");
    }
    let (status, answer) = fixture.operate("shop", Method::PUT, "/v1/replays", "").await;
    assert_eq!((status, &answer["detail"]), (405, &"this path takes GET, POST".into()));
}

#[tokio::test]
async fn an_outage_says_from_when_on_and_into_which_store() {
    let (fixture, _) = filled().await;
    let started_at = NOW.plus_ms(-5000);
    let outage = OutageRow {
        id: "ledger-local-1".to_owned(),
        target: Target::Ledger,
        region: tributary_model::Region::local(),
        cause: PortErrorKind::Unavailable,
        started_at,
        ended_at: None,
        failed_batches: 3,
        failed_records: 30,
        updated_at: NOW,
    };
    fixture.ledger.upsert_outages(vec![outage]).await.expect("written");
    let (status, started) = start(&fixture, "shop", json!({"since_outage": "ledger-local-1"})).await;
    assert_eq!((status, &started["targets"]), (200, &json!(["ledger"])));
    assert_eq!(started["from"], started_at.to_string());
}

#[tokio::test]
async fn a_dead_letter_is_edited_retried_and_discarded_through_the_api() {
    let (fixture, ids) = filled().await;
    let (_, broken) = record(Kind::Report, b"[]", report("a").as_bytes());
    let (_, other) = record(Kind::Report, b"[]", report("b").as_bytes());
    fixture.work(&[broken, other]).await;
    let listed = get(&fixture, "/v1/dead-letters?class=value&target=search&from=1h").await;
    assert_eq!(
        each(&listed, "id"),
        ids.iter().filter(|id| each(&listed, "id").contains(&id.as_str())).collect::<Vec<_>>()
    );
    assert_eq!((each(&listed, "class"), listed["items"][0]["count"].clone()), (vec!["value", "value"], json!(1)));
    assert_eq!(each(&get(&fixture, "/v1/dead-letters?class=parse").await, "id"), Vec::<&str>::new());
    let (status, wrong) = fixture.operate("shop", Method::GET, "/v1/dead-letters?class=odd", "").await;
    assert!(status == 400 && wrong["detail"].as_str().is_some_and(|text| text.starts_with("class must be one of")));

    let (_, retried) = fixture.operate("shop", Method::POST, "/v1/dead-letters/retry?reason=invalid-field", "").await;
    let left = retried["items"].as_array().expect("items").iter().map(|item| item["left"].clone()).collect::<Vec<_>>();
    assert_eq!(left, [json!(["search", "ledger"]), json!(["search", "ledger"])], "they are what they were");

    let id = record(Kind::Report, b"{}", report("a").as_bytes()).0.to_string();
    let path = format!("/v1/dead-letters/{id}");
    assert_eq!(get(&fixture, &path).await["report"], json!([]));
    let edited = json!({"report": serde_json::from_str::<Value>(&report("a")).expect("JSON")}).to_string();
    assert_eq!(fixture.operate("other", Method::POST, &format!("{path}/retry"), &edited).await.0, 404);
    let wrong = json!({"report": {}}).to_string();
    let (status, refused) = fixture.operate("shop", Method::POST, &format!("{path}/retry"), &wrong).await;
    assert_eq!(status, 422, "{refused}");
    let (status, driven) = fixture.operate("shop", Method::POST, &format!("{path}/retry"), &edited).await;
    assert_eq!((status, &driven["resolved"], &driven["left"]), (200, &json!(["search", "ledger"]), &json!([])));
    assert_eq!(fixture.operate("shop", Method::GET, &path, "").await.0, 404, "it is none any more");
    assert_eq!(fixture.read(&format!("/v1/invocations/{id}")).await["request_id"], "a");

    let path = format!("/v1/dead-letters/{}", record(Kind::Report, b"{}", report("b").as_bytes()).0);
    assert_eq!(fixture.operate("shop", Method::DELETE, &path, "").await.0, 400, "a reason is wanted");
    let (status, _) = fixture.operate("shop", Method::DELETE, &format!("{path}?reason=a+test"), "").await;
    assert_eq!((status, fixture.operate("shop", Method::GET, &path, "").await.0), (200, 404));
}
