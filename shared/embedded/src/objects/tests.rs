use std::cell::Cell;

use tempfile::TempDir;
use tributary_ports::contract;

use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_keep_the_contract_of_objects() {
    let (root, next) = (folder(), Cell::new(0));
    contract::objects::all(async || {
        next.set(next.get() + 1);
        let store: Arc<dyn Objects> = FileObjects::open(&root.path().join(next.get().to_string())).expect("a store");
        store
    })
    .await;
}

#[tokio::test]
async fn an_object_outlives_the_store() {
    let root = folder();
    let etag = FileObjects::open(root.path()).expect("a store").put("a/b", "one".into(), Condition::Absent).await;
    let object = FileObjects::open(root.path()).expect("a store").get("a/b").await.expect("a get").expect("the object");
    assert_eq!((&object.bytes[..], object.etag), (&b"one"[..], etag.expect("a put")));
}

/// Two stores on one folder are what two processes have: their locks know nothing of each other but the files.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_of_two_openers_is_lost() {
    let root = folder();
    let stores = [FileObjects::open(root.path()).expect("a store"), FileObjects::open(root.path()).expect("a store")];
    stores[0].put("list", Bytes::new(), Condition::Absent).await.expect("a put");
    let writers = stores.map(|store| tokio::spawn(append(store, 20)));
    for writer in writers {
        writer.await.expect("a writer that ends");
    }
    let store = FileObjects::open(root.path()).expect("a store");
    assert_eq!(store.get("list").await.expect("a get").expect("the object").bytes.len(), 40);
}

async fn append(store: Arc<FileObjects>, times: usize) {
    let mut done = 0;
    while done < times {
        let object = store.get("list").await.expect("a get").expect("the object");
        let longer = Bytes::from([&object.bytes[..], b"x"].concat());
        match store.put("list", longer, Condition::Unchanged(object.etag)).await {
            Ok(_) => done += 1,
            Err(error) => assert_eq!(error.kind, PortErrorKind::Conflict, "{error}"),
        }
    }
}

#[tokio::test]
async fn what_a_killed_writer_left_is_never_an_object_and_goes_away() {
    let root = folder();
    let store = FileObjects::open(root.path()).expect("a store");
    let (_, left) = files::prepare(root.path(), b"half").expect("a file").keep().expect("a file that stays");
    assert!(store.list("", None, 10).await.expect("a list").is_empty());

    let second = FileObjects::open(root.path()).expect("a store that another has open");
    assert!(left.exists(), "it may be the first one's, who may still be writing");
    drop((store, second));
    FileObjects::open(root.path()).expect("a store that nobody has open");
    assert!(!left.exists());
}

#[tokio::test]
async fn foreign_files_are_no_objects() {
    let root = folder();
    let store = FileObjects::open(root.path()).expect("a store");
    for name in ["README.MD", ".DS_Store", "a b"] {
        File::create(root.path().join(name)).expect("a foreign file");
    }
    store.put("a", "one".into(), Condition::Always).await.expect("a put");
    assert_eq!(store.list("", None, 10).await.expect("a list"), ["a"]);
}

#[tokio::test]
async fn a_file_that_grew_too_large_is_not_read() {
    let root = folder();
    let store = FileObjects::open(root.path()).expect("a store");
    let file = File::create(root.path().join("directory.json")).expect("a file");
    file.set_len(u64::try_from(OBJECT_BYTES_MAX).expect("a size") + 1).expect("a sparse file");
    let error = store.get("directory.json").await.expect_err("a refusal");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.to_string().contains("directory.json has 16777217 bytes; at most 16777216"), "{error}");
}

#[tokio::test]
async fn a_store_whose_folder_was_removed_is_unavailable_not_empty() {
    let root = folder();
    let store = FileObjects::open(&root.path().join("objects")).expect("a store");
    std::fs::remove_dir_all(root.path().join("objects")).expect("a removal");
    let list = store.list("", None, 10).await.expect_err("a failure");
    let put = store.put("a", Bytes::new(), Condition::Always).await.expect_err("a failure");
    assert_eq!((list.kind, put.kind), (PortErrorKind::Unavailable, PortErrorKind::Unavailable));
}
