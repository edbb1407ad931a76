//! The read API for one test, with two projects and their tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::Value;
use tempfile::TempDir;
use tributary_access::{
    Authority, DirectoryCache, ProjectRequest, TokenRequest, add_project, ensure_directory, issue_token,
};
use tributary_embedded::keys::KeyFile;
use tributary_embedded::ledger::SqliteLedger;
use tributary_embedded::objects::FileObjects;
use tributary_embedded::search::{SearchSettings, TantivySearch};
use tributary_embedded::stream::{Clock, FileStream, StreamSettings};
use tributary_model::directory::{OBJECT_KEY, Scope};
use tributary_model::{
    AccountId, Invocation, Kind, ProjectId, Region, Report, ReportId, RetentionClass, Target, TimestampMs, TokenId,
};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_ports::Ledger;
use tributary_ports::contract::search::samples::document;
use tributary_ports::stream::{Batch, OperatedStream, SequenceNumber, ShardId, StreamRecord};
use tributary_query::{Handled, Query, handle};
use tributary_replay::{Readers, Replays};
use tributary_worker::{Sink, Worker};

/// 2026-11-21T18:05:00.000Z, some minutes after the captures were taken.
pub(crate) const NOW: TimestampMs = TimestampMs(1_795_284_300_000);

pub(crate) struct Fixture {
    pub(crate) query: Query,
    pub(crate) objects: Arc<FileObjects>,
    pub(crate) ledger: Arc<SqliteLedger>,
    pub(crate) stream: Arc<FileStream>,
    keys: Arc<KeyFile>,
    directories: Arc<DirectoryCache>,
    /// A read token of `shop`.
    reader: String,
    _folder: TempDir,
}

pub(crate) fn project(name: &str) -> ProjectId {
    ProjectId::new(name).expect("a project's name")
}

