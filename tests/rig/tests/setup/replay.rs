//! An index is deleted as in a disaster, and rebuilt by a replay that an operator starts over the API and the replay
//! function runs, handing over to itself.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_rig::opensearch::Cluster;
use tributary_rig::process::until;
use tributary_rig::runtime_api::Function;

use crate::found;
use crate::installation::{Installation, STREAM};

/// Records a second: slow enough for two invocations.
const RATE: u64 = 20;

pub(crate) async fn a_deleted_index_is_rebuilt(
    installation: &Installation,
    cluster: &Cluster,
    query: &Function,
    replay_url: &str,
    sent: usize,
) {
    let token = &installation.token;
    assert_eq!(cluster.ask(0, "DELETE", "/invocations-*", &Value::Null).await.unwrap().0, 200);
    assert_eq!(found(query, token).await.map(|ids| ids.len()), Some(0));
    let body = json!({"from": "1h", "targets": ["search"], "records_per_second": RATE}).to_string();
    let started = ask(query, token, "POST", "/v1/replays", &body).await;
    let id = started["id"].as_str().unwrap_or_else(|| panic!("{started}\n{}", query.log()));
    let path = format!("/v1/replays/{id}");

    // An invocation that has two seconds left.
    let short = installation.replay(replay_url).with_timeout(Duration::from_secs(62));
    let round = run(&short).await;
    assert_eq!((&round["handed_over"], &round["errors"]), (&json!(true), &json!([])), "{}", short.log());
    let half = ask(query, token, "GET", &path, "").await;
    assert_eq!(half["state"], "running", "{half}");

    let replay = installation.replay(replay_url).with_timeout(Duration::from_secs(900));
    let finished = until("the replay is finished", async || {
        let round = run(&replay).await;
        assert_eq!((&round["handed_over"], &round["errors"]), (&json!(false), &json!([])), "{}", replay.log());
        Some(ask(query, token, "GET", &path, "").await).filter(|progress| progress["state"] == "finished")
    })
    .await;
    let counts = &finished["counts"];
    assert_eq!(counts["search"]["applied"], json!(sent), "{finished}");
    // A PutRecords that a slow machine answers too late is sent again, and the stream has its record twice.
    let [read, twice] = [&counts["read"], &counts["search"]["already_there"]].map(|count| count.as_u64().unwrap());
    assert_eq!(read - twice, sent as u64, "{finished}");
    let is_whole = async || found(query, token).await.filter(|ids| ids.len() == sent);
    until("every report is found again", is_whole).await;
    // Kinesis lists a consumer for a while after it was told to forget it.
    let is_gone = async || (installation.kinesis.readers(STREAM).await == 0).then_some(());
    until("nobody pays for its reader any more", is_gone).await;
}

/// One invocation by the schedule; what it logged of itself.
async fn run(replay: &Function) -> Value {
    let answer = replay.invoke(r#"{"detail-type":"Scheduled Event"}"#).await.json();
    assert_eq!(answer, Value::Null, "{}", replay.log());
    let log = replay.log();
    let round = log.lines().rfind(|line| line.contains(r#""replay.round""#)).expect("a round's line");
    serde_json::from_str(round).unwrap()
}

async fn ask(query: &Function, token: &str, method: &str, path: &str, body: &str) -> Value {
    let event = json!({
        "version": "2.0", "rawPath": path, "body": body,
        "headers": {"authorization": format!("Bearer {token}"), "content-type": "application/json"},
        "requestContext": {"http": {"method": method}}
    });
    let answer = query.invoke(event.to_string()).await.json();
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}
