//! What `tributary aws` sets up is what the functions need: with it, and with no more rights in the search cluster than it
//! gives them, a report goes the whole way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../installation/mod.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod installation;
mod replay;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tributary::local::samples;
use tributary_aws::search::{Access, OpenSearch};
use tributary_ports::contract::search::samples::{document, everything, invocation};
use tributary_ports::search::{Filter, Sort, SortKey};
use tributary_ports::{PortErrorKind, Search as _, Target};
use tributary_rig::http_front::{Form, Front};
use tributary_rig::opensearch::Cluster;
use tributary_rig::process::until;
use tributary_rig::runtime_api::Function;
use tributary_rig::{REGION, sdk_config};

use installation::{Installation, look_after, now};

const SEED: u64 = 5;
const PASSWORD: &str = "f6Zq-horse-battery";
/// What the functions' IAM roles begin with.
const ROLES: &str = "arn:aws:iam::123456789012:role/tributary-test-";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_goes_the_whole_way_with_what_the_set_up_gives() {
    let (mut installation, cluster) = tokio::join!(Box::pin(Installation::bare(SEED)), Box::pin(Cluster::secured()));
    let said = installation.tributary(&cluster.url(0), ROLES, &["setup"]).await;
    assert!(said.contains("ledger: ") && said.contains("directory: version 1"), "{said}");
    let said = installation.tributary(&cluster.url(0), ROLES, &["setup"]).await;
    assert!(said.contains("ledger: 0 new migrations") && said.contains("directory: version 1"), "{said}");
    installation.tributary(&cluster.url(0), ROLES, &["project", "add", "mill"]).await;
    let issue = ["token", "issue", "--project", "mill", "--scope", "ingest,read,operate"];
    installation.token = installation.tributary(&cluster.url(0), ROLES, &issue).await.trim().to_owned();

    let [worker, query] = [user(&cluster, Access::Worker).await, user(&cluster, Access::Query).await];
    the_worker_and_query_do_their_part_and_no_more(&worker, &query).await;
    the_custodian_deletes_what_is_past_its_retention(&cluster, &worker).await;
    let front = Front::start(Arc::new(installation.collector()), Form::FunctionUrl).await;
    let sent = samples::send(front.address(), &installation.token, now()).await.unwrap();
    let fed = installation.feed(installation.search_worker(&worker), Target::Search, None).await;
    let query = installation.query(&query);
    let is_whole = async || found(&query, &installation.token).await.filter(|ids| ids.len() == sent);
    until("every report is found", is_whole).await;
    let replay = user(&cluster, Access::Replay).await;
    replay::a_deleted_index_is_rebuilt(&installation, &cluster, &query, &replay, sent).await;
    fed.poller.stop().await;
    what_is_set_reaches_the_mappings(&installation, &cluster).await;
    a_lost_ledger_is_made_anew(&installation, &cluster).await;
}

/// The cluster's URL for somebody who comes with the IAM role of a function, as Amazon's cluster knows who signs.
async fn user(cluster: &Cluster, access: Access) -> String {
    let name = access.function();
    let role = format!("{ROLES}{name}-{REGION}");
    let body = json!({ "password": PASSWORD, "backend_roles": [role] });
    let path = format!("/_plugins/_security/api/internalusers/{name}");
    let (status, answer) = cluster.ask(0, "PUT", &path, &body).await.expect("an answer");
    assert_eq!(status, 201, "{answer}");
    cluster.url_as(0, Some((name, PASSWORD)))
}

