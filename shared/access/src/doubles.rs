//! Ports in memory for the tests of this crate: one object store, one key store, one ledger of tokens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use tributary_model::directory::{OBJECT_KEY, Project};
use tributary_model::{AccountId, Directory, ProjectId, ReportId, TimestampMs, TokenId};
use tributary_ports::keys::{DataKey, PublicKey, Purpose, Signature};
use tributary_ports::ledger::{
    AuditEvent, DeadLetterFilter, DeadLetterRow, InvocationRow, OutageRow, RemovedDeadLetter, Resolution, TokenRow,
};
use tributary_ports::objects::{Condition, Etag, Object};
use tributary_ports::{Keys, Ledger, Objects, PortError, PortErrorKind, Upserted};

use crate::jws;

/// 2026-11-21T18:01:01.873Z
pub(crate) const NOW: TimestampMs = TimestampMs(1_795_284_061_873);
pub(crate) const ISSUER: &str = "https://tributary.test";
pub(crate) const SHOP: &str = "shop";

pub(crate) fn project_id(name: &str) -> ProjectId {
    ProjectId::new(name).expect("a project's name")
}

pub(crate) fn shop() -> Project {
    Project::new(AccountId::new("acme").expect("an account's name"))
}

pub(crate) fn directory_object(directory: &Directory) -> Bytes {
    serde_json::to_vec(directory).expect("JSON").into()
}

pub(crate) fn read_directory(objects: &MemoryObjects) -> Directory {
    let objects = objects.objects.lock().expect("no panic");
    serde_json::from_slice(&objects[OBJECT_KEY].bytes).expect("a directory")
}

/// A store with a directory that holds the project `shop` and no key.
pub(crate) fn objects_with_shop() -> MemoryObjects {
    let projects = BTreeMap::from([(project_id(SHOP), shop())]);
    let objects = MemoryObjects::default();
    objects.place(OBJECT_KEY, directory_object(&Directory { projects, ..Directory::default() }));
    objects
}

/// Objects that obey their conditions, count their puts, and can be changed behind a writer's back.
#[derive(Default)]
pub(crate) struct MemoryObjects {
    objects: Mutex<BTreeMap<String, Object>>,
    meddling: Mutex<Option<(String, Bytes)>>,
    refuses: Mutex<bool>,
    silent: Mutex<bool>,
    etags: AtomicU64,
    puts: AtomicUsize,
    gets: AtomicUsize,
}

impl MemoryObjects {
    pub(crate) fn place(&self, key: &str, bytes: Bytes) -> Etag {
        let etag = Etag(self.etags.fetch_add(1, Ordering::Relaxed).to_string().into());
        let object = Object { bytes, etag: etag.clone() };
        self.objects.lock().expect("no panic").insert(key.to_owned(), object);
        etag
    }

    pub(crate) fn remove(&self, key: &str) {
        self.objects.lock().expect("no panic").remove(key);
    }

    pub(crate) fn meddle_before_next_put(&self, key: &str, bytes: Bytes) {
        *self.meddling.lock().expect("no panic") = Some((key.to_owned(), bytes));
    }

    pub(crate) fn refuse_every_put(&self) {
        *self.refuses.lock().expect("no panic") = true;
    }

    /// A get from now on waits for ever.
    pub(crate) fn answer_no_more(&self) {
        *self.silent.lock().expect("no panic") = true;
    }

    pub(crate) fn puts(&self) -> usize {
        self.puts.load(Ordering::Relaxed)
    }

    pub(crate) fn gets(&self) -> usize {
        self.gets.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Objects for MemoryObjects {
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Etag, PortError> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        let meddling = self.meddling.lock().expect("no panic").take();
        if let Some((key, bytes)) = meddling {
            self.place(&key, bytes);
        }
        let present = self.objects.lock().expect("no panic").get(key).map(|object| object.etag.clone());
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => present.is_none(),
            Condition::Unchanged(etag) => present == Some(etag),
        };
        if !holds || *self.refuses.lock().expect("no panic") {
            return Err(PortError::new(PortErrorKind::Conflict, "objects.put", "changed"));
        }
        Ok(self.place(key, bytes))
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        let silent = *self.silent.lock().expect("no panic");
        if silent {
            std::future::pending::<()>().await;
        }
        Ok(self.objects.lock().expect("no panic").get(key).cloned())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError> {
        let mut keys: Vec<String> = self.objects.lock().expect("no panic").keys().cloned().collect();
        keys.retain(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        keys.sort();
        keys.truncate(limit);
        Ok(keys)
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        unreachable!("nothing here deletes objects")
    }
}

/// ES256 keys that live as long as the test.
pub(crate) struct MemoryKeys {
    pairs: Mutex<Vec<Arc<EcdsaKeyPair>>>,
}

impl MemoryKeys {
    pub(crate) fn new() -> Self {
        Self { pairs: Mutex::new(vec![Arc::new(new_pair())]) }
    }

    pub(crate) fn current_kid(&self) -> String {
        format!("key-{}", self.pairs.lock().expect("no panic").len())
    }

    /// Signs any header and claims with the current key.
    pub(crate) fn sign_raw(&self, header: &Value, claims: &Value) -> String {
        let input = jws::signing_input(header, claims);
        let pair = Arc::clone(self.pairs.lock().expect("no panic").last().expect("a key"));
        jws::join(&input, &sign(&pair, input.as_bytes()))
    }
}

fn new_pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")
}

fn sign(pair: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
}

fn public_key(number: usize, pair: &EcdsaKeyPair, current: bool) -> PublicKey {
    let kid = format!("key-{number}");
    let point = pair.public_key().as_ref();
    let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "x": part(1..33), "y": part(33..65), "alg": "ES256", "use": "sig", "kid": kid,
    });
    PublicKey { kid, jwk, current }
}

