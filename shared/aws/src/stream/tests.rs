//! What no peer can be made to show. The cases of other systems' bugs: a partly failed PutRecords taken for a success,
//! retried whole, or retried with the positions of the first batch; an iterator refreshed at the stream's end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tributary_ports::PortErrorKind;

use super::*;
use crate::testing::{Answer, Asked, Scripted, config};

async fn stream(server: &Scripted) -> KinesisStream {
    KinesisStream::new(&server.config().await, "reports")
}

fn entries(count: usize) -> Vec<Entry> {
    let entry =
        |place: usize| Entry { partition_key: format!("key {place}").into(), data: format!("data {place}").into() };
    (0..count).map(entry).collect()
}

/// The data of a PutRecords, in its order.
fn sent(asked: &Asked) -> Vec<String> {
    let body = asked.json();
    let data = |record: &Value| STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
    body["Records"].as_array().unwrap().iter().map(|record| String::from_utf8(data(record)).unwrap()).collect()
}

/// An answer to a PutRecords in which the entries of which `fails` tells a code were not stored.
fn stored(asked: &Asked, numbers: &Numbers, fails: impl Fn(usize) -> Option<&'static str>) -> Answer {
    let records: Vec<Value> = sent(asked)
        .into_iter()
        .enumerate()
        .map(|(place, data)| match fails(place) {
            Some(code) => json!({ "ErrorCode": code, "ErrorMessage": "CANARY" }),
            None => json!({ "SequenceNumber": numbers.store(data), "ShardId": "shardId-0" }),
        })
        .collect();
    let failed = records.iter().filter(|record| record.get("ErrorCode").is_some()).count();
    Answer::json(&json!({ "FailedRecordCount": failed, "Records": records }))
}

/// What a stream has stored, by number, in the order in which it came.
#[derive(Clone, Default)]
struct Numbers(Arc<Mutex<Vec<String>>>);

impl Numbers {
    fn store(&self, data: String) -> String {
        let mut stored = self.0.lock().unwrap();
        stored.push(data);
        format!("{}", 1000 + stored.len())
    }

