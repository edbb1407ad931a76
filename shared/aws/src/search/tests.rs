//! Bulk answers of every kind, from a scripted server: what a real one can't be made to show.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tributary_model::limits::{SEARCH_ANSWER_BYTES_MAX, SEARCH_ATTEMPTS_MAX, SEARCH_BULK_BYTES};
use tributary_model::{StoreSettings, TimestampMs, Version};
use tributary_ports::PortErrorKind::{Denied, Invalid, NotFound, Throttled, Unavailable};
use tributary_ports::Upserted::{AlreadyThere, Applied, Refused, Superseded};
use tributary_ports::contract::search::samples::{document, everything, invocation, project};
use tributary_ports::search::{Filter, Sort, SortKey};

use super::*;
use crate::testing::{Answer, Asked, Scripted};

/// One document of a bulk request: its id and version, and its JSON.
#[derive(Debug, Clone)]
struct Sent {
    id: String,
    version: u64,
    source: Value,
}

fn sent(asked: &Asked) -> Vec<Sent> {
    let mut lines = String::new();
    GzDecoder::new(asked.body.as_ref()).read_to_string(&mut lines).expect("gzip");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let one = |pair: &[Value]| {
        let action = &pair[0]["index"];
        assert_eq!(action["version_type"], "external");
        let id = action["_id"].as_str().expect("an id").to_owned();
        Sent { id, version: action["version"].as_u64().expect("a version"), source: pair[1].clone() }
    };
    lines.chunks(2).map(one).collect()
}

fn item(status: u16, name: &str) -> Value {
    if status < 300 {
        return json!({ "index": { "status": status } });
    }
    json!({ "index": { "status": status, "error": { "type": name, "reason": "CANARY" } } })
}

fn ok() -> Value {
    item(201, "")
}

fn items(items: &[Value]) -> Answer {
    Answer::json(&json!({ "took": 1, "errors": true, "items": items }))
}

fn template() -> Answer {
    Answer::json(&json!({ "template": { "mappings": { "_meta": { "version": u32::MAX } } } }))
}

/// A cluster that is set up, and answers the bulk requests as `bulk` says of their number and content.
async fn cluster(bulk: impl Fn(usize, &[Sent]) -> Answer + Send + Sync + 'static) -> Scripted {
    let bulks = Mutex::new(0);
    Scripted::start(move |_, asked| {
        if asked.target.starts_with("/_index_template") {
            return template();
        }
        assert!(asked.target.starts_with("/_bulk"), "{}", asked.target);
        let mut bulks = bulks.lock().expect("a lock");
        *bulks += 1;
        bulk(*bulks - 1, &sent(asked))
    })
    .await
}

async fn search(server: &Scripted) -> OpenSearch {
    OpenSearch::new(&server.endpoint, &server.config().await).expect("a cluster")
}

fn documents(numbers: std::ops::Range<u32>) -> Vec<Document> {
    numbers.map(invocation).map(document).collect()
}

fn bulks(server: &Scripted) -> Vec<Vec<Sent>> {
    server.asked().iter().filter(|asked| asked.target.starts_with("/_bulk")).map(sent).collect()
}

fn ids(sent: &[Sent]) -> Vec<String> {
    sent.iter().map(|sent| sent.id.clone()).collect()
}

async fn upsert(server: &Scripted, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
    search(server).await.upsert(documents).await
}

/// L3, L25, L28, D2: failures are drawn anew on every attempt, several rounds deep; each time only what failed is sent.
#[tokio::test(start_paused = true)]
async fn failed_items_alone_are_sent_again_round_after_round() {
    let server = cluster(|round, sent| {
        let failing = |position: usize| round < 3 && !(position + round).is_multiple_of(3);
        let status = |position: usize| if position.is_multiple_of(2) { 429 } else { 503 };
        let answers: Vec<_> = (0..sent.len())
            .map(
                |position| {
                    if failing(position) { item(status(position), "es_rejected_execution_exception") } else { ok() }
                },
            )
            .collect();
        items(&answers)
    })
    .await;
    let written = documents(0..50);
    let all: Vec<String> = written.iter().map(|document| document.invocation.id.to_string()).collect();
    assert_eq!(upsert(&server, written).await.expect("all"), vec![Applied; 50]);
    let bulks = bulks(&server);
    assert_eq!(bulks.len(), 4);
    let mut expected = all;
    for (round, sent) in bulks.iter().enumerate() {
        assert_eq!(ids(sent), expected, "round {round}");
        let failed = expected.into_iter().enumerate().filter(|(position, _)| !(position + round).is_multiple_of(3));
        expected = failed.map(|(_, id)| id).collect();
    }
}

