use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tributary::local::samples;
use tributary_ports::Target;
use tributary_rig::http_front::{Form, Front};
use tributary_rig::process::until;

use crate::installation::{Installation, now};

/// Partition keys of an event's records.
fn keys(event: &[u8]) -> Vec<String> {
    let event: Value = serde_json::from_slice(event).unwrap();
    let records = event["Records"].as_array().unwrap().iter();
    records.map(|record| record["kinesis"]["partitionKey"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_worker_is_killed_comes_again() {
    let installation = Box::pin(Installation::start(2)).await;
    let front = Front::start(Arc::new(installation.collector()), Form::Alb).await;
    let sent = samples::send(front.address(), &installation.token, now()).await.unwrap();
    let deliveries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&deliveries);
    let worker = installation.ledger_worker().killed_by(move |_| counted.fetch_add(1, Ordering::SeqCst) < 2);
    let fed = installation.feed(worker, Target::Ledger, None).await;
    let rows = until("every report has its row", async || {
        let rows = usize::try_from(installation.rows().await).unwrap();
        (rows >= sent).then_some(rows)
    });
    assert_eq!(rows.await, sent, "{}", fed.worker.log());
    assert!(deliveries.load(Ordering::SeqCst) > 2);
    fed.poller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_kills_every_worker_is_put_aside_and_its_neighbours_are_stored() {
    let installation = Box::pin(Installation::start(3)).await;
    let front = Front::start(Arc::new(installation.collector()), Form::Alb).await;
    let sent = samples::send(front.address(), &installation.token, now()).await.unwrap();
    // The first record that comes is the one.
    let poison = std::sync::OnceLock::<String>::new();
    let kills = move |event: &[u8]| {
        let keys = keys(event);
        let poison = poison.get_or_init(|| keys[keys.len() / 2].clone());
        keys.contains(poison)
    };
    let fed = installation.feed(installation.ledger_worker().killed_by(kills), Target::Ledger, Some(1)).await;
    until("its neighbours have their rows", async || {
        (usize::try_from(installation.rows().await).unwrap() == sent - 1).then_some(())
    })
    .await;
    let given_up = until("it is given up", async || Some(fed.mapping.given_up()).filter(|all| !all.is_empty())).await;
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0]["KinesisBatchInfo"]["batchSize"], 1);
    let payload = given_up[0]["payload"].as_str().unwrap();
    assert_eq!(keys(payload.as_bytes()).len(), 1, "its bytes are kept");
    fed.poller.stop().await;
}