async fn the_worker_and_query_do_their_part_and_no_more(worker: &str, query: &str) {
    let config = sdk_config("http://127.0.0.1:9").await;
    let [worker, query] = [worker, query].map(|url| OpenSearch::new(url, &config).expect("a URL"));
    worker.upsert(vec![document(invocation(1))]).await.expect("an upsert");
    query.upsert(vec![document(invocation(1))]).await.expect("a dead letter that was mended");
    for denied in [worker.create_templates().await, worker.grant(Access::Worker, "anybody").await] {
        assert_eq!(denied.map_err(|error| error.kind), Err(PortErrorKind::Denied));
    }
    let oldest_first = Sort { key: SortKey::Timestamp, descending: false };
    query.find(&everything(Filter::All), oldest_first, None, 10).await.expect("a page");
}

async fn the_custodian_deletes_what_is_past_its_retention(cluster: &Cluster, worker: &str) {
    let config = sdk_config("http://127.0.0.1:9").await;
    let urls = [user(cluster, Access::Custodian).await, worker.to_owned()];
    let [custodian, worker] = urls.map(|url| OpenSearch::new(&url, &config).expect("a URL"));
    let indices = async || {
        let (_, listed) = cluster.ask(0, "GET", "/_cat/indices/invocations-*?format=json", &Value::Null).await.unwrap();
        listed.as_array().unwrap().len()
    };
    let day = invocation(1).timestamp.day();
    custodian.expire(day).await.expect("nothing to delete");
    let denied = worker.expire(day.plus_days(400)).await.expect_err("the worker deletes nothing");
    assert_eq!((denied.kind, indices().await), (PortErrorKind::Denied, 1));
    let denied = custodian.upsert(vec![document(invocation(2))]).await.expect_err("the custodian writes nothing");
    assert_eq!(denied.kind, PortErrorKind::Denied, "{denied}");
    custodian.expire(day.plus_days(400)).await.expect("an expiry");
    assert_eq!(indices().await, 0);
}

async fn what_is_set_reaches_the_mappings(installation: &Installation, cluster: &Cluster) {
    let url = cluster.url_as(0, Some((Access::Custodian.function(), PASSWORD)));
    let setting =
        async |arguments: &[&str]| installation.tributary(&url, ROLES, &[&["setting"], arguments].concat()).await;
    // A process of its own reads what was set; one that runs would do so within a minute.
    let run = async || look_after(&installation.custodian(&url)).await;
    assert_eq!(setting(&["set", "search.batch_records", "7"]).await, "search.batch_records is 7\n");
    let ran = run().await;
    assert_eq!(ran["errors"], json!([]), "{ran}");
    assert_eq!(installation.batches(Target::Search).await, [Some(7), Some(2)]);
    assert_eq!(installation.batches(Target::Ledger).await, [Some(500), Some(1)]);
    setting(&["unset", "search.batch_records"]).await;
    run().await;
    assert_eq!(installation.batches(Target::Search).await, [Some(500), Some(2)]);
}

async fn a_lost_ledger_is_made_anew(installation: &Installation, cluster: &Cluster) {
    let aws = async |arguments: &[&str]| installation.tributary(&cluster.url(0), ROLES, arguments).await;
    let tokens = aws(&["token", "list"]).await;
    installation.lose_ledger().await;
    assert!(aws(&["setup"]).await.contains("ledger: "));
    let said = aws(&["ledger", "restore"]).await;
    assert!(said.starts_with("restored 1 tokens, 0 dead letters, 0 outages, "), "{said}");
    assert_eq!(aws(&["token", "list"]).await, tokens);
}

/// The ids of what the project has sent.
async fn found(query: &Function, token: &str) -> Option<BTreeSet<String>> {
    let headers = json!({"authorization": format!("Bearer {token}")});
    let http = json!({"http": {"method": "GET"}});
    let event = json!({
        "version": "2.0", "rawPath": "/v1/invocations", "rawQueryString": "limit=1000", "headers": headers,
        "requestContext": http
    });
    let answer = query.invoke(event.to_string()).await.json();
    let body: Value = serde_json::from_str(answer["body"].as_str()?).ok()?;
    body["items"].as_array()?.iter().map(|item| item["id"].as_str().map(str::to_owned)).collect()
}