/// L29: longer than any number of attempts.
#[tokio::test(start_paused = true)]
async fn items_that_go_on_failing_fail_the_call() {
    for (status, kind) in [(429, Throttled), (503, Unavailable)] {
        let server = cluster(move |_, sent| {
            let answers: Vec<_> = (0..sent.len()).map(|at| if at == 0 { item(status, "x") } else { ok() }).collect();
            items(&answers)
        })
        .await;
        let error = upsert(&server, documents(0..3)).await.expect_err("a failure");
        assert_eq!(error.kind, kind, "{error}");
        let lengths: Vec<usize> = bulks(&server).iter().map(Vec::len).collect();
        assert_eq!(lengths.len(), SEARCH_ATTEMPTS_MAX as usize);
        assert_eq!(lengths[..2], [3, 1]);
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }
}

/// L27: the whole request fails, for ever; calls and their number are bounded.
#[tokio::test(start_paused = true)]
async fn a_request_that_goes_on_failing_fails_the_call() {
    for (status, kind, attempts) in [
        (503, Unavailable, 5),
        (502, Unavailable, 5),
        (429, Throttled, 5),
        (401, Denied, 1),
        (403, Denied, 1),
        (413, Invalid, 1),
    ] {
        let server = cluster(move |_, _| Answer::Whole(status, Vec::new(), Bytes::from_static(b"CANARY"))).await;
        let error = upsert(&server, documents(0..3)).await.expect_err("a failure");
        assert_eq!((error.kind, bulks(&server).len()), (kind, attempts), "{status}");
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_tried_again() {
    let server = cluster(|round, sent| if round < 2 { Answer::Dropped } else { items(&vec![ok(); sent.len()]) }).await;
    assert_eq!(upsert(&server, documents(0..3)).await.expect("all"), vec![Applied; 3]);
}

/// L5: an address where nobody listens and a name that nobody knows are bad luck: the batch comes again.
#[tokio::test]
async fn a_cluster_that_nobody_reaches_is_unavailable() {
    let server = cluster(|_, sent| items(&vec![ok(); sent.len()])).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = listener.local_addr().expect("an address");
    drop(listener);
    for endpoint in [format!("http://{closed}"), "https://u:p@no-such-host.invalid".to_owned()] {
        let search = OpenSearch::new(&endpoint, &server.config().await).expect("a cluster");
        let error = search.upsert(documents(0..3)).await.expect_err("nobody is there");
        assert_eq!(error.kind, Unavailable, "{endpoint}: {error}");
    }
    assert!(server.asked().is_empty());
}

/// L6: an item that is denied fails the call at once.
#[tokio::test(start_paused = true)]
async fn a_denied_item_is_never_dropped() {
    for (status, name, kind) in [
        (403, "security_exception", Denied),
        (404, "index_not_found_exception", NotFound),
        (400, "validation_exception", Invalid),
    ] {
        let server = cluster(move |_, _| items(&[ok(), item(status, name), ok()])).await;
        let error = upsert(&server, documents(0..3)).await.expect_err("a failure");
        assert_eq!((error.kind, bulks(&server).len()), (kind, 1), "{error}");
    }
}

/// What the index refuses is sent once more without the customer's fields, and its neighbours are not.
#[tokio::test(start_paused = true)]
async fn a_refused_document_is_sent_once_more_without_the_customers_fields() {
    let refused = documents(1..2)[0].invocation.id.to_string();
    let server = cluster(move |_, sent| {
        let answer = |sent: &Sent| {
            let is_whole = sent.source.get("unindexed").is_none();
            if sent.id == refused && is_whole { item(400, "mapper_parsing_exception") } else { ok() }
        };
        items(&sent.iter().map(answer).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(upsert(&server, documents(0..3)).await.expect("all"), vec![Applied; 3]);
    let bulks = bulks(&server);
    assert_eq!(bulks.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(bulks[1][0].source["removed_count"], 1);
}

/// L8: two documents of one id, both refused: each has its own answer.
#[tokio::test(start_paused = true)]
async fn what_is_refused_twice_is_refused() {
    let server = cluster(|_, sent| items(&vec![item(400, "illegal_argument_exception"); sent.len()])).await;
    let mut written = documents(0..1);
    written.push(written[0].clone());
    written[1].version = Version::from_u64(written[0].version.as_u64() + 1);
    let answers = upsert(&server, written).await.expect("answers");
    let reason = "the index refused it: illegal_argument_exception";
    assert_eq!(answers, vec![Refused(reason.to_owned()); 2]);
    assert_eq!(bulks(&server).len(), 4, "one after the other, each twice");
}

/// L4: another layout, other keys, and a document that holds the words of a failure.
#[tokio::test(start_paused = true)]
async fn nothing_is_found_by_its_words() {
    let server = cluster(|_, sent| {
        let answers = vec!["{\n \"index\" : { \"took\" : 1 , \"status\" : 200 }\n}"; sent.len()].join(" , ");
        let text = format!("{{\n\"items\" : [ {answers} ],\n \"errors\":true, \"took\" : 3\n}}\n");
        Answer::Whole(200, Vec::new(), text.into())
    })
    .await;
    let mut written = documents(0..2);
    written[0].invocation.labels = vec![r#""errors":true,"status":429"#.to_owned()];
    assert_eq!(upsert(&server, written).await.expect("all"), vec![Applied; 2]);
}

/// An answer that does not fit its request belongs to none of its documents.
#[tokio::test(start_paused = true)]
async fn an_answer_of_another_length_counts_for_nothing() {
    for answer in [json!({ "items": [ok()] }), json!({ "items": vec![ok(); 4] }), json!({}), json!([])] {
        let server =
            cluster(move |round, sent| if round == 0 { Answer::json(&answer) } else { items(&vec![ok(); sent.len()]) })
                .await;
        assert_eq!(upsert(&server, documents(0..3)).await.expect("all"), vec![Applied; 3]);
        assert_eq!(bulks(&server).iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
    }
}

/// A cluster in memory: what the rules of external versions say, with `lag` looks in which the copy that is asked for a
/// version does not have it yet.
async fn versions(lag: usize) -> Scripted {
    let stored: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let looks = Mutex::new(0);
    Scripted::start(move |_, asked| {
        let mut stored = stored.lock().expect("a lock");
        if asked.target.starts_with("/_bulk") {
            let mut write = |sent: Sent| match stored.get(&sent.id) {
                Some(version) if *version >= sent.version => item(409, "version_conflict_engine_exception"),
                _ => {
                    stored.insert(sent.id, sent.version);
                    ok()
                }
            };
            return items(&sent(asked).into_iter().map(&mut write).collect::<Vec<_>>());
        }
        if asked.target.starts_with("/_mget") {
            let mut looks = looks.lock().expect("a lock");
            *looks += 1;
            let asked = asked.json();
            let one = |place: &Value| {
                let id = place["_id"].as_str().expect("an id");
                let version = if *looks <= lag { None } else { stored.get(id) };
                version.map_or_else(|| json!({ "_id": id }), |version| json!({ "_id": id, "_version": version }))
            };
            let docs: Vec<_> = asked["docs"].as_array().expect("places").iter().map(one).collect();
            return Answer::json(&json!({ "docs": docs }));
        }
        template()
    })
    .await
}

fn at_version(version: u64) -> Document {
    let mut document = document(invocation(1));
    document.version = Version::from_u64(version);
    document
}

/// D4: a conflict is an end, and which one is told by the version that stands there.
#[tokio::test(start_paused = true)]
async fn a_conflict_is_already_there_or_superseded() {
    for lag in [0, 2] {
        let server = versions(lag).await;
        let search = search(&server).await;
        assert_eq!(search.upsert(vec![at_version(5)]).await.expect("an answer"), [Applied]);
        assert_eq!(search.upsert(vec![at_version(5)]).await.expect("an answer"), [AlreadyThere]);
        assert_eq!(search.upsert(vec![at_version(4)]).await.expect("an answer"), [Superseded]);
        let batch = [3, 5, 6, 6, 7].map(at_version).to_vec();
        let answers = search.upsert(batch).await.expect("answers");
        assert_eq!(answers, [Superseded, AlreadyThere, Applied, AlreadyThere, Applied]);
    }
}

#[tokio::test(start_paused = true)]
async fn large_batches_go_in_pages() {
    let server = cluster(|_, sent| items(&vec![ok(); sent.len()])).await;
    let mut written = documents(0..8);
    for document in &mut written {
        document.original.payload = vec![7; 1_000_000].into();
    }
    assert_eq!(upsert(&server, written).await.expect("all"), vec![Applied; 8]);
    let pages: Vec<usize> = bulks(&server).iter().map(Vec::len).collect();
    let documents_a_page = SEARCH_BULK_BYTES / 1_333_333 + 1;
    assert_eq!(pages, [documents_a_page, documents_a_page]);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_as_large_as_was_chosen() {
    let server = cluster(|_, sent| items(&vec![ok(); sent.len()])).await;
    let settings = StoreSettings { search_page_bytes: 1, ..StoreSettings::default() };
    let search = search(&server).await.with_settings(Arc::new(LiveSettings::new(settings)));
    assert_eq!(search.upsert(documents(0..3)).await.expect("all"), vec![Applied; 3]);
    assert_eq!(bulks(&server).iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}

/// S3: neither a length that is told nor one that is not makes us read on.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_is_not_read() {
    let told = Answer::Whole(200, Vec::new(), vec![b' '; SEARCH_ANSWER_BYTES_MAX + 1].into());
    let untold = Answer::Chunked(vec![Bytes::from(vec![b' '; 1 << 20]); 17]);
    for answer in [told, untold] {
        let server = cluster(move |_, _| answer.clone()).await;
        let error = upsert(&server, documents(0..1)).await.expect_err("a failure");
        assert_eq!((error.kind, bulks(&server).len()), (Invalid, 1), "{error}");
    }
}

/// A page that would be too long comes in parts, whole.
#[tokio::test(start_paused = true)]
async fn a_long_page_is_asked_for_in_parts() {
    let server = Scripted::start(|_, asked| {
        let body = asked.json();
        let size = body["size"].as_u64().expect("a size");
        if size > 3 {
            return Answer::Whole(200, Vec::new(), vec![b' '; SEARCH_ANSWER_BYTES_MAX + 1].into());
        }
        let is_last = |number: &u32| body["search_after"][0] == json!(invocation(*number).timestamp.0 as f64);
        let begin = (0..8).find(is_last).map_or(0, |last| last + 1);
        let end = (begin + u32::try_from(size).expect("a size")).min(8);
        let hit = |number: u32| json!({ "_id": invocation(number).id, "_source": invocation(number) });
        Answer::json(&json!({ "hits": { "hits": (begin..end).map(hit).collect::<Vec<_>>() } }))
    })
    .await;
    let sort = Sort { key: SortKey::Timestamp, descending: false };
    let found = search(&server).await.find(&everything(Filter::All), sort, None, 10).await.expect("a page");
    assert_eq!(found, (0..8).map(invocation).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_not_set_up_takes_no_document() {
    let missing = Answer::json(&json!({}));
    let old = Answer::json(&json!({ "template": { "mappings": { "_meta": { "version": 0 } } } }));
    for answer in [missing, old] {
        let server = Scripted::start(move |_, _| answer.clone()).await;
        let error = upsert(&server, documents(0..1)).await.expect_err("a failure");
        assert_eq!(error.kind, Invalid);
        assert_eq!(server.asked().len(), 1, "no document was sent");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_range_is_not_asked_for() {
    let server = Scripted::start(|_, _| Answer::Dropped).await;
    let search = search(&server).await;
    let scope = Scope { from: TimestampMs(5), to: TimestampMs(5), ..everything(Filter::All) };
    let sort = Sort { key: SortKey::Timestamp, descending: false };
    assert_eq!(search.find(&scope, sort, None, 10).await.expect("a page"), []);
    assert_eq!(search.functions(&scope, 10).await.expect("functions"), []);
    assert_eq!(
        search.get(&project("shop"), invocation(1).id).await.expect_err("a dropped connection").kind,
        Unavailable
    );
}

/// A request to a domain of AWS's is signed for its region and for its body.
#[tokio::test]
async fn a_request_is_signed_for_the_region_of_the_url() {
    let server = cluster(|_, sent| items(&vec![ok(); sent.len()])).await;
    let mut endpoint = Endpoint::parse("https://search-core-abc.eu-central-1.es.amazonaws.com").expect("an endpoint");
    endpoint.base.clone_from(&server.endpoint);
    let client = Client::new(endpoint, server.config().await);
    let search = OpenSearch { client, template: Check::new(), settings: Arc::default() };
    assert_eq!(search.upsert(documents(0..1)).await.expect("all"), [Applied]);
    for asked in server.asked() {
        let header = |name: &str| asked.headers.get(name).expect(name).to_str().expect("text").to_owned();
        let authorization = header("authorization");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDTEST/"), "{authorization}");
        assert!(authorization.contains("/eu-central-1/es/aws4_request"), "{authorization}");
        assert!(authorization.contains("host;x-amz-content-sha256;x-amz-date"), "{authorization}");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &asked.body);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(header("x-amz-content-sha256"), hex);
        assert_eq!(header("host"), "search-core-abc.eu-central-1.es.amazonaws.com");
    }
}
