//! The ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tributary_model::{ProjectId, ReportId, RetentionClass, Target, TimestampMs, TokenId, Version};
use tributary_ports::ledger::{
    AuditEvent, DeadLetterFilter, DeadLetterRow, InvocationRow, OutageRow, RemovedDeadLetter, Resolution, TokenRow,
};
use tributary_ports::{Ledger, PortError, Upserted};

use super::not_asked;
use super::search::pretend;
use super::versions::{Versions, Written};
use crate::story::About;
use crate::weather::{Fate, Place};
use crate::world::{World, lock};

pub(crate) struct MemoryLedger {
    world: Arc<World>,
    pub(crate) rows: Mutex<Versions<InvocationRow>>,
    dead_letters: Mutex<BTreeMap<String, DeadLetterRow>>,
    outages: Mutex<BTreeMap<String, OutageRow>>,
}

impl MemoryLedger {
    pub(crate) fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, rows: Mutex::default(), dead_letters: Mutex::default(), outages: Mutex::default() })
    }

    pub(crate) fn outages_now(&self) -> BTreeMap<String, OutageRow> {
        lock(&self.outages).clone()
    }

    pub(crate) fn dead_letters_now(&self) -> BTreeMap<String, DeadLetterRow> {
        lock(&self.dead_letters).clone()
    }
}

impl Written for InvocationRow {
    fn id(&self) -> ReportId {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn received_at(&self) -> TimestampMs {
        self.received_at
    }

    fn retention(&self) -> RetentionClass {
        self.retention
    }

    fn function(&self) -> &str {
        &self.function
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn upsert_invocations(&self, rows: Vec<InvocationRow>) -> Result<Vec<Upserted>, PortError> {
        let count = rows.len();
        let about = About::Reports(rows.iter().map(|row| row.id).collect());
        let effect = |fate: Fate| {
            let part = match fate {
                Fate::Partly(_) => self.world.draw(|random| random.below(count + 1)),
                _ => count,
            };
            let mut held = lock(&self.rows);
            Ok(rows.into_iter().take(part).map(|write| held.upsert(&self.world, "ledger", write)).collect())
        };
        let answer = self.world.call(Place::Ledger, "ledger.upsert_invocations", about, effect).await;
        pretend(&self.world, answer, count)
    }

    async fn invocations(&self, ids: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError> {
        let effect = |_| {
            let held = lock(&self.rows);
            Ok(ids.iter().map(|id| held.of(*id).next().cloned()).collect())
        };
        self.world.call(Place::Ledger, "ledger.invocations", About::Nobody, effect).await
    }

    async fn count_invocations(&self, _: &ProjectId, _: TimestampMs, _: TimestampMs) -> Result<u64, PortError> {
        not_asked("ledger.count_invocations")
    }

    async fn upsert_dead_letters(&self, rows: Vec<DeadLetterRow>) -> Result<(), PortError> {
        let ids = rows.iter().filter_map(|row| row.id.parse().ok()).collect();
        let effect = |fate: Fate| {
            let part = if matches!(fate, Fate::Partly(_)) { rows.len() / 2 } else { rows.len() };
            let mut all = lock(&self.dead_letters);
            for row in rows.into_iter().take(part) {
                let folded = all.entry(row.id.clone()).or_insert_with(|| row.clone());
                let targets: BTreeSet<Target> = folded.targets.iter().chain(&row.targets).copied().collect();
                let first_seen = folded.first_seen.min(row.first_seen);
                *folded = DeadLetterRow { targets: targets.into_iter().collect(), first_seen, ..row };
            }
            Ok(())
        };
        self.world.call(Place::Ledger, "ledger.upsert_dead_letters", About::Reports(ids), effect).await
    }

    async fn dead_letters(
        &self,
        _: &DeadLetterFilter,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<DeadLetterRow>, PortError> {
        not_asked("ledger.dead_letters")
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetterRow>, PortError> {
        let effect = |_| Ok(lock(&self.dead_letters).get(id).cloned());
        self.world.call(Place::Ledger, "ledger.dead_letter", About::Nobody, effect).await
    }

    async fn resolve_dead_letters(&self, _: Vec<Resolution>) -> Result<Vec<RemovedDeadLetter>, PortError> {
        not_asked("ledger.resolve_dead_letters")
    }

    async fn expire_dead_letters(&self, _: TimestampMs, _: usize) -> Result<Vec<RemovedDeadLetter>, PortError> {
        not_asked("ledger.expire_dead_letters")
    }

    async fn upsert_outages(&self, rows: Vec<OutageRow>) -> Result<(), PortError> {
        let effect = |_| {
            let mut all = lock(&self.outages);
            for row in rows {
                let there = all.entry(row.id.clone()).or_insert_with(|| row.clone());
                if there.updated_at < row.updated_at {
                    *there = row;
                }
            }
            Ok(())
        };
        self.world.call(Place::Ledger, "ledger.upsert_outages", About::Nobody, effect).await
    }

    async fn outage(&self, id: &str) -> Result<Option<OutageRow>, PortError> {
        let effect = |_| Ok(lock(&self.outages).get(id).cloned());
        self.world.call(Place::Ledger, "ledger.outage", About::Nobody, effect).await
    }

    async fn outages(&self, _: Option<&OutageRow>, _: usize) -> Result<Vec<OutageRow>, PortError> {
        not_asked("ledger.outages")
    }

    async fn append_audit_events(&self, _: Vec<AuditEvent>) -> Result<(), PortError> {
        self.world.call(Place::Ledger, "ledger.append_audit_events", About::Nobody, |_| Ok(())).await
    }

    async fn audit_events(
        &self,
        _: Option<&ProjectId>,
        _: Option<&AuditEvent>,
        _: usize,
    ) -> Result<Vec<AuditEvent>, PortError> {
        not_asked("ledger.audit_events")
    }

    async fn insert_token(&self, _: TokenRow) -> Result<(), PortError> {
        not_asked("ledger.insert_token")
    }

    async fn token(&self, _: &TokenId) -> Result<Option<TokenRow>, PortError> {
        not_asked("ledger.token")
    }

    async fn tokens(&self, _: &ProjectId, _: Option<&TokenRow>, _: usize) -> Result<Vec<TokenRow>, PortError> {
        not_asked("ledger.tokens")
    }
}
