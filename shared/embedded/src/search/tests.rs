use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tributary_ports::contract;
use tributary_ports::contract::search::Store;
use tributary_ports::contract::search::samples::{document, everything, invocation, project};
use tributary_ports::search::Filter;

use super::*;

/// Short, so that a test that commits often is quick.
const SETTINGS: SearchSettings = SearchSettings { commit_interval: Duration::from_millis(1) };
/// No second commit comes within a test.
const RARELY: SearchSettings = SearchSettings { commit_interval: Duration::from_secs(3600) };

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(folder: &TempDir) -> TantivySearch {
    TantivySearch::open(folder.path(), SETTINGS).expect("an index")
}

async fn add(search: &TantivySearch, numbers: std::ops::Range<u32>) {
    let documents: Vec<_> = numbers.map(invocation).map(document).collect();
    let expected = vec![Upserted::Applied; documents.len()];
    assert_eq!(search.upsert(documents).await.expect("an upsert"), expected);
}

async fn count(search: &TantivySearch) -> usize {
    let sort = Sort { key: SortKey::Timestamp, descending: false };
    search.find(&everything(Filter::All), sort, None, 1000).await.expect("a find").len()
}

#[tokio::test]
async fn the_contract_is_kept() {
    let folders = folder();
    let next = std::sync::atomic::AtomicUsize::new(0);
    contract::search::all(async || {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = folders.path().join(number.to_string());
        Store::immediate(Arc::new(TantivySearch::open(&folder, SETTINGS).expect("an index")))
    })
    .await;
}

#[tokio::test]
async fn what_was_applied_is_there_after_reopening() {
    let folder = folder();
    add(&open(&folder), 0..3).await;
    let search = open(&folder);
    assert_eq!(count(&search).await, 3);
    let again = search.upsert(vec![document(invocation(1))]).await.expect("an upsert");
    assert_eq!(again, [Upserted::AlreadyThere]);
    add(&search, 3..4).await;
    assert_eq!(count(&search).await, 4);
}
