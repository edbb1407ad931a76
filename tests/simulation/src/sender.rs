//! Agents: each report is sent when its invocation ends, sent again where the agent does so, or sent twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use serde_json::json;
use tributary_collector::Collector;
use tributary_model::directory::{Project, TokenKey};
use tributary_model::{AccountId, Directory, ProjectId, Report, ReportId};

use crate::bug::Bug;
use crate::invariant::Invariant;
use crate::ports::objects::MemoryObjects;
use crate::ports::stream::MemoryStream;
use crate::story::About;
use crate::world::{BEGIN, Process, World, lock};

/// How long an agent waits for its answer: the Go agent's time.
const AGENT_WAITS: Duration = Duration::from_secs(1);
const ISSUER: &str = "https://tributary.test";
const PROJECT: &str = "shop";

/// Who sends, and what they know.
pub(crate) struct Senders {
    pub(crate) world: Arc<World>,
    pub(crate) collector: Arc<Collector>,
    pub(crate) stream: Arc<MemoryStream>,
    pub(crate) overflow: Arc<MemoryObjects>,
    pub(crate) sent: Mutex<BTreeMap<ReportId, Sent>>,
    /// Reports that were made up for shards; their numbers lie behind those of the invocations.
    pub(crate) later: AtomicUsize,
}

/// A report that was sent at least once.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) function: &'static str,
    pub(crate) acknowledged: bool,
}

impl Senders {
    /// One invocation, from its end until its agent has done what it does.
    pub(crate) async fn invocation(self: Arc<Self>, number: usize, at: Duration) {
        tokio::time::sleep_until(tokio::time::Instant::now() + at.saturating_sub(self.world.elapsed())).await;
        let (id, function, body) = self.report(number);
        lock(&self.sent).insert(id, Sent { function, acknowledged: false });
        let attempts = 1 + self.world.draw(|random| random.below(4));
        for _ in 0..attempts {
            let twice = self.world.draw(|random| random.percent(5.0));
            if twice {
                let other = tokio::spawn(Arc::clone(&self).send(id, body.clone()));
                Arc::clone(&self).send(id, body.clone()).await;
                let _ = other.await; // it does not panic
            } else {
                Arc::clone(&self).send(id, body.clone()).await;
            }
            let acknowledged = lock(&self.sent).get(&id).is_some_and(|sent| sent.acknowledged);
            if acknowledged && self.world.draw(|random| random.percent(80.0)) {
                return;
            }
            let pause = self.world.draw(|random| random.spread_millis(100..60_000));
            tokio::time::sleep(pause).await;
        }
    }

    /// A report comes to each shard that takes records.
    pub(crate) async fn to_every_shard(self: &Arc<Self>) {
        let mut shards = self.stream.open_shards();
        while !shards.is_empty() {
            let number = 1000 + self.later.fetch_add(1, Ordering::Relaxed);
            let (id, function, body) = self.report(number);
            if self.stream.shard_of(&id.to_string()).is_some_and(|shard| shards.remove(&shard)) {
                lock(&self.sent).insert(id, Sent { function, acknowledged: false });
                Arc::clone(self).send(id, body).await;
            }
        }
    }

    fn report(&self, number: usize) -> (ReportId, &'static str, Bytes) {
        let (function, ago_ms) = self.world.draw(|random| {
            let function = match random.below(100) {
                0..4 => "refused-by-search",
                4..8 => "refused-by-ledger",
                8..10 => "refused-by-both",
                _ => "checkout",
            };
            (function, random.spread_millis(1..7 * 24 * 60 * 60 * 1000).as_millis())
        });
        let timestamp = self.world.now().plus_ms(-i64::try_from(ago_ms).unwrap_or_default()).0;
        let body = format!(
            r#"{{"processId":"p","timestamp":{timestamp},"aws":{{"awsRequestId":"r{number}","functionName":"{function}"}}}}"#
        );
        let id = ReportId::derive(&project(), "p", &format!("r{number}"), tributary_model::TimestampMs(timestamp));
        debug_assert_eq!(Report::parse(body.as_bytes()).ok().map(|report| report.id(&project())), Some(id));
        (id, function, Bytes::from(body))
    }