    fn data_of(&self, number: &SequenceNumber) -> String {
        let place: usize = number.0.parse().unwrap();
        self.0.lock().unwrap()[place - 1001].clone()
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// L1, L25, D2, D6: failures drawn anew on every retry, three rounds deep; only what failed comes again, and each entry
/// gets the number under which it was stored.
#[tokio::test]
async fn entries_that_fail_round_after_round_are_stored_once_each() {
    let numbers = Numbers::default();
    let kept = numbers.clone();
    let server = Scripted::start(move |round, asked| {
        stored(asked, &kept, |place| match (round, place % 3) {
            (0..3, 0) => Some("ProvisionedThroughputExceededException"),
            (0..3, 2) => Some("InternalFailure"),
            _ => None,
        })
    })
    .await;
    let appended = stream(&server).await.append(entries(20)).await.unwrap();
    let data: Vec<String> = appended.iter().map(|number| numbers.data_of(number)).collect();
    assert_eq!(data, (0..20).map(|place| format!("data {place}")).collect::<Vec<_>>());
    assert_eq!(numbers.all().len(), 20, "nothing is stored twice");
    let rounds: Vec<usize> = server.asked().iter().map(|asked| sent(asked).len()).collect();
    assert_eq!(rounds, [20, 13, 9, 6], "a third is stored each time");
}

/// L2: what is left when the time is over is a failure, however much was stored.
#[tokio::test]
async fn an_append_of_which_one_entry_is_never_stored_fails() {
    let numbers = Numbers::default();
    let kept = numbers.clone();
    let server = Scripted::start(move |_, asked| {
        let fails: Vec<bool> = sent(asked).iter().map(|data| data == "data 3").collect();
        stored(asked, &kept, |place| fails[place].then_some("ProvisionedThroughputExceededException"))
    })
    .await;
    let error = stream(&server).await.append(entries(5)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Throttled);
    let text = "stream.append: throttled: 1 of 5 entries were refused, the last time with \
                ProvisionedThroughputExceededException";
    assert_eq!(error.to_string(), text);
    let asked = server.asked();
    assert!((2..=8).contains(&asked.len()), "{} calls", asked.len());
    assert!(asked.iter().skip(1).all(|asked| sent(asked) == ["data 3"]), "its neighbours are not sent again");
}

#[tokio::test]
async fn a_whole_failure_is_tried_again_with_everything() {
    for answer in [Answer::error(500, "InternalFailure"), Answer::error(503, "ServiceUnavailable"), Answer::Dropped] {
        let numbers = Numbers::default();
        let kept = numbers.clone();
        let server = Scripted::start(move |round, asked| match round {
            0 => answer.clone(),
            _ => stored(asked, &kept, |_| None),
        })
        .await;
        assert_eq!(stream(&server).await.append(entries(3)).await.unwrap().len(), 3);
        assert_eq!(numbers.all(), ["data 0", "data 1", "data 2"]);
    }
}

#[tokio::test]
async fn a_failure_that_time_does_not_mend_is_answered_at_once() {
    for (code, kind) in [
        ("AccessDeniedException", PortErrorKind::Denied),
        ("ExpiredTokenException", PortErrorKind::Denied),
        ("KMSDisabledException", PortErrorKind::Denied),
        ("ResourceNotFoundException", PortErrorKind::NotFound),
        ("ValidationException", PortErrorKind::Invalid),
    ] {
        let server = Scripted::start(move |_, _| Answer::error(400, code)).await;
        let error = stream(&server).await.append(entries(1)).await.unwrap_err();
        assert_eq!((error.kind, server.asked().len()), (kind, 1), "{error}");
    }
}

#[tokio::test]
async fn an_answer_for_another_count_of_entries_is_no_success() {
    let server = Scripted::start(|_, _| Answer::json(&json!({ "FailedRecordCount": 0, "Records": [] }))).await;
    let error = stream(&server).await.append(entries(2)).await.unwrap_err();
    assert_eq!(error.to_string(), "stream.append: unavailable: an answer for 0 entries of 2");
}

/// S11: calls stay few however long the stream is gone.
#[tokio::test]
async fn a_stream_that_is_gone_is_asked_a_bounded_number_of_times() {
    let server = Scripted::start(|_, _| Answer::error(500, "InternalFailure")).await;
    let stream = stream(&server).await.with_append_timeout(Duration::from_secs(4));
    let begun = tokio::time::Instant::now();
    let error = stream.append(entries(1)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // Pauses of 20 to 640 ms, then of a second, each of which passes by half at least.
    assert!((6..=16).contains(&server.asked().len()), "{} calls", server.asked().len());
}

#[tokio::test]
async fn a_connection_that_hangs_leaves_time_for_another() {
    let numbers = Numbers::default();
    let kept = numbers.clone();
    let server = Scripted::start(move |round, asked| match round {
        0 => Answer::Never,
        _ => stored(asked, &kept, |_| None),
    })
    .await;
    assert_eq!(stream(&server).await.append(entries(1)).await.unwrap().len(), 1);
    let closed = "http://127.0.0.1:9";
    let stream = KinesisStream::new(&config(closed).await, "reports");
    let begun = std::time::Instant::now();
    assert_eq!(stream.append(entries(1)).await.unwrap_err().kind, PortErrorKind::Unavailable);
    assert!(begun.elapsed() < limits::APPEND_TIMEOUT, "{:?}", begun.elapsed());
}

/// A shard with records 1 to 9, read through iterators that a test can let expire.
struct Shelf {
    expires: fn(usize) -> bool,
}

impl Shelf {
    /// An iterator is the number of the first record behind it.
    fn answer(&self, before: usize, asked: &Asked) -> Answer {
        let body = asked.json();
        let number = |name: &str| body[name].as_str().and_then(|number| number.parse::<usize>().ok());
        match asked.operation() {
            "GetShardIterator" => {
                let first = match body["ShardIteratorType"].as_str().unwrap() {
                    "TRIM_HORIZON" => 1,
                    "AT_SEQUENCE_NUMBER" => number("StartingSequenceNumber").unwrap(),
                    "AFTER_SEQUENCE_NUMBER" => number("StartingSequenceNumber").unwrap() + 1,
                    other => panic!("{other} may skip records"),
                };
                Answer::json(&json!({ "ShardIterator": first.to_string() }))
            }
            "GetRecords" if (self.expires)(before) => Answer::error(400, "ExpiredIteratorException"),
            "GetRecords" => {
                let first = number("ShardIterator").unwrap();
                let end = (first + usize::try_from(body["Limit"].as_u64().unwrap()).unwrap()).min(10);
                let record = |number: usize| {
                    json!({
                        "SequenceNumber": number.to_string(), "PartitionKey": "k", "Data": STANDARD.encode([0]),
                        "ApproximateArrivalTimestamp": 1_795_284_061.5,
                    })
                };
                let records: Vec<Value> = (first..end).map(record).collect();
                Answer::json(&json!({
                    "Records": records, "NextShardIterator": end.to_string(), "MillisBehindLatest": (10 - end) * 100,
                }))
            }
            other => panic!("{other} is not expected"),
        }
    }
}

fn operations(server: &Scripted) -> BTreeMap<String, usize> {
    server.asked().iter().fold(BTreeMap::new(), |mut counts, asked| {
        *counts.entry(asked.operation().to_owned()).or_default() += 1;
        counts
    })
}

/// Reads a shard from its beginning in pages of two until it has caught up.
async fn numbers_of(stream: &KinesisStream) -> Vec<String> {
    let shard = ShardId("shardId-0".into());
    let mut at = Position::Horizon;
    let mut read = Vec::new();
    loop {
        let page = stream.read(&shard, &at, 2).await.unwrap();
        read.extend(page.records.iter().map(|record| record.sequence_number.to_string()));
        at = page.next.unwrap();
        if page.behind_ms == 0 {
            return read;
        }
    }
}

#[tokio::test]
async fn a_reader_goes_on_with_the_iterator_that_it_has() {
    let shelf = Shelf { expires: |_| false };
    let server = Scripted::start(move |before, asked| shelf.answer(before, asked)).await;
    let read = numbers_of(&stream(&server).await).await;
    assert_eq!(read, (1..10).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(operations(&server)["GetShardIterator"], 1);
}

/// L19: behind an expired iterator, reading goes on behind the last record that was read.
#[tokio::test]
async fn an_expired_iterator_is_made_anew_behind_the_last_record_read() {
    let shelf = Shelf { expires: |before| before % 3 == 2 };
    let server = Scripted::start(move |before, asked| shelf.answer(before, asked)).await;
    let read = numbers_of(&stream(&server).await).await;
    assert_eq!(read, (1..10).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(operations(&server)["GetShardIterator"] > 1);
}

#[tokio::test]
async fn an_old_iterator_is_not_even_tried() {
    let shelf = Shelf { expires: |_| false };
    let server = Scripted::start(move |before, asked| shelf.answer(before, asked)).await;
    let stream = stream(&server).await;
    let shard = ShardId("shardId-0".into());
    let page = stream.read(&shard, &Position::Horizon, 2).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
    let page = stream.read(&shard, &page.next.unwrap(), 2).await.unwrap();
    assert_eq!(page.records[0].sequence_number, SequenceNumber("3".into()));
    assert_eq!(operations(&server), BTreeMap::from([("GetRecords".to_owned(), 2), ("GetShardIterator".to_owned(), 2)]));
}

#[tokio::test]
async fn an_iterator_that_is_expired_when_it_is_made_is_unavailable() {
    let shelf = Shelf { expires: |_| true };
    let server = Scripted::start(move |before, asked| shelf.answer(before, asked)).await;
    let error = stream(&server).await.read(&ShardId("s".into()), &Position::Horizon, 1).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable);
    assert!(server.asked().len() <= 4, "{} calls", server.asked().len());
}

/// 5 reads and 2 MB a second, whoever reads the shard.
#[tokio::test]
async fn readers_of_a_shard_keep_its_pace_together() {
    let server = Scripted::start(|_, asked| match asked.operation() {
        "GetShardIterator" => Answer::json(&json!({ "ShardIterator": "i" })),
        _ => Answer::json(&json!({
            "Records": [{ "SequenceNumber": "1", "PartitionKey": "k", "Data": STANDARD.encode(vec![0; 999_999]) }],
            "NextShardIterator": "i", "MillisBehindLatest": 1,
        })),
    })
    .await;
    let stream = stream(&server).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..3 {
        stream.read(&ShardId("one".into()), &Position::Horizon, 1).await.unwrap();
    }
    // Each page of 1 MB takes half a second of its shard; the first waits for nothing.
    assert!(begun.elapsed() >= Duration::from_millis(990), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_throttled_read_is_throttled_after_a_few_attempts() {
    let server = Scripted::start(|_, asked| match asked.operation() {
        "GetShardIterator" => Answer::json(&json!({ "ShardIterator": "i" })),
        _ => Answer::error(400, "ProvisionedThroughputExceededException"),
    })
    .await;
    let error = stream(&server).await.read(&ShardId("s".into()), &Position::Horizon, 1).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Throttled);
    assert_eq!(operations(&server)["GetRecords"], usize::try_from(limits::AWS_ATTEMPTS_MAX).unwrap());
}

#[tokio::test]
async fn an_empty_page_is_progress_and_a_closed_shard_ends() {
    let server = Scripted::start(|before, asked| match (asked.operation(), before) {
        ("GetShardIterator", _) => Answer::json(&json!({ "ShardIterator": "first" })),
        (_, 1) => Answer::json(&json!({ "Records": [], "NextShardIterator": "second", "MillisBehindLatest": 5000 })),
        _ => Answer::json(&json!({ "Records": [], "MillisBehindLatest": 0 })),
    })
    .await;
    let stream = stream(&server).await;
    let shard = ShardId("s".into());
    let gap = stream.read(&shard, &Position::Horizon, 1).await.unwrap();
    assert_eq!(gap, Page { records: Vec::new(), next: Some(Position::Horizon), behind_ms: 5000 });
    let end = stream.read(&shard, &gap.next.unwrap(), 1).await.unwrap();
    assert_eq!(end, Page { records: Vec::new(), next: None, behind_ms: 0 });
    assert_eq!(server.asked()[2].json()["ShardIterator"], "second");
}

#[tokio::test]
async fn shards_of_all_pages_are_listed_parents_first() {
    let shard = |id: &str, number: &str, parents: [Option<&str>; 2]| {
        json!({
            "ShardId": id, "ParentShardId": parents[0], "AdjacentParentShardId": parents[1],
            "HashKeyRange": { "StartingHashKey": "0", "EndingHashKey": "1" },
            "SequenceNumberRange": { "StartingSequenceNumber": number },
        })
    };
    let first = json!({ "NextToken": "t", "Shards": [
        shard("merged", "300", [Some("left"), Some("right")]), shard("right", "99", [Some("gone"), None]),
    ]});
    let second = json!({ "Shards": [shard("left", "98", [None, None])] });
    let server = Scripted::start(move |_, asked| {
        let body = asked.json();
        assert_ne!(body.get("NextToken").is_some(), body.get("StreamName").is_some(), "one of both");
        Answer::json(if body.get("NextToken").is_some() { &second } else { &first })
    })
    .await;
    let shards = stream(&server).await.shards().await.unwrap();
    let ids: Vec<&str> = shards.iter().map(|shard| &*shard.id.0).collect();
    assert_eq!(ids, ["right", "left", "merged"]);
    let parents: Vec<BTreeSet<&str>> =
        shards.iter().map(|shard| shard.parents.iter().map(|parent| &*parent.0).collect()).collect();
    assert_eq!(parents, [BTreeSet::new(), BTreeSet::new(), BTreeSet::from(["left", "right"])]);
}

#[tokio::test]
async fn a_stream_may_be_named_by_its_arn() {
    let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/reports";
    let server = Scripted::start(|_, _| Answer::json(&json!({ "Shards": [] }))).await;
    KinesisStream::new(&server.config().await, arn).shards().await.unwrap();
    let body = server.asked()[0].json();
    assert_eq!((body["StreamARN"].as_str(), body.get("StreamName")), (Some(arn), None));
}
