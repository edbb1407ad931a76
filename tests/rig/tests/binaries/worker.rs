use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_kinesis::primitives::Blob;
use serde_json::{Value, json};
use tributary::local::samples;
use tributary_aws::search::OpenSearch;
use tributary_model::{ProjectId, Reason, TokenId};
use tributary_ports::ledger::DeadLetterFilter;
use tributary_ports::{Ledger as _, Objects as _, Target};
use tributary_replay::redrive;
use tributary_rig::http_front::{Form, Front};
use tributary_rig::process::until;
use tributary_rig::{REGION, sdk_config};

use crate::installation::{Installation, STREAM, look_after, now};

/// Where no search cluster is.
const NOWHERE: &str = "http://127.0.0.1:9";

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

/// It is named by its place in the stream, and holds nobody up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_none_becomes_a_dead_letter() {
    let installation = Box::pin(Installation::start(4)).await;
    let put = installation.kinesis.client.put_record().stream_name(STREAM).partition_key("key");
    let put = put.data(Blob::new("no record")).send().await.unwrap();
    let fed = installation.feed(installation.ledger_worker(), Target::Ledger, None).await;
    let ledger = installation.ledger().await;
    let letters = until("it is a dead letter", async || {
        let letters = ledger.dead_letters(&DeadLetterFilter::default(), None, 10).await.unwrap();
        (!letters.is_empty()).then_some(letters)
    });
    let letter = letters.await.remove(0);
    assert_eq!(letter.id, format!("record-{REGION}-{}-{}", put.shard_id.to_lowercase(), put.sequence_number));
    assert_eq!((letter.reason, &letter.targets[..]), (Reason::Unsupported, &[Target::Ledger][..]));
    assert!(installation.objects().await.get(&letter.object_key).await.unwrap().is_some());
    fed.poller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_kills_every_worker_becomes_a_dead_letter_and_its_neighbours_are_stored() {
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

    installation.give_up(Target::Ledger, &given_up[0]).await;
    let run = look_after(&installation.custodian(NOWHERE)).await;
    assert_eq!((&run["given_up"], &run["unreadable"]), (&json!(1), &json!(0)), "{run}");
    assert_eq!(installation.failed_batches().await, [""; 0]);
    let project = Some(ProjectId::new("default").unwrap());
    let filter = DeadLetterFilter { project, ..DeadLetterFilter::default() };
    let letters = installation.ledger().await.dead_letters(&filter, None, 10).await.unwrap();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.reason, &letter.targets[..]), (Reason::Exhausted, &[Target::Ledger][..]));
    assert!(letter.detail.contains("RetryAttemptsExhausted after 2 invocations"), "{letter:?}");

    let search = OpenSearch::new(NOWHERE, &sdk_config(NOWHERE).await).unwrap();
    let replays = installation.replays(Arc::new(search), 100).await;
    let driven = redrive(&replays, now(), &TokenId::new("operator").unwrap(), letter).await.unwrap();
    assert_eq!((driven.resolved, driven.error), (vec![Target::Ledger], None), "by who does not die of it");
    assert_eq!(usize::try_from(installation.rows().await).unwrap(), sent);
}