impl Fixture {
    /// With the projects `shop` and `other`; `shop` belongs to those who run the installation.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = KeyFile::open(&folder.path().join("keys")).expect("a key file");
        let objects = FileObjects::open(&folder.path().join("objects")).expect("objects");
        let ledger = SqliteLedger::open(&folder.path().join("ledger")).expect("a ledger");
        let settings = SearchSettings { commit_interval: Duration::ZERO };
        let search = Arc::new(TantivySearch::open(&folder.path().join("search"), settings).expect("an index"));
        ensure_directory(objects.as_ref(), keys.as_ref(), "https://tributary.test", NOW).await.expect("a directory");
        for name in ["shop", "other"] {
            let account = AccountId::new("acme").expect("an account");
            let retention = RetentionClass::DEFAULT;
            let request = ProjectRequest { project: project(name), account, retention, signed_only: false };
            add_project(objects.as_ref(), &request, NOW).await.expect("added");
        }
        let directories = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        directories.refresh(NOW).await.expect("a directory");
        let authority = Arc::new(Authority::new(directories.clone()));
        let operators = Some(project("shop"));
        let clock = Clock::new(|| NOW);
        let stream = FileStream::open(&folder.path().join("stream"), StreamSettings::new(clock)).expect("a stream");
        let replays = Arc::new(Replays {
            streams: BTreeMap::from([(Region::local(), stream.clone() as Arc<dyn OperatedStream>)]),
            readers: Readers::default(),
            search: search.clone(),
            ledger: ledger.clone(),
            objects: objects.clone(),
            keys: keys.clone(),
            overflows: vec![],
            settings: Arc::default(),
        });
        let query = Query {
            authority,
            search,
            ledger: ledger.clone(),
            objects: objects.clone(),
            keys: keys.clone(),
            operators,
            replays: Some(replays),
        };
        let reader = String::new();
        let mut fixture = Self { query, objects, ledger, stream, keys, directories, reader, _folder: folder };
        fixture.reader = fixture.token("shop", Scope::Read).await;
        fixture
    }

    pub(crate) async fn token(&self, name: &str, scope: Scope) -> String {
        let lifetime = Duration::from_secs(3600);
        let request = TokenRequest { project: project(name), scopes: [scope].into_iter().collect(), lifetime };
        let directory = self.directories.current(NOW).expect("a directory");
        let issued =
            issue_token(self.keys.as_ref(), self.objects.as_ref(), self.ledger.as_ref(), &directory, &request, NOW);
        issued.await.expect("a token")
    }

    /// Puts invocations into the index as they are.
    pub(crate) async fn add(&self, invocations: impl IntoIterator<Item = Invocation>) {
        let documents = invocations.into_iter().map(document).collect();
        self.query.search.upsert(documents).await.expect("an upsert");
    }

    /// Brings records into both stores, as the worker does.
    pub(crate) async fn work(&self, records: &[Bytes]) {
        let record = |(number, data): (usize, &Bytes)| StreamRecord {
            sequence_number: SequenceNumber(number.to_string().into()),
            partition_key: "key".into(),
            arrived_at: NOW,
            data: data.clone(),
        };
        let batch = Batch { shard: ShardId("0".into()), records: records.iter().enumerate().map(record).collect() };
        for target in Target::ALL {
            let target = match target {
                Target::Search => Sink::Search(self.query.search.clone()),
                Target::Ledger => Sink::Ledger(self.ledger.clone() as Arc<dyn Ledger>),
            };
            let region = Region::new("local").expect("a region");
            let (objects, keys, ledger) = (self.objects.clone(), self.keys.clone(), self.ledger.clone());
            let worker = Worker { target, objects, keys, ledger, region };
            let handled = worker.handle(NOW, &batch).await;
            assert_eq!((handled.redeliver, handled.facts.error), (vec![], None));
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, token: Option<&str>) -> Handled {
        self.send_at(NOW, method, path, token).await
    }

    async fn send_at(&self, now: TimestampMs, method: Method, path: &str, token: Option<&str>) -> Handled {
        self.send_body(now, method, path, token, Bytes::new()).await
    }

    pub(crate) async fn send_body(
        &self,
        now: TimestampMs,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Bytes,
    ) -> Handled {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        handle(&self.query, now, request.body(body).expect("a request")).await
    }

    /// Status and body of what an operate token of the project `name` asks.
    pub(crate) async fn operate(&self, name: &str, method: Method, path: &str, body: &str) -> (u16, Value) {
        let token = self.token(name, Scope::Operate).await;
        let handled = self.send_body(NOW, method, path, Some(&token), body.to_owned().into()).await;
        (handled.response.status().as_u16(), json(&handled.response))
    }

    /// The JSON of a 200 to a read token of `shop`.
    pub(crate) async fn read(&self, path: &str) -> Value {
        self.read_at(NOW, path).await
    }

    pub(crate) async fn read_at(&self, now: TimestampMs, path: &str) -> Value {
        let handled = self.send_at(now, Method::GET, path, Some(&self.reader)).await;
        assert_eq!(handled.response.status(), 200, "{path}: {:?}", handled.response.body());
        json(&handled.response)
    }

    /// Status and detail of a problem for a read token of `shop`.
    pub(crate) async fn problem(&self, path: &str) -> (u16, String) {
        problem(&self.send(Method::GET, path, Some(&self.reader)).await.response)
    }
}

pub(crate) fn json(response: &Response<Bytes>) -> Value {
    assert_eq!(response.headers()["content-length"], response.body().len().to_string());
    serde_json::from_slice(response.body()).expect("JSON")
}

pub(crate) fn problem(response: &Response<Bytes>) -> (u16, String) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body = json(response);
    assert_eq!(body["status"], response.status().as_u16());
    (response.status().as_u16(), body["detail"].as_str().expect("a detail").to_owned())
}

/// The ids of a page, or what else stands in each item under `field`.
pub(crate) fn each<'a>(page: &'a Value, field: &str) -> Vec<&'a str> {
    page["items"].as_array().expect("items").iter().map(|item| item[field].as_str().expect("a text")).collect()
}

/// The id of a report of `shop`, and its record.
pub(crate) fn record(kind: Kind, payload: &[u8], report: &[u8]) -> (ReportId, Bytes) {
    let arrival = Arrival {
        project: project("shop"),
        account: AccountId::new("acme").expect("an account"),
        region: Region::new("eu-west-1").expect("a region"),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("token-1").expect("a token's id"),
        received_at: NOW,
    };
    let id = Report::parse(report).expect("a report").id(&arrival.project);
    (id, pack(&arrival, id, kind, payload).expect("a record").encode())
}

/// The body of a captured request.
pub(crate) fn captured(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/captures");
    let capture = std::fs::read_to_string(format!("{folder}/{name}.report.json")).expect("a capture");
    let capture: Value = serde_json::from_str(&capture).expect("JSON");
    capture["request"]["body_text"].as_str().expect("a body").to_owned()
}