    async fn send(self: Arc<Self>, id: ReportId, body: Bytes) {
        let world = &self.world;
        world.tell_of("agent", id, || format!("sends {id}"));
        let (collector, now) = (Arc::clone(&self.collector), world.now());
        let Ok(request) =
            Request::post("/v0/event").header("authorization", format!("Bearer {}", credentials().token)).body(body)
        else {
            return;
        };
        let answer = async move { tributary_collector::handle(&collector, now, request).await.response };
        let running = world.start(Process::Collector, answer);
        if world.has(Bug::AcknowledgeBeforeAppend) {
            return self.acknowledged(id);
        }
        match tokio::time::timeout(AGENT_WAITS, running).await {
            Ok(Ok(response)) if response.status() == 200 => {
                let receipt = format!(r#"{{"id":"{id}"}}"#);
                world.check(response.body() == receipt.as_bytes(), Invariant::NothingInvented, Some(id), || {
                    format!("the receipt of {id} is {:?}", response.body())
                });
                self.acknowledged(id);
            }
            Ok(Ok(response)) => world.tell_of("agent", id, || format!("hears {} for {id}", response.status())),
            Ok(Err(_)) => world.tell_of("agent", id, || format!("loses its connection with {id}")),
            Err(_) => world.tell_of("agent", id, || format!("waits no longer for {id}")),
        }
    }

    fn acknowledged(&self, id: ReportId) {
        self.world.tell_of("agent", id, || format!("hears 200 for {id}"));
        if let Some(sent) = lock(&self.sent).get_mut(&id) {
            sent.acknowledged = true;
        }
        let durable = self.stream.holds(id) || self.overflow.holds_record(id);
        self.world.check(durable, Invariant::AcknowledgedIsDurable, Some(id), || {
            format!("{id} is acknowledged, and neither the stream nor the overflow holds it")
        });
    }

    /// Something comes into the stream that no collector made.
    pub(crate) async fn smuggler(self: Arc<Self>, at: Duration, number: usize) {
        tokio::time::sleep(at).await;
        self.world.tell("smuggler", About::All, || "puts a record into the stream that nobody can read".to_owned());
        self.stream.smuggle(Bytes::from(format!("garbage {number}")));
    }
}

/// The directory's object and a token that sends to its one project; the same for all worlds of a process.
pub(crate) struct Credentials {
    pub(crate) directory: Bytes,
    token: String,
}

fn project() -> ProjectId {
    named(ProjectId::new(PROJECT))
}

fn named<T, E: std::fmt::Display>(name: Result<T, E>) -> T {
    name.unwrap_or_else(|error| unreachable!("a name that is allowed: {error}"))
}

pub(crate) fn credentials() -> &'static Credentials {
    static CREDENTIALS: OnceLock<Credentials> = OnceLock::new();
    CREDENTIALS.get_or_init(make_credentials)
}

#[expect(clippy::expect_used, reason = "the simulation is test code")]
fn make_credentials() -> Credentials {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let point = pair.public_key().as_ref();
    let (x, y) = (part(point.get(1..33).unwrap_or_default()), part(point.get(33..65).unwrap_or_default()));
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256", "use": "sig", "kid": "k"});
    let mut directory = Directory { version: 1, issuer: ISSUER.to_owned(), ..Directory::default() };
    directory.projects.insert(project(), Project::new(named(AccountId::new("acme"))));
    directory.token_keys.insert("k".to_owned(), TokenKey { jwk, retired_at: None });

    let begun_s = BEGIN.0 / 1000;
    let header = json!({"alg": "ES256", "kid": "k", "typ": "JWT"}).to_string();
    let claims = json!({
        "iss": ISSUER, "jti": "token-1", "project": PROJECT, "scope": "ingest", "iat": begun_s,
        "exp": begun_s + 400 * 24 * 60 * 60,
    });
    let input = format!("{}.{}", part(header.as_bytes()), part(claims.to_string().as_bytes()));
    let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).expect("a signature");
    let token = format!("{input}.{}", part(signature.as_ref()));
    Credentials { directory: serde_json::to_vec(&directory).expect("JSON").into(), token }
}
