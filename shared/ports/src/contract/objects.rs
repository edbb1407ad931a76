//! What every object store keeps to.

use std::sync::Arc;

use bytes::Bytes;
use tributary_model::limits::{OBJECT_BYTES_MAX, OBJECT_KEY_BYTES_MAX};

use crate::objects::{Condition, Etag};
use crate::{Objects, PortError, PortErrorKind};

/// Runs every case, each on a store that `fresh` makes.
pub async fn all(fresh: impl AsyncFn() -> Arc<dyn Objects>) {
    what_was_put_is_read_back(&*fresh().await).await;
    a_missing_object_is_no_error(&*fresh().await).await;
    an_etag_names_the_content(&*fresh().await).await;
    put_if_absent_never_replaces(&*fresh().await).await;
    put_if_unchanged_needs_the_content_that_was_read(&*fresh().await).await;
    a_key_may_continue_another(&*fresh().await).await;
    keys_are_listed_in_byte_order(&*fresh().await).await;
    a_list_goes_on_behind_a_key(&*fresh().await).await;
    deleting_twice_is_deleting(&*fresh().await).await;
    what_is_no_key_is_invalid(&*fresh().await).await;
    an_object_has_a_greatest_size(&*fresh().await).await;
    of_writers_at_once_one_creates(fresh().await).await;
    no_change_of_writers_at_once_is_lost(fresh().await).await;
}

async fn put(store: &dyn Objects, key: &str, text: &str) -> Etag {
    put_if(store, key, text, Condition::Always).await.expect("an unconditional put")
}

async fn put_if(store: &dyn Objects, key: &str, text: &str, condition: Condition) -> Result<Etag, PortError> {
    store.put(key, Bytes::copy_from_slice(text.as_bytes()), condition).await
}

async fn text(store: &dyn Objects, key: &str) -> Option<String> {
    let object = store.get(key).await.expect("a get")?;
    Some(String::from_utf8(object.bytes.to_vec()).expect("UTF-8"))
}

fn kind<T>(result: Result<T, PortError>) -> Option<PortErrorKind> {
    result.err().map(|error| error.kind)
}

async fn what_was_put_is_read_back(store: &dyn Objects) {
    let bytes = Bytes::from((0..=255).cycle().take(100_000).collect::<Vec<u8>>());
    let etag = store.put("a/b.bin", bytes.clone(), Condition::Always).await.expect("a put");
    let object = store.get("a/b.bin").await.expect("a get").expect("the object");
    assert_eq!((object.bytes, object.etag), (bytes, etag));
    put(store, "a/b.bin", "").await;
    assert_eq!(text(store, "a/b.bin").await.as_deref(), Some(""), "an empty object is an object");
}

async fn a_missing_object_is_no_error(store: &dyn Objects) {
    assert!(store.get("a").await.expect("a get").is_none());
    assert!(store.list("", None, 10).await.expect("a list").is_empty());
}

async fn an_etag_names_the_content(store: &dyn Objects) {
    let first = put(store, "a", "one").await;
    let second = put(store, "a", "two").await;
    assert_ne!(first, second);
    assert_eq!(store.get("a").await.expect("a get").expect("the object").etag, second);
}

async fn put_if_absent_never_replaces(store: &dyn Objects) {
    put_if(store, "a", "one", Condition::Absent).await.expect("the first put");
    let second = put_if(store, "a", "two", Condition::Absent).await;
    assert_eq!(kind(second), Some(PortErrorKind::Conflict));
    let same = put_if(store, "a", "one", Condition::Absent).await;
    assert_eq!(kind(same), Some(PortErrorKind::Conflict), "the same content is there already, too");
    assert_eq!(text(store, "a").await.as_deref(), Some("one"));
    store.delete("a").await.expect("a delete");
    put_if(store, "a", "three", Condition::Absent).await.expect("a put of what is absent again");
}

async fn put_if_unchanged_needs_the_content_that_was_read(store: &dyn Objects) {
    let first = put(store, "a", "one").await;
    let second =
        put_if(store, "a", "two", Condition::Unchanged(first.clone())).await.expect("a put over what was read");
    let late = put_if(store, "a", "three", Condition::Unchanged(first)).await;
    assert_eq!(kind(late), Some(PortErrorKind::Conflict));
    assert_eq!(text(store, "a").await.as_deref(), Some("two"));
    store.delete("a").await.expect("a delete");
    let gone = put_if(store, "a", "four", Condition::Unchanged(second)).await;
    assert_eq!(kind(gone), Some(PortErrorKind::Conflict), "a deleted object has changed");
    assert_eq!(text(store, "a").await, None);
}

async fn a_key_may_continue_another(store: &dyn Objects) {
    for key in ["a", "a/b", "a/b/c", "a.b", "a-b"] {
        put(store, key, key).await;
    }
    for key in ["a", "a/b", "a/b/c", "a.b", "a-b"] {
        assert_eq!(text(store, key).await.as_deref(), Some(key));
    }
}

