//! What is answered to a wrong request, a wrong caller, and when a store fails.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use tributary_model::directory::Scope as TokenScope;
use tributary_model::{Day, Invocation, ProjectId, ReportId, Version};
use tributary_ports::contract::search::samples;
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort};
use tributary_ports::{PortError, PortErrorKind, Search, Upserted};

use crate::fixture::{Fixture, NOW, each, problem, project};

const PATHS: [&str; 5] = [
    "/v1/invocations",
    "/v1/invocations/20261121-aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "/v1/functions",
    "/v1/dead-letters",
    "/v1/dead-letters/x",
];

#[tokio::test]
async fn nobody_reads_without_a_token_of_the_right_scope() {
    let fixture = Fixture::new().await;
    let ingest = fixture.token("shop", TokenScope::Ingest).await;
    for path in PATHS {
        let handled = fixture.send(Method::GET, path, None).await;
        assert_eq!(problem(&handled.response).0, 401, "{path}");
        assert!(handled.response.headers().contains_key("www-authenticate"));
        assert_eq!((handled.facts.status, handled.facts.items), (401, 0));
        assert_eq!(problem(&fixture.send(Method::GET, path, Some("a.b.c")).await.response).0, 401, "{path}");
        assert_eq!(problem(&fixture.send(Method::GET, path, Some(&ingest)).await.response).0, 403, "{path}");
    }
    let read = fixture.token("shop", TokenScope::Read).await;
    let (status, detail) = problem(&fixture.send(Method::GET, "/v1/dead-letters", Some(&read)).await.response);
    assert!(status == 403 && detail.contains("`operate`"), "{detail}");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_whoever_asks() {
    let fixture = Fixture::new().await;
    let handled = fixture.send(Method::GET, "/v1/invocation", None).await;
    assert_eq!((problem(&handled.response).0, handled.facts.route), (404, "unknown"));
    for path in PATHS {
        let response = fixture.send(Method::POST, path, None).await.response;
        let allowed = if path.starts_with("/v1/dead-letters/") { "GET, DELETE" } else { "GET" };
        assert_eq!((problem(&response).0, &response.headers()["allow"]), (405, &allowed.parse().expect("a value")));
    }
}

#[tokio::test]
async fn a_project_sees_only_itself() {
    let fixture = Fixture::new().await;
    let strange = |number| Invocation {
        timestamp: NOW.plus_ms(-1000),
        received_at: NOW,
        ..samples::invocation_of(&project("other"), number)
    };
    let (own, other) = (Invocation { timestamp: NOW.plus_ms(-1000), ..samples::invocation(1) }, strange(2));
    let (own_id, other_id) = (own.id.to_string(), other.id);
    fixture.add([own, other]).await;
    for query in ["", "id:2*", "function:checkout%20OR%20function:checkout", "-function:x"] {
        let page = fixture.read(&format!("/v1/invocations?query={query}")).await;
        assert_eq!(each(&page, "id"), [own_id.as_str()], "{query}");
    }
    let functions = fixture.read("/v1/functions").await;
    assert_eq!(functions["items"][0]["count"], 1);
    let strange = fixture.problem(&format!("/v1/invocations/{other_id}")).await;
    let missing = fixture.problem("/v1/invocations/20261121-aaaaaaaaaaaaaaaaaaaaaaaaaa").await;
    assert_eq!(strange, missing);
    assert_eq!(strange.0, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let fixture = Fixture::new().await;
    for (path, expected) in [
        ("/v1/invocations?query=functon:x", "query, column 1: there is no field \"functon\"; did you mean function?"),
        ("/v1/invocations?query=a%20(b", "query, column 3: this parenthesis is not closed"),
        ("/v1/functions?query=a)", "query, column 2: this parenthesis closes nothing"),
        ("/v1/invocations?form=1h", "there is no parameter \"form\" here"),
        ("/v1/invocations?from=1h&from=2h", "the parameter from is given twice"),
        ("/v1/invocations?from=tomorrow", "from must be a time as in RFC 3339"),
        ("/v1/functions?to=2026-02-30", "to must be a time as in RFC 3339"),
        ("/v1/invocations?from=now&to=1h", "from (2026-11-21T18:05:00.000Z) must lie before to"),
        ("/v1/invocations?sort=size", "sort must be timestamp, duration or memory"),
        ("/v1/invocations?sort=--timestamp", "sort must be timestamp, duration or memory"),
        ("/v1/invocations?limit=0", "limit must be a number from 1 to 1000"),
        ("/v1/functions?limit=1", "there is no parameter \"limit\" here; this path takes query, from, to"),
        ("/v1/invocations/abc", "an invocation's id has the form yyyymmdd-"),
        ("/v1/invocations/20261121-aaaaaaaaaaaaaaaaaaaaaaaaaa?x=1", "there is no parameter \"x\" here"),
    ] {
        let (status, detail) = fixture.problem(path).await;
        assert!(status == 400 && detail.starts_with(expected), "{path}: {status} {detail}");
    }
}

/// A search index that is down.
struct Down;

fn down<T>() -> Result<T, PortError> {
    let error = PortError::new(PortErrorKind::Unavailable, "search.find", "no route to 10.1.2.3");
    Err(error.retry_after(Duration::from_secs(7)))
}

#[async_trait]
impl Search for Down {
    async fn upsert(&self, _: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        down()
    }

    async fn find(&self, _: &Scope, _: Sort, _: Option<After>, _: usize) -> Result<Vec<Invocation>, PortError> {
        down()
    }

    async fn get(&self, _: &ProjectId, _: ReportId) -> Result<Option<Document>, PortError> {
        down()
    }

    async fn versions(&self, _: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError> {
        down()
    }

    async fn expire(&self, _: Day) -> Result<(), PortError> {
        down()
    }

    async fn functions(&self, _: &Scope, _: usize) -> Result<Vec<FunctionSummary>, PortError> {
        down()
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_whose_cause_goes_to_the_log_alone() {
    let mut fixture = Fixture::new().await;
    fixture.query.search = Arc::new(Down);
    let token = fixture.token("shop", TokenScope::Read).await;
    for path in &PATHS[..3] {
        let handled = fixture.send(Method::GET, path, Some(&token)).await;
        let (status, detail) = problem(&handled.response);
        assert_eq!((status, &handled.response.headers()["retry-after"]), (503, &"7".parse().expect("a value")));
        assert!(!detail.contains("10.1.2.3"), "{detail}");
        assert_eq!(handled.facts.error.as_deref(), Some("search.find: unavailable: no route to 10.1.2.3"));
    }
}