#[async_trait]
impl Keys for MemoryKeys {
    async fn sign(&self, kid: &str, message: &[u8]) -> Result<Signature, PortError> {
        let number: usize = kid.trim_start_matches("key-").parse().expect("a kid of this store");
        let pair = Arc::clone(&self.pairs.lock().expect("no panic")[number - 1]);
        Ok(Signature { kid: kid.to_owned(), bytes: sign(&pair, message) })
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        let pairs = self.pairs.lock().expect("no panic");
        let keys = pairs.iter().enumerate().map(|(at, pair)| public_key(at + 1, pair, at + 1 == pairs.len()));
        Ok(keys.rev().collect())
    }

    async fn rotate(&self) -> Result<PublicKey, PortError> {
        let pair = Arc::new(new_pair());
        let mut pairs = self.pairs.lock().expect("no panic");
        pairs.push(Arc::clone(&pair));
        Ok(public_key(pairs.len(), &pair, true))
    }

    async fn data_key(&self, _: Purpose) -> Result<DataKey, PortError> {
        unreachable!("nothing here seals")
    }

    async fn unwrap_key(&self, _: Purpose, _: &[u8]) -> Result<DataKey, PortError> {
        unreachable!("nothing here opens what is sealed")
    }
}

/// A ledger of which only the tokens are used; it can be made to fail.
#[derive(Default)]
pub(crate) struct TokenLedger {
    pub(crate) rows: Mutex<Vec<TokenRow>>,
    pub(crate) fails: bool,
}

#[async_trait]
impl Ledger for TokenLedger {
    async fn insert_token(&self, row: TokenRow) -> Result<(), PortError> {
        if self.fails {
            return Err(PortError::new(PortErrorKind::Unavailable, "ledger.insert_token", "down"));
        }
        self.rows.lock().expect("no panic").push(row);
        Ok(())
    }

    async fn token(&self, id: &TokenId) -> Result<Option<TokenRow>, PortError> {
        let rows = self.rows.lock().expect("no panic");
        Ok(rows.iter().find(|row| row.id == *id).cloned())
    }

    async fn tokens(&self, _: &ProjectId, _: Option<&TokenRow>, _: usize) -> Result<Vec<TokenRow>, PortError> {
        unreachable!("none is listed")
    }

    async fn upsert_invocations(&self, _: Vec<InvocationRow>) -> Result<Vec<Upserted>, PortError> {
        unreachable!("only tokens are used")
    }

    async fn invocations(&self, _: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError> {
        unreachable!("only tokens are used")
    }

    async fn count_invocations(&self, _: &ProjectId, _: TimestampMs, _: TimestampMs) -> Result<u64, PortError> {
        unreachable!("only tokens are used")
    }

    async fn upsert_dead_letters(&self, _: Vec<DeadLetterRow>) -> Result<(), PortError> {
        unreachable!("only tokens are used")
    }

    async fn dead_letters(
        &self,
        _: &DeadLetterFilter,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<DeadLetterRow>, PortError> {
        unreachable!("only tokens are used")
    }

    async fn dead_letter(&self, _: &str) -> Result<Option<DeadLetterRow>, PortError> {
        unreachable!("only tokens are used")
    }

    async fn resolve_dead_letters(&self, _: Vec<Resolution>) -> Result<Vec<RemovedDeadLetter>, PortError> {
        unreachable!("only tokens are used")
    }

    async fn expire_dead_letters(&self, _: TimestampMs, _: usize) -> Result<Vec<RemovedDeadLetter>, PortError> {
        unreachable!("only tokens are used")
    }

    async fn upsert_outages(&self, _: Vec<OutageRow>) -> Result<(), PortError> {
        unreachable!("only tokens are used")
    }

    async fn outage(&self, _: &str) -> Result<Option<OutageRow>, PortError> {
        unreachable!("only tokens are used")
    }

    async fn outages(&self, _: Option<&OutageRow>, _: usize) -> Result<Vec<OutageRow>, PortError> {
        unreachable!("only tokens are used")
    }

    async fn append_audit_events(&self, _: Vec<AuditEvent>) -> Result<(), PortError> {
        unreachable!("only tokens are used")
    }

    async fn audit_events(
        &self,
        _: Option<&ProjectId>,
        _: Option<&AuditEvent>,
        _: usize,
    ) -> Result<Vec<AuditEvent>, PortError> {
        unreachable!("only tokens are used")
    }
}
