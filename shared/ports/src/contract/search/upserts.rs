use bytes::Bytes;
use tributary_model::record::Codec;
use tributary_model::{Kind, RetentionClass, Version};

use super::Store;
use super::samples::{document, error, everything, invocation, invocation_of, number, project, text};
use crate::Upserted::{AlreadyThere, Applied, Refused, Superseded};
use crate::search::{Document, Filter, Original, TextField};

pub(super) async fn all(fresh: &impl AsyncFn() -> Store) {
    nothing_is_written_of_nothing(fresh().await).await;
    a_document_is_read_back_whole(fresh().await).await;
    the_same_again_is_already_there(fresh().await).await;
    the_greater_version_wins_in_any_order(fresh().await).await;
    one_batch_counts_as_one_after_the_other(fresh().await).await;
    what_was_replaced_is_not_found(fresh().await).await;
    a_refused_document_does_not_touch_its_neighbours(fresh().await).await;
    a_large_batch_is_written(fresh().await).await;
    calls_at_once_agree_on_a_version(fresh().await).await;
    a_document_belongs_to_its_project(fresh().await).await;
}

/// The first sample at a version, told apart by its function.
fn at_version(version: u64) -> Document {
    let mut document = document(invocation(1));
    document.version = Version::from_u64(version);
    document.invocation.function = format!("v{version}");
    document
}

/// The function of the first sample as it is stored.
async fn stored_function(store: &Store) -> String {
    let id = invocation(1).id;
    let stored = store.search.get(&project("shop"), id).await.expect("a get").expect("the document");
    stored.invocation.function
}

async fn nothing_is_written_of_nothing(store: Store) {
    assert_eq!(store.upsert(Vec::new()).await, []);
    assert!(store.find(Filter::All).await.is_empty());
}

async fn a_document_is_read_back_whole(store: Store) {
    let mut written = document(invocation(1));
    written.retention = RetentionClass::from_days(90).expect("a class");
    written.original = Original {
        kind: Kind::SignedReport,
        codec: Codec::Zstd,
        payload_bytes: 70_000,
        payload: Bytes::from((0..=255).cycle().take(60_000).collect::<Vec<u8>>()),
    };
    written.invocation.error = Some(error("TimeoutError", "line one\nline two \u{1f980}"));
    written.invocation.metrics = vec![number("m", 0.1 + 0.2), text("m", ""), number("m", 1e300)];
    written.invocation.duration_ms = Some(123.456_789_012_345_67);
    written.invocation.memory.used_percent = Some(37.123_456_789_012_34);
    written.invocation.unknown.insert("k".to_owned(), serde_json::json!({ "deep": [1, null, "x"] }));
    assert_eq!(store.upsert(vec![written.clone()]).await, [Applied]);
    let stored = store.search.get(&project("shop"), written.invocation.id).await.expect("a get").expect("the document");
    assert_eq!(stored.invocation, written.invocation);
    assert!(stored == written, "the same but for the invocation");
    assert_eq!(store.find_in(&everything(Filter::All)).await, [written.invocation]);
    let missing = store.search.get(&project("shop"), invocation(2).id).await.expect("a get");
    assert_eq!(missing, None);
}

async fn the_same_again_is_already_there(store: Store) {
    assert_eq!(store.upsert(vec![at_version(5)]).await, [Applied]);
    assert_eq!(store.upsert(vec![at_version(5), document(invocation(2))]).await, [AlreadyThere, Applied]);
    assert_eq!(store.find(Filter::All).await, [invocation(1).id, invocation(2).id]);
}

async fn the_greater_version_wins_in_any_order(store: Store) {
    assert_eq!(store.upsert(vec![at_version(5)]).await, [Applied]);
    assert_eq!(store.upsert(vec![at_version(4)]).await, [Superseded]);
    assert_eq!(stored_function(&store).await, "v5");
    assert_eq!(store.upsert(vec![at_version(6)]).await, [Applied]);
    assert_eq!(store.upsert(vec![at_version(5)]).await, [Superseded]);
    assert_eq!(stored_function(&store).await, "v6");
    assert_eq!(store.find(Filter::All).await.len(), 1);
}

async fn one_batch_counts_as_one_after_the_other(store: Store) {
    let batch = [3, 5, 5, 4, 6].map(at_version).to_vec();
    assert_eq!(store.upsert(batch).await, [Applied, Applied, AlreadyThere, Superseded, Applied]);
    assert_eq!(stored_function(&store).await, "v6");
    assert_eq!(store.find(Filter::All).await.len(), 1);
}

async fn what_was_replaced_is_not_found(store: Store) {
    let function = |name: &str| Filter::Is(TextField::Function, name.to_owned());
    store.upsert(vec![at_version(1)]).await;
    store.upsert(vec![at_version(2)]).await;
    assert!(store.find(function("v1")).await.is_empty());
    assert_eq!(store.find(function("v2")).await.len(), 1);
}

/// A text of 40,000 bytes is more than either engine compares exactly; normalize lets none through.
async fn a_refused_document_does_not_touch_its_neighbours(store: Store) {
    let mut refused = document(invocation(2));
    refused.invocation.function = "secret".repeat(40_000 / 6);
    let batch = vec![document(invocation(1)), refused, document(invocation(3))];
    let upserted = store.upsert(batch).await;
    assert_eq!([&upserted[0], &upserted[2]], [&Applied, &Applied]);
    assert!(matches!(&upserted[1], Refused(reason) if !reason.contains("secret")), "{:?}", upserted[1]);
    assert_eq!(store.find(Filter::All).await, [invocation(1).id, invocation(3).id]);
}

async fn a_large_batch_is_written(store: Store) {
    let invocations: Vec<_> = (0..1000).map(invocation).collect();
    store.add(&invocations).await;
    let ids: Vec<_> = invocations.iter().map(|invocation| invocation.id).collect();
    assert_eq!(store.find(Filter::All).await, ids);
}

async fn calls_at_once_agree_on_a_version(store: Store) {
    let upsert = |version| store.search.upsert(vec![at_version(version), document(invocation(2))]);
    let (first, second, third) = tokio::join!(upsert(1), upsert(1), upsert(1));
    let applied = [first, second, third].map(|upserted| upserted.expect("an upsert"));
    for position in 0..2 {
        let outcomes = applied.iter().map(|upserted| &upserted[position]);
        assert_eq!(outcomes.clone().filter(|outcome| **outcome == Applied).count(), 1, "{applied:?}");
        assert_eq!(outcomes.filter(|outcome| **outcome == AlreadyThere).count(), 2, "{applied:?}");
    }
    (store.settle)().await;
    assert_eq!(store.find(Filter::All).await.len(), 2);
}

async fn a_document_belongs_to_its_project(store: Store) {
    let other = invocation_of(&project("other"), 1);
    store.add(&[invocation(1), other.clone()]).await;
    assert_eq!(store.find(Filter::All).await, [invocation(1).id]);
    let seen = store.search.get(&project("shop"), other.id).await.expect("a get");
    assert_eq!(seen, None, "another project's document");
    assert!(store.search.get(&project("other"), other.id).await.expect("a get").is_some());
    let by_id = Filter::Or(vec![Filter::Is(TextField::Id, other.id.to_string()), Filter::Not(Box::new(Filter::All))]);
    assert!(store.find(by_id).await.is_empty());
}
