//! Stores that take everything, each call after the time that one takes over a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;
use tributary_embedded::objects::FileObjects;
use tributary_model::{Day, Invocation, ProjectId, ReportId, TimestampMs, TokenId, Version};
use tributary_ports::ledger::{
    AuditEvent, DeadLetterFilter, DeadLetterRow, InvocationRow, OutageRow, RemovedDeadLetter, Resolution, TokenRow,
};
use tributary_ports::objects::{Condition, Etag, Object};
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort};
use tributary_ports::{Ledger, Objects, PortError, PortErrorKind, Search, Upserted};

/// What S3 takes for a small object, to get or to put.
const OBJECT_TAKES: Duration = Duration::from_millis(20);
/// What a store takes for a batch.
const BATCH_TAKES: Duration = Duration::from_millis(20);

/// Objects on disk, as far away as S3.
pub(super) struct FarObjects {
    objects: Arc<FileObjects>,
    calls: AtomicU64,
}

impl FarObjects {
    pub(super) fn new(objects: Arc<FileObjects>) -> Arc<Self> {
        Arc::new(Self { objects, calls: AtomicU64::new(0) })
    }

    /// Calls that were made.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn travel(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        sleep(OBJECT_TAKES).await;
    }
}

#[async_trait]
impl Objects for FarObjects {
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Etag, PortError> {
        self.travel().await;
        self.objects.put(key, bytes, condition).await
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        self.travel().await;
        self.objects.get(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError> {
        self.travel().await;
        self.objects.list(prefix, after, limit).await
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        self.travel().await;
        self.objects.delete(key).await
    }
}

/// A search index and a ledger that keep nothing.
pub(super) struct FarStore;

fn no<T>(operation: &'static str) -> Result<T, PortError> {
    Err(PortError::new(PortErrorKind::Invalid, operation, "a replay does not ask this"))
}

#[async_trait]
impl Search for FarStore {
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        sleep(BATCH_TAKES).await;
        Ok(documents.iter().map(|_| Upserted::Applied).collect())
    }

    async fn find(&self, _: &Scope, _: Sort, _: Option<After>, _: usize) -> Result<Vec<Invocation>, PortError> {
        no("far.find")
    }

    async fn get(&self, _: &ProjectId, _: ReportId) -> Result<Option<Document>, PortError> {
        no("far.get")
    }

    async fn versions(&self, _: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError> {
        no("far.versions")
    }

    async fn expire(&self, _: Day) -> Result<(), PortError> {
        no("far.expire")
    }

    async fn functions(&self, _: &Scope, _: usize) -> Result<Vec<FunctionSummary>, PortError> {
        no("far.functions")
    }
}

#[async_trait]
impl Ledger for FarStore {
    async fn upsert_invocations(&self, rows: Vec<InvocationRow>) -> Result<Vec<Upserted>, PortError> {
        sleep(BATCH_TAKES).await;
        Ok(rows.iter().map(|_| Upserted::Applied).collect())
    }

    async fn append_audit_events(&self, _: Vec<AuditEvent>) -> Result<(), PortError> {
        Ok(()) // of the replay's start
    }

    async fn invocations(&self, _: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError> {
        no("far.invocations")
    }

    async fn count_invocations(&self, _: &ProjectId, _: TimestampMs, _: TimestampMs) -> Result<u64, PortError> {
        no("far.count_invocations")
    }

    async fn upsert_dead_letters(&self, _: Vec<DeadLetterRow>) -> Result<(), PortError> {
        no("far.upsert_dead_letters")
    }

    async fn dead_letters(
        &self,
        _: &DeadLetterFilter,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<DeadLetterRow>, PortError> {
        no("far.dead_letters")
    }

    async fn dead_letter(&self, _: &str) -> Result<Option<DeadLetterRow>, PortError> {
        no("far.dead_letter")
    }

    async fn resolve_dead_letters(&self, _: Vec<Resolution>) -> Result<Vec<RemovedDeadLetter>, PortError> {
        no("far.resolve_dead_letters")
    }

    async fn expire_dead_letters(&self, _: TimestampMs, _: usize) -> Result<Vec<RemovedDeadLetter>, PortError> {
        no("far.expire_dead_letters")
    }

    async fn upsert_outages(&self, _: Vec<OutageRow>) -> Result<(), PortError> {
        no("far.upsert_outages")
    }

    async fn outage(&self, _: &str) -> Result<Option<OutageRow>, PortError> {
        no("far.outage")
    }

    async fn outages(&self, _: Option<&OutageRow>, _: usize) -> Result<Vec<OutageRow>, PortError> {
        no("far.outages")
    }

    async fn audit_events(
        &self,
        _: Option<&ProjectId>,
        _: Option<&AuditEvent>,
        _: usize,
    ) -> Result<Vec<AuditEvent>, PortError> {
        no("far.audit_events")
    }

    async fn insert_token(&self, _: TokenRow) -> Result<(), PortError> {
        no("far.insert_token")
    }

    async fn token(&self, _: &TokenId) -> Result<Option<TokenRow>, PortError> {
        no("far.token")
    }

    async fn tokens(&self, _: &ProjectId, _: Option<&TokenRow>, _: usize) -> Result<Vec<TokenRow>, PortError> {
        no("far.tokens")
    }
}
