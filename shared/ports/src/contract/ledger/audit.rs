//! The audit trail: appended once, never changed, the latest first.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tributary_model::limits::AUDIT_DETAIL_BYTES_MAX;

use super::{AT, project};
use crate::ledger::AuditEvent;
use crate::{Ledger, PortErrorKind};

pub(super) async fn all(fresh: &impl AsyncFn() -> Arc<dyn Ledger>) {
    an_event_is_read_back_as_it_was_written(&*fresh().await).await;
    an_event_that_is_there_is_left_as_it_is(&*fresh().await).await;
    a_detail_that_is_too_large_is_invalid(&*fresh().await).await;
    events_are_paged_within_their_project_the_latest_first(&*fresh().await).await;
}

fn event(id: &str, owner: Option<&str>, ms: i64) -> AuditEvent {
    AuditEvent {
        id: id.to_owned(),
        project: owner.map(project),
        at: AT.plus_ms(ms),
        actor: "token-1".to_owned(),
        action: "dead-letter.discard".to_owned(),
        subject: "20261121-abc".to_owned(),
        detail: Map::new(),
    }
}

fn detail(value: Value) -> Map<String, Value> {
    let Value::Object(detail) = value else { return Map::new() };
    detail
}

async fn append(ledger: &dyn Ledger, events: &[AuditEvent]) {
    ledger.append_audit_events(events.to_vec()).await.expect("an append");
}

async fn list(ledger: &dyn Ledger, owner: Option<&str>) -> Vec<AuditEvent> {
    ledger.audit_events(owner.map(project).as_ref(), None, 10).await.expect("events")
}

async fn an_event_is_read_back_as_it_was_written(ledger: &dyn Ledger) {
    append(ledger, &[]).await;
    assert_eq!(list(ledger, Some("shop")).await, []);
    let full = AuditEvent {
        detail: detail(json!({
            "reason": "a 'quoted' \"text\" with ünï\\cödé, a \u{0} and a \n", "count": u64::MAX, "share": 0.1, "large": 1e300,
            "whole": 1.0, "none": null, "list": [1, -1, [], {}], "deep": {"b": 1, "a": true},
        })),
        ..event("full", Some("shop"), 0)
    };
    append(ledger, std::slice::from_ref(&full)).await;
    assert_eq!(list(ledger, Some("shop")).await, [full]);
}

async fn an_event_that_is_there_is_left_as_it_is(ledger: &dyn Ledger) {
    let first = event("one", Some("shop"), 1);
    let second = AuditEvent { action: "replay.start".to_owned(), ..event("one", Some("shop"), 2) };
    append(ledger, &[first.clone(), second.clone()]).await;
    append(ledger, &[second, event("two", None, 0), first.clone()]).await;
    assert_eq!(list(ledger, Some("shop")).await, [first]);
    assert_eq!(list(ledger, None).await, [event("two", None, 0)]);
}

async fn a_detail_that_is_too_large_is_invalid(ledger: &dyn Ledger) {
    let of = |bytes: usize| AuditEvent {
        detail: detail(json!({"x": "y".repeat(bytes - r#"{"x":""}"#.len())})),
        ..event(&bytes.to_string(), None, 0)
    };
    let events = vec![event("small", None, 0), of(AUDIT_DETAIL_BYTES_MAX + 1)];
    let error = ledger.append_audit_events(events).await.expect_err("a refusal");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert_eq!(list(ledger, None).await, [], "none of them is written");
    append(ledger, &[of(AUDIT_DETAIL_BYTES_MAX)]).await;
    assert_eq!(list(ledger, None).await, [of(AUDIT_DETAIL_BYTES_MAX)]);
}

async fn events_are_paged_within_their_project_the_latest_first(ledger: &dyn Ledger) {
    let events =
        [("b", "shop", 2), ("a", "shop", 1), ("d", "shop", 3), ("c", "shop", 3), ("e", "other", 9), ("f", "", 2)];
    let owner = |name: &'static str| Some(name).filter(|name| !name.is_empty());
    append(ledger, &events.map(|(id, name, ms)| event(id, owner(name), ms))).await;
    for (name, limit, expected) in [
        ("shop", 1, &["d", "c", "b", "a", ""][..]),
        ("shop", 3, &["dcb", "a", ""]),
        ("other", 10, &["e", ""]),
        ("", 10, &["f", ""]),
    ] {
        let mut pages: Vec<String> = Vec::new();
        let mut last: Option<AuditEvent> = None;
        while pages.last().is_none_or(|page| !page.is_empty()) {
            let page =
                ledger.audit_events(owner(name).map(project).as_ref(), last.as_ref(), limit).await.expect("events");
            pages.push(page.iter().map(|event| event.id.as_str()).collect());
            last = page.into_iter().last();
        }
        assert_eq!(pages, expected, "{name}");
    }
    assert_eq!(ledger.audit_events(Some(&project("shop")), None, 0).await.expect("events"), []);
}
