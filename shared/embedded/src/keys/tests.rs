use std::cell::Cell;
use std::path::PathBuf;

use tempfile::TempDir;
use tributary_ports::contract;

use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn stored(root: &TempDir) -> PathBuf {
    root.path().join("keys").join(FILE)
}

fn open(root: &TempDir) -> Result<Arc<KeyFile>, PortError> {
    KeyFile::open(&root.path().join("keys"))
}

/// Puts `content` in the place of the key file.
fn overwrite(root: &TempDir, content: &[u8]) {
    let folder = root.path().join("keys");
    let file = files::prepare(&folder, content).expect("a file");
    files::publish(file, &folder, FILE).expect("a publication");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_key_file_keeps_the_contract_of_keys() {
    let (root, next) = (folder(), Cell::new(0));
    contract::keys::all(async || {
        next.set(next.get() + 1);
        let store: Arc<dyn Keys> = KeyFile::open(&root.path().join(next.get().to_string())).expect("a store");
        store
    })
    .await;
}

#[tokio::test]
async fn keys_outlive_the_store() {
    let root = folder();
    let store = open(&root).expect("a store");
    store.rotate().await.expect("a rotation");
    let keys = store.public_keys().await.expect("the public keys");
    drop(store);
    assert_eq!(open(&root).expect("a store").public_keys().await.expect("the public keys"), keys);
}

#[tokio::test]
async fn openers_at_once_agree_on_the_first_key() {
    let root = folder();
    let stores = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&root).expect("a store"))).collect();
        openers.into_iter().map(|opener| opener.join().expect("an opener that ends")).collect::<Vec<_>>()
    });
    for store in &stores {
        let keys = store.public_keys().await.expect("the public keys");
        assert_eq!(keys, stores[0].public_keys().await.expect("the public keys"));
        assert_eq!(keys.len(), 1);
    }
}

#[tokio::test]
async fn a_rotation_by_another_process_is_seen() {
    let root = folder();
    let (here, there) = (open(&root).expect("a store"), open(&root).expect("a store"));
    let made = there.rotate().await.expect("a rotation");
    assert_eq!(here.public_keys().await.expect("the public keys")[0], made);
    here.sign(&made.kid, b"x").await.expect("a signature");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let root = folder();
    let store = open(&root).expect("a store");
    let mode = |path: &Path| path.metadata().expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&stored(&root)), 0o600);
    assert_eq!(mode(&root.path().join("keys")), 0o700);
    store.rotate().await.expect("a rotation");
    assert_eq!(mode(&stored(&root)), 0o600, "a rotation keeps it so");
}

#[cfg(unix)]
#[tokio::test]
async fn keys_that_others_may_read_are_refused_with_what_mends_it() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let root = folder();
    let store = open(&root).expect("a store");
    for (path, mode, good) in [(stored(&root), 0o640, 0o600), (root.path().join("keys"), 0o777, 0o700)] {
        set_permissions(&path, Permissions::from_mode(mode)).expect("a wider mode");
        let error = open(&root).err().expect("a refusal");
        assert_eq!(error.kind, PortErrorKind::Denied);
        let text = error.to_string();
        assert!(text.contains(&format!("has the mode {mode:o}")), "{text}");
        assert!(text.contains(&format!("chmod {good:o} {}", path.display())), "{text}");
        set_permissions(&path, Permissions::from_mode(good)).expect("the right mode");
        open(&root).expect("a store whose mode was mended");
    }
    set_permissions(stored(&root), Permissions::from_mode(0o604)).expect("a wider mode");
    assert_eq!(store.public_keys().await.expect_err("a refusal").kind, PortErrorKind::Denied, "while it is open, too");
}

