//! What no database can be made to show.

use serde_json::{Value, json};
use tributary_model::limits::{AWS_ATTEMPTS_MAX, LEDGER_ATTEMPTS_MAX};
use tributary_model::{AccountId, Region, RetentionClass, Target, TokenId, Version};
use tributary_ports::PortErrorKind;

use super::*;
use crate::testing::{Answer, Asked, Scripted};

const AT: TimestampMs = TimestampMs(1_795_284_061_873);

async fn ledger(server: &Scripted) -> Arc<RdsLedger> {
    RdsLedger::new(&server.config().await, "arn:cluster", "arn:secret", "ledger")
}

fn row(version: u64) -> InvocationRow {
    let project = ProjectId::new("shop").unwrap();
    InvocationRow {
        id: ReportId::derive(&project, "process", "request", AT),
        version: Version::from_u64(version),
        project,
        account: AccountId::new("acme").unwrap(),
        region: Region::new("eu-west-1").unwrap(),
        function: "checkout".to_owned(),
        timestamp: AT,
        received_at: AT,
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("token").unwrap(),
        duration_ms: None,
        coldstart: false,
        error_fingerprint: None,
        report_bytes: 1,
    }
}

fn records(records: &Value) -> Answer {
    Answer::json(&json!({ "records": records }))
}

fn sql(asked: &Asked) -> String {
    asked.json()["sql"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_row_that_another_writer_came_before_is_asked_for_again() {
    let server = Scripted::start(|before, _| match before {
        0 => records(&json!([[{ "longValue": 1 }]])),
        1 => records(&json!([[{ "longValue": 0 }, { "isNull": true }]])),
        _ => records(&json!([[{ "longValue": 0 }, { "longValue": 2 }]])),
    })
    .await;
    let ledger = ledger(&server).await;
    let answers = ledger.upsert_invocations(vec![row(1), row(2), row(2), row(3)]).await.unwrap();
    assert_eq!(answers, [Upserted::Superseded, Upserted::AlreadyThere, Upserted::AlreadyThere, Upserted::Applied]);
    let asked = server.asked();
    assert_eq!((asked.len(), sql(&asked[1])), (3, sql(&asked[2])), "the partition, the rows, the rows again");
}

#[tokio::test]
async fn a_row_that_others_always_come_before_is_a_conflict() {
    let server = Scripted::start(|_, _| records(&json!([[{ "longValue": 0 }, { "isNull": true }]]))).await;
    let error = ledger(&server).await.upsert_invocations(vec![row(1)]).await.unwrap_err();
    assert_eq!((error.kind, server.asked().len()), (PortErrorKind::Conflict, 1 + LEDGER_ATTEMPTS_MAX));
}

#[tokio::test]
async fn an_answer_of_another_form_is_unavailable_and_no_panic() {
    for answer in [
        json!([[]]),
        json!([[{ "stringValue": "0" }, { "longValue": 1 }]]),
        json!([[{ "longValue": 7 }, { "longValue": 1 }]]),
        json!([[{ "longValue": -1 }, { "longValue": 1 }]]),
        json!([[{ "longValue": 0 }, { "longValue": -1 }]]),
    ] {
        let answered = answer.clone();
        let server = Scripted::start(move |_, _| records(&answered)).await;
        let ledger = ledger(&server).await;
        let error = ledger.upsert_invocations(vec![row(1)]).await.unwrap_err();
        let kinds = [PortErrorKind::Unavailable, PortErrorKind::Conflict];
        assert!(kinds.contains(&error.kind), "{answer}: {error}");
    }
    for line in ["", "{}", r#"{"id": 1}"#, "null"] {
        let server =
            Scripted::start(move |_, _| records(&json!([[{ "stringValue": line }, { "longValue": 1 }]]))).await;
        let error = ledger(&server).await.outage("a").await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Unavailable, "{line}: {error}");
    }
}

#[tokio::test]
async fn what_may_run_twice_is_tried_again_and_what_may_not_is_not() {
    let server = Scripted::start(|_, asked| match asked.target.as_str() {
        "/BeginTransaction" => Answer::json(&json!({ "transactionId": "t-1" })),
        "/Execute" if asked.json()["transactionId"].is_null() => records(&json!([[{ "stringValue": "a" }]])),
        "/RollbackTransaction" => Answer::json(&json!({})),
        _ => Answer::error(503, "ServiceUnavailableError"),
    })
    .await;
    let ledger = ledger(&server).await;
    let resolution = Resolution { id: "a".to_owned(), targets: vec![Target::Search], seen_until: AT };
    let error = ledger.resolve_dead_letters(vec![resolution]).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable);
    let paths: Vec<String> = server.asked().iter().map(|asked| asked.target.clone()).collect();
    assert_eq!(paths, ["/Execute", "/BeginTransaction", "/Execute", "/RollbackTransaction"]);
    let busy = Scripted::start(|_, _| Answer::error(503, "ServiceUnavailableError")).await;
    let error = self::ledger(&busy).await.outage("a").await.unwrap_err();
    assert_eq!((error.kind, busy.asked().len()), (PortErrorKind::Unavailable, AWS_ATTEMPTS_MAX as usize));
}

#[tokio::test]
async fn a_failure_names_no_value_and_no_secret() {
    let server = Scripted::start(|_, _| Answer::error(400, "DatabaseErrorException")).await;
    let error = ledger(&server).await.upsert_invocations(vec![row(1)]).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("CANARY") && !text.contains("checkout") && !text.contains("arn:secret"), "{text}");
}
