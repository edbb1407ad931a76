//! Dead letters, as the worker writes them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tributary_model::directory::Scope;
use tributary_model::{Kind, TimestampMs};
use tributary_ports::ledger::DeadLetterRow;
use tributary_ports::objects::Condition;
use tributary_ports::{Ledger, Objects};

use crate::fixture::{Fixture, NOW, each, json, problem, project, record};

async fn get(fixture: &Fixture, name: &str, path: &str) -> Value {
    let token = fixture.token(name, Scope::Operate).await;
    let handled = fixture.send(Method::GET, path, Some(&token)).await;
    assert_eq!(handled.response.status(), 200, "{path}: {:?}", handled.response.body());
    json(&handled.response)
}

async fn status(fixture: &Fixture, name: &str, path: &str) -> (u16, String) {
    let token = fixture.token(name, Scope::Operate).await;
    problem(&fixture.send(Method::GET, path, Some(&token)).await.response)
}

/// A record whose header names `shop` and whose report is none.
fn broken() -> (String, Bytes) {
    let report = format!(r#"{{"processId":"p","timestamp":{},"aws":{{"awsRequestId":"r"}}}}"#, NOW.0 - 1000);
    let (id, bytes) = record(Kind::Report, b"[]", report.as_bytes());
    (id.to_string(), bytes)
}

#[tokio::test]
async fn a_dead_letter_is_listed_and_shown_with_its_bytes() {
    let fixture = Fixture::new().await;
    let (id, bytes) = broken();
    fixture.work(&[bytes.clone(), "garbage".into()]).await;
    let page = get(&fixture, "shop", "/v1/dead-letters").await;
    assert_eq!(each(&page, "id"), [id.as_str(), "record-local-0-1"]);
    assert_eq!(page["next"], Value::Null);
    let row = &page["items"][0];
    assert_eq!((&row["reason"], &row["targets"]), (&json!("invalid-field"), &json!(["search", "ledger"])));
    assert_eq!(row["detail"], "a report is a JSON object, not an array");
    let shown = get(&fixture, "shop", &format!("/v1/dead-letters/{id}")).await;
    assert_eq!((&shown["id"], &shown["record"]), (&json!(id), &json!(STANDARD.encode(&bytes))));
}

#[tokio::test]
async fn a_project_sees_its_own_and_operators_see_those_of_no_project_too() {
    let fixture = Fixture::new().await;
    let (id, bytes) = broken();
    fixture.work(&[bytes, "garbage".into()]).await;
    assert_eq!(each(&get(&fixture, "other", "/v1/dead-letters").await, "id"), Vec::<&str>::new());
    let missing = status(&fixture, "other", "/v1/dead-letters/none").await;
    assert_eq!(missing.0, 404);
    for hidden in [id.as_str(), "record-local-0-1"] {
        assert_eq!(status(&fixture, "other", &format!("/v1/dead-letters/{hidden}")).await, missing);
    }
}

#[tokio::test]
async fn without_operators_nobody_sees_what_belongs_to_no_project() {
    let mut fixture = Fixture::new().await;
    fixture.query.operators = None;
    fixture.work(&["garbage".into()]).await;
    assert_eq!(each(&get(&fixture, "shop", "/v1/dead-letters").await, "id"), Vec::<&str>::new());
    assert_eq!(status(&fixture, "shop", "/v1/dead-letters/record-local-0-0").await.0, 404);
}

/// A dead letter of the project `name`; of none if it is empty.
fn row(number: u32, name: &str) -> DeadLetterRow {
    DeadLetterRow {
        id: format!("letter-{number:05}"),
        project: (!name.is_empty()).then(|| project(name)),
        reason: tributary_model::Reason::Malformed,
        detail: String::new(),
        targets: vec![],
        first_seen: TimestampMs(0),
        last_seen: TimestampMs(0),
        object_key: "dead-letters/x.json".to_owned(),
        record_bytes: 0,
        count: 1,
    }
}

/// The ids of every page of two, which follow each other's `next`.
async fn pages_of_two(fixture: &Fixture, name: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut path = "/v1/dead-letters?limit=2".to_owned();
    loop {
        let page = get(fixture, name, &path).await;
        found.push(each(&page, "id").into_iter().map(str::to_owned).collect());
        let Some(next) = page["next"].as_str() else { return found };
        let behind = URL_SAFE_NO_PAD.decode(next).expect("base64url");
        assert_eq!(found.last().and_then(|page: &Vec<String>| page.last()).map(String::as_bytes), Some(&behind[..]));
        path = format!("/v1/dead-letters?limit=2&cursor={next}");
    }
}

#[tokio::test]
async fn a_page_is_full_whatever_lies_between_and_its_next_names_its_own_last() {
    let fixture = Fixture::new().await;
    let own = |number: u32| row(number, if number % 500 == 499 { "shop" } else { "other" });
    fixture.ledger.upsert_dead_letters((0..2500).map(own).collect()).await.expect("written");
    let letters = |numbers: &[u32]| numbers.iter().map(|number| row(*number, "").id).collect::<Vec<_>>();
    assert_eq!(pages_of_two(&fixture, "shop").await, [letters(&[499, 999]), letters(&[1499, 1999]), letters(&[2499])]);
}

#[tokio::test]
async fn operators_page_through_their_own_and_those_of_no_project_in_one_order() {
    let fixture = Fixture::new().await;
    let rows = [(1, "shop"), (2, ""), (3, ""), (4, "other"), (5, ""), (6, "shop"), (7, "shop"), (8, "other")];
    let rows = rows.map(|(number, name)| row(number, name));
    fixture.ledger.upsert_dead_letters(rows.into()).await.expect("written");
    let letters = |numbers: &[u32]| numbers.iter().map(|number| row(*number, "").id).collect::<Vec<_>>();
    assert_eq!(pages_of_two(&fixture, "shop").await, [letters(&[1, 2]), letters(&[3, 5]), letters(&[6, 7])]);
    assert_eq!(pages_of_two(&fixture, "other").await, [letters(&[4, 8])]);
}

#[tokio::test]
async fn a_dead_letter_in_another_s_place_is_not_shown() {
    let fixture = Fixture::new().await;
    fixture.work(&["one".into(), "two".into()]).await;
    let keys = fixture.objects.list("dead-letters/", None, 2).await.expect("keys");
    let other = fixture.objects.get(&keys[1]).await.expect("read").expect("an object");
    fixture.objects.put(&keys[0], other.bytes, Condition::Always).await.expect("written");
    let shown = status(&fixture, "shop", "/v1/dead-letters/record-local-0-0").await;
    assert_eq!(shown, (503, "what is stored of it can't be read".to_owned()));
}

#[tokio::test]
async fn a_dead_letter_whose_object_is_gone_or_damaged_says_so() {
    let fixture = Fixture::new().await;
    fixture.ledger.upsert_dead_letters(vec![row(1, "shop")]).await.expect("written");
    let path = "/v1/dead-letters/letter-00001";
    assert_eq!(get(&fixture, "shop", path).await["record"], Value::Null);
    let damaged = fixture.objects.put("dead-letters/x.json", "{".into(), Condition::Always);
    damaged.await.expect("written");
    assert_eq!(status(&fixture, "shop", path).await, (503, "what is stored of it can't be read".to_owned()));
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let fixture = Fixture::new().await;
    let (status, detail) = status(&fixture, "shop", "/v1/dead-letters?cursor=%21").await;
    assert!(status == 400 && detail.starts_with("cursor is not one"), "{detail}");
}