async fn keys_are_listed_in_byte_order(store: &dyn Objects) {
    for key in ["b", "a/b", "a-b", "a", "a.b", "ab", "a/a", "a_b", "a0"] {
        put(store, key, "").await;
    }
    let listed = store.list("", None, 100).await.expect("a list");
    assert_eq!(listed, ["a", "a-b", "a.b", "a/a", "a/b", "a0", "a_b", "ab", "b"]);
    assert_eq!(store.list("a/", None, 100).await.expect("a list"), ["a/a", "a/b"]);
    assert_eq!(store.list("a/b", None, 100).await.expect("a list"), ["a/b"], "a prefix need not end a part");
    assert!(store.list("c", None, 100).await.expect("a list").is_empty());
}

async fn a_list_goes_on_behind_a_key(store: &dyn Objects) {
    let keys: Vec<String> = (0..25).map(|number| format!("page/{number:02}")).collect();
    for key in &keys {
        put(store, key, "").await;
    }
    put(store, "other", "").await;
    let mut seen: Vec<String> = Vec::new();
    loop {
        let page = store.list("page/", seen.last().map(String::as_str), 10).await.expect("a list");
        assert!(page.len() <= 10, "{} keys of at most 10", page.len());
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, keys);
    let behind_a_gap = store.list("page/", Some("page/075"), 2).await.expect("a list");
    assert_eq!(behind_a_gap, ["page/08", "page/09"], "the key to go on behind need not be there");
    assert!(store.list("page/", None, 0).await.expect("a list").is_empty());
}

async fn deleting_twice_is_deleting(store: &dyn Objects) {
    put(store, "a", "one").await;
    put(store, "a/b", "two").await;
    store.delete("a").await.expect("a delete");
    store.delete("a").await.expect("the same again");
    store.delete("never/there").await.expect("a delete of what never was");
    assert_eq!(text(store, "a").await, None);
    assert_eq!(store.list("", None, 10).await.expect("a list"), ["a/b"]);
}

async fn what_is_no_key_is_invalid(store: &dyn Objects) {
    for key in ["", "/a", "a/", "a//b", "../a", "a/../../b", ".a", "A", "a b", &"k".repeat(OBJECT_KEY_BYTES_MAX + 1)] {
        let invalid = Some(PortErrorKind::Invalid);
        assert_eq!(kind(store.put(key, Bytes::new(), Condition::Always).await), invalid, "put {key:?}");
        assert_eq!(kind(store.get(key).await), invalid, "get {key:?}");
        assert_eq!(kind(store.delete(key).await), invalid, "delete {key:?}");
    }
    let longest = "k".repeat(OBJECT_KEY_BYTES_MAX);
    put(store, &longest, "one").await;
    assert_eq!(store.list("k", None, 1).await.expect("a list"), [longest]);
}

async fn an_object_has_a_greatest_size(store: &dyn Objects) {
    let bytes = Bytes::from(vec![7; OBJECT_BYTES_MAX + 1]);
    let refused = store.put("large", bytes.clone(), Condition::Always).await;
    assert_eq!(kind(refused), Some(PortErrorKind::Invalid));
    assert!(store.get("large").await.expect("a get").is_none());
    let largest = bytes.slice(..OBJECT_BYTES_MAX);
    store.put("large", largest.clone(), Condition::Always).await.expect("a put of the greatest size");
    assert!(store.get("large").await.expect("a get").expect("the object").bytes == largest);
}

/// Writers of [`of_writers_at_once_one_creates`] and [`no_change_of_writers_at_once_is_lost`].
const WRITERS: usize = 8;

async fn of_writers_at_once_one_creates(store: Arc<dyn Objects>) {
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { put_if(&*store, "a", &writer.to_string(), Condition::Absent).await })
        })
        .collect();
    let mut winners = Vec::new();
    for (number, writer) in writers.into_iter().enumerate() {
        match writer.await.expect("a writer that ends") {
            Ok(_) => winners.push(number.to_string()),
            Err(error) => assert_eq!(error.kind, PortErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?} created one object");
    assert_eq!(text(&*store, "a").await, winners.pop());
}

async fn no_change_of_writers_at_once_is_lost(store: Arc<dyn Objects>) {
    put(&*store, "count", "0").await;
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(count_up(Arc::clone(&store), 5))).collect();
    for writer in writers {
        writer.await.expect("a writer that ends");
    }
    assert_eq!(text(&*store, "count").await, Some((WRITERS * 5).to_string()));
}

/// Adds one, `times` times, to the number under `count`: read, change, write if unchanged, again on a conflict.
async fn count_up(store: Arc<dyn Objects>, times: usize) {
    let mut done = 0;
    while done < times {
        let object = store.get("count").await.expect("a get").expect("the object");
        let count: usize = std::str::from_utf8(&object.bytes).expect("UTF-8").parse().expect("a number");
        match put_if(&*store, "count", &(count + 1).to_string(), Condition::Unchanged(object.etag)).await {
            Ok(_) => done += 1,
            Err(error) => assert_eq!(error.kind, PortErrorKind::Conflict, "{error}"),
        }
    }
}