#[tokio::test]
async fn a_damaged_file_is_refused_without_a_word_of_it() {
    let root = folder();
    open(&root).expect("a store");
    let whole = std::fs::read(stored(&root)).expect("the file");
    let text = String::from_utf8(whole.clone()).expect("UTF-8");
    let secret = serde_json::from_slice::<Stored>(&whole).expect("keys").keys.remove(0).pkcs8;
    let wrong_type = text.replace("\"keys\": [", "\"keys\": 3, \"x\": [");
    let wrong_id = text.replace("\"kid\": \"", "\"kid\": \"x");
    let torn_key = text.replace(&secret, &secret[..secret.len() - 4]);
    let as_a_type = format!("{{\"keys\": \"{secret}\"}}");
    let wrong_master = text.replace("\"master\": \"", "\"master\": \"AAAA");
    let cases = [
        (&text[..text.len() / 2], "it is not as it was written"),
        (&wrong_type, "it is not as it was written"),
        (&as_a_type, "it is not as it was written"),
        ("", "it is not as it was written"),
        ("{\"keys\": []}", "it holds no key"),
        (&wrong_id, "its key 1 has another key's id"),
        (&wrong_master, "its master key can't be read"),
        (&torn_key, "its key 1 can't be read"),
    ];
    for (content, problem) in cases {
        overwrite(&root, content.as_bytes());
        let error = open(&root).err().expect("a refusal");
        assert_eq!(error.kind, PortErrorKind::Invalid);
        let said = format!("{error} {error:?}");
        assert!(said.contains(problem) && said.contains(FILE), "{said}");
        assert!(!said.contains(&secret[..16]), "a part of the key in: {said}");
    }
    assert_eq!(std::fs::read(stored(&root)).expect("the file"), torn_key.into_bytes(), "it is left for its owner");
}

#[tokio::test]
async fn a_file_that_is_gone_makes_the_keys_unavailable_and_no_new_one() {
    let root = folder();
    let store = open(&root).expect("a store");
    std::fs::remove_file(stored(&root)).expect("a removal");
    assert_eq!(store.public_keys().await.expect_err("a failure").kind, PortErrorKind::Unavailable);
    assert_eq!(store.rotate().await.expect_err("a failure").kind, PortErrorKind::Unavailable);
    assert!(!stored(&root).exists());
}

#[tokio::test]
async fn what_a_killed_writer_left_goes_away() {
    let root = folder();
    open(&root).expect("a store");
    let (_, left) =
        files::prepare(&root.path().join("keys"), b"half").expect("a file").keep().expect("a file that stays");
    open(&root).expect("a store");
    assert!(!left.exists());
}

#[tokio::test]
async fn there_is_a_greatest_number_of_keys() {
    let root = folder();
    let store = open(&root).expect("a store");
    let key = Pair::generate("test").expect("a pair");
    let keys = (0..SIGNING_KEYS_MAX).map(|_| StoredKey { kid: key.kid.clone(), pkcs8: key.to_base64() }).collect();
    let full = serde_json::to_vec(&Stored { keys, master: None }).expect("JSON");
    assert!(u64::try_from(full.len()).expect("a size") < KEY_FILE_BYTES_MAX);
    overwrite(&root, &full);
    let error = store.rotate().await.expect_err("a refusal");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.to_string().contains("holds 400 keys, the most there may be"), "{error}");
}

#[tokio::test]
async fn a_file_of_before_there_were_data_keys_gets_a_master_key_that_stays() {
    let root = folder();
    let store = open(&root).expect("a store");
    store.rotate().await.expect("a rotation");
    let keys = store.public_keys().await.expect("the public keys");
    let mut stored: Stored =
        serde_json::from_slice(&std::fs::read(self::stored(&root)).expect("the file")).expect("keys");
    stored.master = None;
    overwrite(&root, &serde_json::to_vec(&stored).expect("JSON"));
    assert_eq!(store.data_key(Purpose::Overflow).await.expect_err("no master").kind, PortErrorKind::Invalid);
    let opened = open(&root).expect("a store");
    assert_eq!(opened.public_keys().await.expect("the public keys"), keys);
    let key = opened.data_key(Purpose::Overflow).await.expect("a data key");
    opened.rotate().await.expect("a rotation");
    let again = open(&root).expect("a store").unwrap_key(Purpose::Overflow, &key.wrapped).await.expect("the data key");
    assert_eq!(again.plaintext, key.plaintext);
}
