use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tempfile::TempDir;
use tributary_model::Version;
use tributary_ports::contract;
use tributary_ports::contract::search::Store;
use tributary_ports::contract::search::samples::{document, everything, invocation};
use tributary_ports::search::Filter;

use super::*;

/// Short, so that a test that commits often is quick.
const OFTEN: SearchSettings = SearchSettings { commit_interval: Duration::from_millis(1) };
/// No second commit comes within a test, unless the index is closed.
const ONCE: SearchSettings = SearchSettings { commit_interval: Duration::from_secs(3600) };

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(folder: &Path, settings: SearchSettings) -> TantivySearch {
    TantivySearch::open(folder, settings).expect("an index")
}

fn documents(numbers: std::ops::Range<u32>) -> Vec<Document> {
    numbers.map(invocation).map(document).collect()
}

async fn add(search: &TantivySearch, numbers: std::ops::Range<u32>) {
    let documents = documents(numbers);
    let expected = vec![Upserted::Applied; documents.len()];
    assert_eq!(search.upsert(documents).await.expect("an upsert"), expected);
}

async fn count(search: &TantivySearch) -> usize {
    let sort = Sort { key: SortKey::Timestamp, descending: false };
    search.find(&everything(Filter::All), sort, None, 1000).await.expect("a find").len()
}

fn segments(search: &TantivySearch) -> usize {
    search.reader.searcher().segment_readers().len()
}

type Upserting<'a> = Pin<Box<dyn Future<Output = Result<Vec<Upserted>, PortError>> + Send + 'a>>;

/// Whether the call still waits. The first look sends it to the writing thread.
async fn waits(upserting: &mut Upserting<'_>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(upserting.as_mut().poll(context).is_pending())).await
}

/// Returns when the writing thread has accepted all earlier calls: it takes them in turn, and answers at once what it
/// knows to be committed.
async fn accepted(search: &TantivySearch, committed: u32) {
    let answer = search.upsert(documents(committed..committed + 1)).await.expect("an upsert");
    assert_eq!(answer, [Upserted::AlreadyThere]);
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

fn segment_files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|kind| kind != "json" && kind != "lock")).collect()
}

#[tokio::test]
async fn the_contract_of_search_is_kept() {
    let folders = folder();
    let next = AtomicUsize::new(0);
    contract::search::all(async || {
        let folder = folders.path().join(next.fetch_add(1, Ordering::Relaxed).to_string());
        Store::immediate(Arc::new(open(&folder, OFTEN)))
    })
    .await;
}

#[tokio::test]
async fn what_was_applied_is_there_after_reopening() {
    let folder = folder();
    add(&open(folder.path(), OFTEN), 0..3).await;
    let search = open(folder.path(), OFTEN);
    assert_eq!(count(&search).await, 3);
    accepted(&search, 1).await;
    add(&search, 3..4).await;
    assert_eq!(count(&search).await, 4);
}

#[tokio::test]
async fn a_crash_leaves_the_last_commit() {
    let (folder, crashed) = (folder(), folder());
    let search = open(folder.path(), ONCE);
    add(&search, 0..3).await;
    let mut uncommitted: Upserting<'_> = search.upsert(documents(3..500));
    assert!(waits(&mut uncommitted).await);
    accepted(&search, 0).await;
    copy(folder.path(), crashed.path());
    assert!(waits(&mut uncommitted).await);
    let recovered = open(crashed.path(), OFTEN);
    assert_eq!(count(&recovered).await, 3);
    add(&recovered, 3..500).await;
    assert_eq!(count(&recovered).await, 500);
    verify(crashed.path()).expect("an undamaged index");
}

#[tokio::test]
async fn an_answer_never_rests_on_what_is_not_committed() {
    let folder = folder();
    let search = open(folder.path(), ONCE);
    add(&search, 0..1).await;
    let mut older = documents(1..2);
    older[0].version = Version::from_u64(1);
    let mut applied: Upserting<'_> = search.upsert(documents(1..2));
    let mut already_there: Upserting<'_> = search.upsert(documents(1..2));
    let mut superseded: Upserting<'_> = search.upsert(older);
    for upserting in [&mut applied, &mut already_there, &mut superseded] {
        assert!(waits(upserting).await);
    }
    accepted(&search, 0).await;
    for upserting in [&mut applied, &mut already_there, &mut superseded] {
        assert!(waits(upserting).await);
    }
    assert_eq!(count(&search).await, 1);
}

