//! Three OpenSearch nodes in three zones, of which one is lost: nothing acknowledged is lost with it, and search answers.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinHandle;
use tributary_aws::search::OpenSearch;
use tributary_model::{Invocation, ReportId};
use tributary_ports::contract::search::samples::{document, everything, invocation};
use tributary_ports::search::{After, Filter, Sort, SortKey};
use tributary_ports::{Search as _, Upserted};
use tributary_rig::opensearch::Cluster;
use tributary_rig::process::until;

const BATCH: u32 = 50;
const OLDEST_FIRST: Sort = Sort { key: SortKey::Timestamp, descending: false };

/// Writes batches, each until it is acknowledged, as a worker's redeliveries do; and searches in between.
struct Load {
    search: Arc<OpenSearch>,
    stopped: Arc<AtomicBool>,
    batches: Arc<AtomicU32>,
    searches: Arc<AtomicU32>,
    tasks: [JoinHandle<()>; 2],
}

impl Load {
    fn start(search: &Arc<OpenSearch>) -> Self {
        let (stopped, batches, searches): (Arc<AtomicBool>, Arc<AtomicU32>, Arc<AtomicU32>) = Default::default();
        let ingest = ingest(Arc::clone(search), Arc::clone(&stopped), Arc::clone(&batches));
        let look = look(Arc::clone(search), Arc::clone(&stopped), Arc::clone(&searches));
        let tasks = [tokio::spawn(ingest), tokio::spawn(look)];
        Self { search: Arc::clone(search), stopped, batches, searches, tasks }
    }

    /// Waits for further batches and searches.
    async fn goes_on(&self) {
        let (batches, searches) = (self.batches.load(Ordering::Relaxed), self.searches.load(Ordering::Relaxed));
        until("batches are acknowledged and searches answered", async || {
            let written = self.batches.load(Ordering::Relaxed) >= batches + 5;
            (written && self.searches.load(Ordering::Relaxed) >= searches + 5).then_some(())
        })
        .await;
    }

    /// Ends it and answers the ids of all that was acknowledged.
    async fn stop(self) -> (Arc<OpenSearch>, BTreeSet<ReportId>) {
        self.stopped.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a load without a panic");
        }
        let ids = (0..self.batches.load(Ordering::Relaxed) * BATCH).map(|number| invocation(number).id).collect();
        (self.search, ids)
    }
}

async fn ingest(search: Arc<OpenSearch>, stopped: Arc<AtomicBool>, batches: Arc<AtomicU32>) {
    while !stopped.load(Ordering::Relaxed) {
        let first = batches.load(Ordering::Relaxed) * BATCH;
        let documents: Vec<_> = (first..first + BATCH).map(invocation).map(document).collect();
        if let Ok(answers) = search.upsert(documents).await {
            assert!(
                answers.iter().all(|answer| matches!(answer, Upserted::Applied | Upserted::AlreadyThere)),
                "{answers:?}"
            );
            batches.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn look(search: Arc<OpenSearch>, stopped: Arc<AtomicBool>, searches: Arc<AtomicU32>) {
    while !stopped.load(Ordering::Relaxed) {
        if search.find(&everything(Filter::All), OLDEST_FIRST, None, 1).await.is_ok() {
            searches.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Everything that can be found, page by page.
async fn all(search: &OpenSearch) -> Vec<ReportId> {
    let mut found: Vec<Invocation> = Vec::new();
    loop {
        let after = found.last().map(|last| After::invocation(SortKey::Timestamp, last));
        let page = search.find(&everything(Filter::All), OLDEST_FIRST, after, 1000).await.expect("a page");
        if page.is_empty() {
            return found.iter().map(|invocation| invocation.id).collect();
        }
        found.extend(page);
    }
}

/// For each index the nodes that have a copy of it in service; there is a node in each zone.
async fn copies(cluster: &Cluster) -> BTreeMap<String, BTreeSet<String>> {
    let path = "/_cat/shards/invocations-*?format=json&h=index,node,state";
    let (_, shards) = cluster.ask(0, "GET", path, &Value::Null).await.expect("the shards");
    let mut copies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for shard in shards.as_array().expect("a list") {
        let text = |field: &str| shard[field].as_str().unwrap_or_default().to_owned();
        let nodes = copies.entry(text("index")).or_default();
        if text("state") == "STARTED" {
            nodes.insert(text("node"));
        }
    }
    copies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_zone_loses_nothing() {
    let mut cluster = Cluster::zones().await;
    let config = tributary_aws::sdk::config(tributary_rig::REGION).await;
    let search = Arc::new(OpenSearch::new(&cluster.url(0), &config).expect("a cluster's URL"));
    search.create_templates().await.expect("the templates");
    let load = Load::start(&search);
    load.goes_on().await;
    // The index of a new day begins with one copy.
    cluster.recovers().await;
    let whole = copies(&cluster).await;
    assert!(!whole.is_empty() && whole.values().all(|nodes| nodes.len() == 3), "{whole:?}");

    cluster.signal(2, Signal::KILL);
    cluster.has_nodes(0, 2).await;
    load.goes_on().await;
    let left = copies(&cluster).await;
    assert!(left.len() == whole.len() && left.values().all(|nodes| nodes.len() == 2), "{left:?}");
    cluster.restart(2);
    cluster.recovers().await;

    cluster.signal(1, Signal::STOP);
    load.goes_on().await;
    cluster.has_nodes(0, 2).await;
    load.goes_on().await;
    cluster.signal(1, Signal::CONT);
    cluster.recovers().await;
    load.goes_on().await;

    let (search, acknowledged) = load.stop().await;
    let refreshed = cluster.ask(0, "POST", "/invocations-*/_refresh", &Value::Null).await.expect("an answer");
    assert_eq!(refreshed.0, 200);
    let found = all(&search).await;
    let once: BTreeSet<ReportId> = found.iter().copied().collect();
    assert_eq!(once.len(), found.len(), "something is found twice");
    assert!(
        acknowledged.is_subset(&once),
        "{} of {} are lost",
        acknowledged.difference(&once).count(),
        acknowledged.len()
    );
}
