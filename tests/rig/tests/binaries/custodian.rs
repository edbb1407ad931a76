use std::sync::Arc;

use serde_json::json;
use tributary::local::samples;
use tributary_aws::stream::KinesisStream;
use tributary_custodian::{Outage, Step};
use tributary_model::limits::{APPEND_TIMEOUT, STREAM_RETENTION_MAX};
use tributary_model::outages::open_outage_key;
use tributary_model::{Region, Target};
use tributary_ports::objects::Condition;
use tributary_ports::stream::{OperatedStream as _, ShardId};
use tributary_ports::{ConsumerState, Control as _, Ledger as _, Objects as _, PortErrorKind};
use tributary_rig::fault_proxy::Faults;
use tributary_rig::http_front::{Form, Front};
use tributary_rig::{REGION, sdk_config};
use tributary_worker::{Failure, Mark, mark_key};

use crate::installation::{Installation, STREAM, look_after, now};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The ledger's consumer is denied and days behind, and the search cluster can't be reached: its mapping is paused, the
/// stream keeps longer what waits, the other mapping goes on, and when the consumer is back all is as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_pauses_one_mapping_and_keeps_what_waits() {
    let installation = Box::pin(Installation::start(6)).await;
    let custodian = installation.custodian("http://127.0.0.1:9");
    let (objects, control) = (installation.objects().await, installation.control().await);
    let stream = KinesisStream::new(&sdk_config(&installation.proxy.endpoint).await, STREAM);
    let usual = stream.retention().await.unwrap();
    let shard = ShardId("shardId-000000000000".into());
    let key = mark_key(&Region::new(REGION).unwrap(), Target::Ledger, &shard);
    let leave = async |mark: Mark| {
        objects.put(&key, serde_json::to_vec(&mark).unwrap().into(), Condition::Always).await.unwrap();
    };
    let at = now();
    let failure = Failure { kind: PortErrorKind::Denied, since: at, last: at, batches: 1, records: 7 };
    leave(Mark { shard: shard.clone(), at, through: Some(at.plus_ms(-5 * DAY_MS)), failure: Some(failure) }).await;

    let run = look_after(&custodian).await;
    assert_eq!((&run["outages"], &run["consumers_out"]), (&json!([["ledger", "denied"]]), &json!(1)), "{run}");
    assert_eq!((&run["retention_raised"], &run["failed"]), (&json!(1), &json!(1)), "only the expiry fails: {run}");
    assert_eq!(control.state(Target::Ledger).await.unwrap(), ConsumerState::Paused);
    assert_eq!(control.state(Target::Search).await.unwrap(), ConsumerState::Running);
    assert_eq!(stream.retention().await.unwrap(), STREAM_RETENTION_MAX);
    let rows = installation.ledger().await.outages(None, 10).await.unwrap();
    assert_eq!((rows.len(), rows[0].ended_at, rows[0].failed_records), (1, None, 7));

    // The probe, which is not waited for here, and the batch that is handled after it.
    let open = open_outage_key(&Region::new(REGION).unwrap(), Target::Ledger);
    let outage = objects.get(&open).await.unwrap().expect("an outage");
    let mut outage: Outage = serde_json::from_slice(&outage.bytes).unwrap();
    outage.step = Step::ProbingSince(at);
    objects.put(&open, serde_json::to_vec(&outage).unwrap().into(), Condition::Always).await.unwrap();
    let handled = now().plus_ms(1);
    leave(Mark { shard, at: handled, through: Some(handled), failure: None }).await;
    let runs = async || look_after(&custodian).await["outages"] == json!([]);
    tributary_rig::process::until("the outage is over", async || runs().await.then_some(())).await;
    let run = look_after(&custodian).await;
    assert_eq!(run["retention_raised"], 0, "{run}");
    assert_eq!(control.state(Target::Ledger).await.unwrap(), ConsumerState::Running);
    assert!(stream.retention().await.unwrap() >= usual && stream.retention().await.unwrap() < STREAM_RETENTION_MAX);
    let rows = installation.ledger().await.outages(None, 10).await.unwrap();
    assert!(rows.len() == 1 && rows[0].ended_at.is_some(), "{rows:?}");
}

/// What takes longer than a sender would wait for is drained all the same, and once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_stream_is_drained_into_once() {
    let installation = Box::pin(Installation::start(7)).await;
    let custodian = installation.custodian("http://127.0.0.1:9");
    let front = Front::start(Arc::new(installation.collector()), Form::Alb).await;
    installation.proxy.set(Faults { is_gone: true, ..Faults::default() });
    let sent = samples::send(front.address(), &installation.token, now()).await.unwrap();
    let before = installation.proxy.counts().entries;
    installation.proxy.set(Faults { delayed: 1.0, delay: 2 * APPEND_TIMEOUT, ..Faults::default() });
    let run = look_after(&custodian).await;
    assert_eq!((&run["drained"], &run["failed"]), (&json!(sent), &json!(1)), "only the expiry fails: {run}");
    assert_eq!(usize::try_from(installation.proxy.counts().entries - before).unwrap(), sent);
}