#[tokio::test]
async fn calls_share_a_commit_and_closing_makes_it() {
    let folder = folder();
    let search = open(folder.path(), ONCE);
    add(&search, 0..1).await;
    // The writer alone, so that it can be closed while the calls wait.
    let TantivySearch { writer, reader, .. } = search;
    let send = |number| writer.send(writer::Work::Upsert(documents(number..number + 1))).expect("a place in the queue");
    let answers = [1, 2, 3].map(send);
    drop(writer);
    for answer in answers {
        assert_eq!(answer.await.expect("an answer").expect("a commit"), [Upserted::Applied]);
    }
    assert_eq!(reader.searcher().segment_readers().len(), 2, "the first commit's and the shared one's");
    drop(reader);
    assert_eq!(count(&open(folder.path(), OFTEN)).await, 4);
}

#[tokio::test]
async fn a_full_batch_is_committed_at_once() {
    let folder = folder();
    let search = open(folder.path(), ONCE);
    add(&search, 0..1).await;
    let full = u32::try_from(limits::SEARCH_COMMIT_DOCUMENTS).expect("a small batch");
    add(&search, 1..full + 1).await;
    assert_eq!(count(&search).await, limits::SEARCH_COMMIT_DOCUMENTS + 1);
}

#[tokio::test]
async fn after_a_failed_commit_the_same_call_again_succeeds() {
    let folders = folder();
    let (there, away) = (folders.path().join("search"), folders.path().join("away"));
    let search = open(&there, OFTEN);
    add(&search, 0..1).await;
    std::fs::rename(&there, &away).expect("the folder's other name");
    for _ in 0..2 {
        let error = search.upsert(documents(0..2)).await.expect_err("no folder");
        assert_eq!((error.kind, error.operation), (PortErrorKind::Unavailable, "search.upsert"));
    }
    std::fs::rename(&away, &there).expect("the folder's name");
    let again = search.upsert(documents(0..2)).await.expect("an upsert");
    assert_eq!(again, [Upserted::AlreadyThere, Upserted::Applied]);
    assert_eq!(count(&search).await, 2);
}

#[tokio::test]
async fn many_commits_leave_few_segments() {
    let folder = folder();
    let search = open(folder.path(), OFTEN);
    for number in 0..60 {
        add(&search, number..number + 1).await;
    }
    drop(search);
    let search = open(folder.path(), OFTEN);
    assert_eq!(count(&search).await, 60);
    assert!(segments(&search) <= 8, "{} segments", segments(&search));
}

#[tokio::test]
async fn a_second_process_is_told_that_the_index_is_held() {
    let folder = folder();
    let _first = open(folder.path(), OFTEN);
    let error = TantivySearch::open(folder.path(), OFTEN).err().expect("a held index");
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
}

#[test]
fn an_index_of_another_schema_is_not_opened() {
    let folder = folder();
    let mut schema = tantivy::schema::Schema::builder();
    schema.add_text_field("other", tantivy::schema::STRING);
    drop(tantivy::Index::create_in_dir(folder.path(), schema.build()).expect("another index"));
    let error = TantivySearch::open(folder.path(), OFTEN).err().expect("another schema");
    assert!(matches!(error, OpenError::OtherSchema(_)), "{error}");
    assert!(error.to_string().contains("remove the folder and replay the stream"), "{error}");
}

#[tokio::test]
async fn every_damaged_file_is_noticed() {
    let whole = folder();
    let search = open(whole.path(), OFTEN);
    add(&search, 0..20).await;
    drop(search);
    verify(whole.path()).expect("an undamaged index");
    for file in segment_files(whole.path()) {
        for damage in [cut, flip, remove] {
            let damaged = folder();
            copy(whole.path(), damaged.path());
            damage(&damaged.path().join(file.file_name().expect("a name")));
            let error = verify(damaged.path()).expect_err("damage");
            assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        }
    }
}

fn cut(file: &Path) {
    let length = std::fs::metadata(file).expect("a file").len();
    let file = std::fs::OpenOptions::new().write(true).open(file).expect("a file");
    file.set_len(length / 2).expect("a shorter file");
}

fn flip(file: &Path) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(file).expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 0).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], 0).expect("another byte");
}

fn remove(file: &Path) {
    std::fs::remove_file(file).expect("a removed file");
}

#[tokio::test]
async fn an_index_without_its_list_of_segments_is_not_taken_for_an_empty_one() {
    let folder = folder();
    add(&open(folder.path(), OFTEN), 0..1).await;
    remove(&folder.path().join("meta.json"));
    let error = TantivySearch::open(folder.path(), OFTEN).err().expect("a damaged index");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    std::fs::remove_dir_all(folder.path()).expect("a removed folder");
    assert_eq!(count(&open(folder.path(), OFTEN)).await, 0, "a removed folder is made anew");
}
