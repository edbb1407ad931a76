//! A collector for one test, with a project, its tokens, and a stream that can be made to fail.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_access::{Authority, DirectoryCache, ProjectRequest, add_project, ensure_directory, publish};
use tributary_collector::{Collector, Handled, handle};
use tributary_embedded::keys::KeyFile;
use tributary_embedded::objects::FileObjects;
use tributary_model::directory::OBJECT_KEY;
use tributary_model::{AccountId, Directory, ProjectId, Region, RetentionClass, TimestampMs};
use tributary_pipeline::unpack::{Unpacked, unpack};
use tributary_ports::keys::{DataKey, PublicKey, Purpose, Signature};
use tributary_ports::objects::{Condition, Etag, Object};
use tributary_ports::stream::{Entry, Page, Position, SequenceNumber, Shard, ShardId};
use tributary_ports::{Keys, Objects, Overflow, PortError, Stream};

/// 2026-11-21T18:05:00.000Z, some minutes after the captures were taken.
pub(crate) const NOW: TimestampMs = TimestampMs(1_795_284_300_000);
pub(crate) const ISSUER: &str = "https://tributary.test";

/// What becomes of the next calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Fate {
    #[default]
    Stores,
    Fails(fn() -> PortError),
    AnswersAfter(Duration),
    NeverAnswers,
}

impl Fate {
    async fn meet(fate: &Mutex<Self>) -> Result<(), PortError> {
        let fate = *fate.lock().expect("no panic");
        match fate {
            Self::Stores => {}
            Self::Fails(error) => return Err(error()),
            Self::AnswersAfter(time) => tokio::time::sleep(time).await,
            Self::NeverAnswers => std::future::pending().await,
        }
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Recorder {
    entries: Mutex<Vec<Entry>>,
    fate: Mutex<Fate>,
}

#[async_trait]
impl Stream for Recorder {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        Fate::meet(&self.fate).await?;
        let numbers = entries.iter().map(|_| SequenceNumber("1".into())).collect();
        self.entries.lock().expect("no panic").extend(entries);
        Ok(numbers)
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        unreachable!("the collector only appends")
    }

    async fn read(&self, _: &ShardId, _: &Position, _: usize) -> Result<Page, PortError> {
        unreachable!("the collector only appends")
    }
}

/// Where the collector reads its directory.
pub(crate) struct Library {
    objects: Arc<FileObjects>,
    fate: Mutex<Fate>,
}

#[async_trait]
impl Objects for Library {
    async fn put(&self, _: &str, _: Bytes, _: Condition) -> Result<Etag, PortError> {
        unreachable!("the collector only reads its directory")
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        Fate::meet(&self.fate).await?;
        self.objects.get(key).await
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, PortError> {
        unreachable!("the collector only reads its directory")
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        unreachable!("the collector only reads its directory")
    }
}

/// The keys that seal what overflows.
pub(crate) struct Locksmith {
    keys: Arc<KeyFile>,
    fate: Mutex<Fate>,
}

#[async_trait]
impl Keys for Locksmith {
    async fn sign(&self, _: &str, _: &[u8]) -> Result<Signature, PortError> {
        unreachable!("the collector signs nothing")
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        unreachable!("the collector has the directory")
    }

    async fn rotate(&self) -> Result<PublicKey, PortError> {
        unreachable!("the collector signs nothing")
    }

    async fn data_key(&self, purpose: Purpose) -> Result<DataKey, PortError> {
        Fate::meet(&self.fate).await?;
        self.keys.data_key(purpose).await
    }

    async fn unwrap_key(&self, purpose: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError> {
        self.keys.unwrap_key(purpose, wrapped).await
    }
}

/// The overflow's objects.
#[derive(Default)]
pub(crate) struct Shelf {
    objects: Mutex<BTreeMap<String, Bytes>>,
    fate: Mutex<Fate>,
}

#[async_trait]
impl Objects for Shelf {
    async fn put(&self, key: &str, bytes: Bytes, _: Condition) -> Result<Etag, PortError> {
        Fate::meet(&self.fate).await?;
        self.objects.lock().expect("no panic").insert(key.to_owned(), bytes);
        Ok(Etag("x".into()))
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        let bytes = self.objects.lock().expect("no panic").get(key).cloned();
        Ok(bytes.map(|bytes| Object { bytes, etag: Etag("x".into()) }))
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, PortError> {
        unreachable!("the collector only puts")
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        unreachable!("the collector only puts")
    }
}

pub(crate) struct Fixture {
    collector: Collector,
    keys: Arc<KeyFile>,
    pub(crate) objects: Arc<FileObjects>,
    directories: Arc<DirectoryCache>,
    library: Arc<Library>,
    stream: Arc<Recorder>,
    locksmith: Arc<Locksmith>,
    shelf: Arc<Shelf>,
    overflow: Overflow,
    _folder: TempDir,
}

pub(crate) fn project_id(name: &str) -> ProjectId {
    ProjectId::new(name).expect("a project's name")
}

impl Fixture {
    /// With the projects `shop` and `other` of the account `acme`.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = KeyFile::open(&folder.path().join("keys")).expect("a key file");
        let objects = FileObjects::open(&folder.path().join("objects")).expect("objects");
        ensure_directory(objects.as_ref(), keys.as_ref(), ISSUER, NOW).await.expect("a directory");
        for name in ["shop", "other"] {
            let account = AccountId::new("acme").expect("an account");
            let retention = RetentionClass::from_days(90).expect("a class");
            let request = ProjectRequest { project: project_id(name), account, retention, signed_only: false };
            add_project(objects.as_ref(), &request, NOW).await.expect("added");
        }
        let stream = Arc::new(Recorder::default());
        let library = Arc::new(Library { objects: objects.clone(), fate: Mutex::default() });
        let directories = DirectoryCache::new(library.clone(), OBJECT_KEY);
        let region = Region::new("eu-west-1").expect("a region");
        let shelf = Arc::new(Shelf::default());
        let locksmith = Arc::new(Locksmith { keys: keys.clone(), fate: Mutex::default() });
        let overflow = Overflow { objects: shelf.clone(), keys: locksmith.clone() };
        let authority = Authority::new(Arc::clone(&directories));
        let collector = Collector::new(authority, stream.clone(), overflow.clone(), region);
        let fixture = Self {
            collector,
            keys,
            objects,
            directories,
            library,
            stream,
            locksmith,
            shelf,
            overflow,
            _folder: folder,
        };
        fixture.refresh().await;
        fixture
    }

