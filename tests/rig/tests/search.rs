//! The search port on a real OpenSearch server.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use serde_json::{Value, json};
use tributary_aws::search::OpenSearch;
use tributary_model::{RetentionClass, Version};
use tributary_ports::contract;
use tributary_ports::contract::search::Store;
use tributary_ports::contract::search::samples::{document, everything, invocation, project, text};
use tributary_ports::search::{BoolField, Filter, Sort, SortKey};
use tributary_ports::{PortErrorKind, Search as _, Upserted};
use tributary_rig::opensearch::Cluster;

const OLDEST_FIRST: Sort = Sort { key: SortKey::Timestamp, descending: false };

async fn client(url: &str) -> OpenSearch {
    OpenSearch::new(url, &tributary_aws::sdk::config(tributary_rig::REGION).await).expect("a cluster's URL")
}

/// Makes what was written findable.
async fn refresh(cluster: &Cluster) {
    let answer = cluster.ask(0, "POST", "/invocations-*/_refresh", &Value::Null).await;
    assert_eq!(answer.expect("an answer").0, 200);
}

async fn clear(cluster: &Cluster) {
    let answer = cluster.ask(0, "DELETE", "/invocations-*", &Value::Null).await;
    assert_eq!(answer.expect("an answer").0, 200);
}

#[tokio::test]
async fn a_plain_cluster() {
    let cluster = Arc::new(Cluster::one().await);
    let search = Arc::new(client(&cluster.url(0)).await);
    nothing_is_written_before_the_set_up(&cluster, &search).await;
    for _twice in 0..2 {
        search.create_templates().await.expect("the templates");
    }
    an_unknown_field_is_refused(&cluster, &search).await;
    what_the_index_refuses_is_kept_without_its_fields(&cluster, &search).await;
    an_id_in_two_indices_has_two_versions(&cluster, &search).await;
    contract::search::all(async || {
        clear(&cluster).await;
        let cluster = Arc::clone(&cluster);
        let settle = move || {
            let cluster = Arc::clone(&cluster);
            Box::pin(async move { refresh(&cluster).await }) as _
        };
        Store::settled_by(search.clone(), Box::new(settle))
    })
    .await;
}

async fn nothing_is_written_before_the_set_up(cluster: &Cluster, search: &OpenSearch) {
    let error = search.upsert(vec![document(invocation(1))]).await.expect_err("a cluster that is not set up");
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
    let (_, indices) =
        cluster.ask(0, "GET", "/_cat/indices/invocations-*?format=json", &Value::Null).await.expect("indices");
    assert_eq!(indices, json!([]));
}

async fn an_unknown_field_is_refused(cluster: &Cluster, search: &OpenSearch) {
    assert_eq!(search.upsert(vec![document(invocation(1))]).await.expect("an upsert"), [Upserted::Applied]);
    for body in [json!({ "surprise": 1 }), json!({ "error": { "code": 7 } }), json!({ "metrics": [{ "unit": "ms" }] })]
    {
        let answer = cluster.ask(0, "POST", "/invocations-30d-2026.11.21/_doc", &body).await.expect("an answer");
        assert_eq!((answer.0, &answer.1["error"]["type"]), (400, &json!("strict_dynamic_mapping_exception")), "{body}");
    }
}

/// A metric's text of 40,000 bytes is more than the index compares exactly; normalize lets none through.
async fn what_the_index_refuses_is_kept_without_its_fields(cluster: &Cluster, search: &OpenSearch) {
    let mut long = document(invocation(2));
    long.invocation.metrics = vec![text("m", &"long ".repeat(8000))];
    assert_eq!(
        search.upsert(vec![long.clone(), document(invocation(3))]).await.expect("an upsert"),
        vec![Upserted::Applied; 2]
    );
    assert_eq!(search.upsert(vec![long.clone()]).await.expect("an upsert"), [Upserted::AlreadyThere]);
    refresh(cluster).await;
    let scope = everything(Filter::True(BoolField::Removed));
    let found = search.find(&scope, OLDEST_FIRST, None, 10).await.expect("a page");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].metrics, long.invocation.metrics);
    assert_eq!(found[0].removed[0].reason, "the index refused it: illegal_argument_exception");
    let stored = search.get(&project("shop"), long.invocation.id).await.expect("a get").expect("the document");
    assert_eq!((stored.version, &stored.original), (long.version, &long.original));
}

async fn an_id_in_two_indices_has_two_versions(cluster: &Cluster, search: &OpenSearch) {
    let mut monthly = document(invocation(4));
    monthly.version = Version::from_u64(monthly.version.as_u64() + 1);
    monthly.retention = RetentionClass::from_days(90).expect("a class");
    for written in [document(invocation(4)), monthly.clone()] {
        assert_eq!(search.upsert(vec![written]).await.expect("an upsert"), [Upserted::Applied]);
    }
    refresh(cluster).await;
    let mut versions = search.versions(&[invocation(4).id]).await.expect("the versions");
    versions[0].sort_unstable();
    assert_eq!(versions, [[document(invocation(4)).version, monthly.version]]);
}

#[tokio::test]
async fn a_secured_cluster() {
    let cluster = Cluster::secured().await;
    client(&cluster.url(0)).await.create_templates().await.expect("the templates");
    let scope = everything(Filter::All);
    for user in [Some(("admin", "wrong")), Some(("nobody", "admin")), None] {
        let search = client(&cluster.url_as(0, user)).await;
        let written = search.upsert(vec![document(invocation(1))]).await.expect_err("no way in");
        let found = search.find(&scope, OLDEST_FIRST, None, 10).await.expect_err("no way in");
        assert_eq!([written.kind, found.kind], [PortErrorKind::Denied; 2], "{user:?}: {written}, {found}");
    }
    let search = client(&cluster.url(0)).await;
    assert_eq!(search.upsert(vec![document(invocation(1))]).await.expect("an upsert"), [Upserted::Applied]);
    refresh(&cluster).await;
    assert_eq!(search.find(&scope, OLDEST_FIRST, None, 10).await.expect("a page"), [invocation(1)]);
}
