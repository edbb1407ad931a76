//! From the agents' requests to an engineer's query, by the real binaries and the best peers there are: load balancer,
//! collector, Kinesis that throttles a third of all entries, a worker a store, OpenSearch in three zones, PostgreSQL behind
//! the Data API, Function URL, query.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../installation/mod.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod installation;

mod agents;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tributary::local::samples;
use tributary_aws::search::OpenSearch;
use tributary_ports::Target;
use tributary_rig::fault_proxy::Faults;
use tributary_rig::http_front::{Form, Front};
use tributary_rig::opensearch::Cluster;
use tributary_rig::process::until;
use tributary_rig::sdk_config;

use installation::{Installation, look_after, now};

const SEED: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_agents_send_is_what_an_engineer_finds_while_a_third_is_throttled() {
    let (installation, cluster) = tokio::join!(Box::pin(Installation::start(SEED)), Box::pin(Cluster::zones()));
    let search = OpenSearch::new(&cluster.url(0), &sdk_config("http://127.0.0.1:9").await).unwrap();
    search.create_templates().await.unwrap();
    installation.proxy.set(Faults { entries_throttled: 1.0 / 3.0, ..Faults::default() });

    let collector = Arc::new(installation.collector());
    let mut sent = 0;
    for form in Form::ALL {
        let front = Front::start(Arc::clone(&collector), form).await;
        sent += samples::send(front.address(), &installation.token, now()).await.unwrap();
    }
    let search = installation.feed(installation.search_worker(&cluster.url(1)), Target::Search, None).await;
    let ledger = installation.feed(installation.ledger_worker(), Target::Ledger, None).await;

    // Some reports were throttled for longer than a sender may wait, and wait in the overflow.
    let custodian = installation.custodian(&cluster.url(0));
    until("the overflow is drained", async || {
        let run = look_after(&custodian).await;
        assert_eq!(run["outages"], json!([]), "no store is out");
        (run["failed"] == 0).then_some(())
    })
    .await;
    let query = Front::start(Arc::new(installation.query(&cluster.url(2))), Form::FunctionUrl).await;
    let found = until("every report is found", async || {
        let ids = ids(query.address(), &installation.token).await?;
        (ids.len() >= sent).then_some(ids)
    });
    assert_eq!(found.await.len(), sent, "each once");
    let rows = until("every report has its row", async || {
        let rows = usize::try_from(installation.rows().await).unwrap();
        (rows >= sent).then_some(rows)
    });
    assert_eq!(rows.await, sent, "each once");
    agents::are_found(&installation, collector, query.address(), &custodian).await;
    let counts = installation.proxy.counts();
    assert!(counts.entries_throttled > 0, "{counts:?}");
    for fed in [&search, &ledger] {
        assert!(fed.mapping.given_up().is_empty());
        fed.poller.stop().await;
    }
}

/// The ids of all invocations, page by page.
async fn ids(address: SocketAddr, token: &str) -> Option<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = get(address, token, &format!("/v1/invocations?limit=50{cursor}")).await?;
        for item in page["items"].as_array()? {
            assert!(ids.insert(item["id"].as_str()?.to_owned()), "{item} comes twice");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Some(ids),
        }
    }
}

async fn get(address: SocketAddr, token: &str, path: &str) -> Option<Value> {
    let connection = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "query").header("authorization", format!("Bearer {token}"));
    let response = sender.send_request(request.body(Full::<Bytes>::default()).ok()?).await.ok()?;
    let is_ok = response.status() == 200;
    let body = response.into_body().collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok().filter(|_| is_ok)
}