    pub(crate) async fn refresh(&self) {
        self.refresh_at(NOW).await;
    }

    pub(crate) async fn refresh_at(&self, now: TimestampMs) {
        self.directories.refresh(now).await.expect("a directory");
    }

    pub(crate) async fn change(&self, change: impl Fn(&mut Directory) + Send + Sync) {
        let change = |directory: &mut Directory| {
            change(directory);
            Ok(())
        };
        publish(self.objects.as_ref(), NOW, change).await.expect("published");
        self.refresh().await;
    }

    /// A token of `shop` that may send reports.
    pub(crate) async fn token(&self) -> String {
        self.token_with(&json!({}), &json!({})).await
    }

    /// The same with members of header and claims replaced.
    pub(crate) async fn token_with(&self, header: &Value, claims: &Value) -> String {
        let key = self.keys.public_keys().await.expect("keys").remove(0);
        let now_s = NOW.0 / 1000;
        let mut own_header = json!({"alg": "ES256", "kid": key.kid, "typ": "JWT"});
        let mut own_claims = json!({
            "iss": ISSUER, "jti": "token-1", "project": "shop", "scope": "ingest", "iat": now_s, "exp": now_s + 3600,
        });
        for (members, others) in [(&mut own_header, header), (&mut own_claims, claims)] {
            for (name, value) in others.as_object().expect("an object") {
                members[name] = value.clone();
            }
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&own_header), part(&own_claims));
        let signature = self.keys.sign(&key.kid, input.as_bytes()).await.expect("a signature");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.bytes))
    }

    pub(crate) fn let_directory(&self, fate: Fate) {
        *self.library.fate.lock().expect("no panic") = fate;
    }

    pub(crate) fn let_keys(&self, fate: Fate) {
        *self.locksmith.fate.lock().expect("no panic") = fate;
    }

    pub(crate) fn let_stream(&self, fate: Fate) {
        *self.stream.fate.lock().expect("no panic") = fate;
    }

    pub(crate) fn let_overflow(&self, fate: Fate) {
        *self.shelf.fate.lock().expect("no panic") = fate;
    }

    /// Takes the records that the overflow holds.
    pub(crate) async fn take_overflowed(&self) -> BTreeMap<String, Bytes> {
        let sealed = self.shelf.objects.lock().expect("no panic").clone();
        let mut records = BTreeMap::new();
        for (key, sealed) in sealed {
            let record = self.overflow.read(&key).await.expect("readable").expect("a record");
            assert!(!sealed.windows(64).any(|part| record.starts_with(part)), "it is sealed");
            records.insert(key, record);
        }
        self.shelf.objects.lock().expect("no panic").clear();
        records
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Handled {
        handle(&self.collector, NOW, request).await
    }

    pub(crate) async fn send_at(&self, now: TimestampMs, request: Request<Bytes>) -> Handled {
        handle(&self.collector, now, request).await
    }

    /// Takes the bytes of all records that the stream holds.
    pub(crate) fn take_stored(&self) -> Vec<Entry> {
        std::mem::take(&mut self.stream.entries.lock().expect("no panic"))
    }

    /// Takes the one record that the stream holds.
    pub(crate) fn take_record(&self) -> Unpacked {
        let [entry] = self.take_stored().try_into().expect("one record");
        unpack(&entry.data).expect("readable")
    }
}

pub(crate) fn request(method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).expect("a request")
}

pub(crate) fn post(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Bytes> {
    request(Method::POST, "/v0/event", headers, body)
}

/// A post of JSON with the token in its header.
pub(crate) fn post_as(token: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    post(&[("authorization", &format!("Bearer {token}")), ("content-type", "application/json")], body)
}

/// The smallest report, and what else is to stand in it.
pub(crate) fn report(more: &str) -> String {
    let timestamp = NOW.0;
    format!(r#"{{"processId":"p-1","aws":{{"awsRequestId":"r-1"}},"timestamp":{timestamp}{more}}}"#)
}

pub(crate) fn detail(handled: &Handled) -> String {
    let body: Value = serde_json::from_slice(handled.response.body()).expect("JSON");
    assert_eq!(body["status"], handled.facts.status);
    body["detail"].as_str().expect("a detail").to_owned()
}

/// Name and content of every file in a folder of the test data.
pub(crate) fn test_data(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(folder);
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        (path.file_name().expect("a name").to_string_lossy().into_owned(), std::fs::read(path).expect("a file"))
    };
    let mut files: Vec<_> = files.map(read).collect();
    files.sort();
    files
}
