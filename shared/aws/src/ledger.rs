//! The ledger in PostgreSQL, through the RDS Data API: plain HTTPS, so that no function needs a VPC or a connection pool.
//!
//! Rows travel as one JSON array in one parameter, which PostgreSQL unnests: a batch is one round trip, and the answer tells
//! of each row what was there before (ADR 0018). Rows come back as JSON
//! texts, cut by their bytes within what an answer may hold.

mod audit;
mod call;
mod dead_letters;
mod invocations;
mod migrations;
mod outages;
mod pages;
mod tokens;

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use tributary_model::{ProjectId, ReportId, TimestampMs, TokenId};
use tributary_ports::ledger::{
    AuditEvent, DeadLetterFilter, DeadLetterRow, InvocationRow, OutageRow, RemovedDeadLetter, Resolution, TokenRow,
};
use tributary_ports::{Ledger, LiveSettings, PortError, Upserted};

use call::Database;
use invocations::Days;

/// The ledger of an Aurora cluster.
#[derive(Debug)]
pub struct RdsLedger {
    database: Database,
    days: Days,
}

impl RdsLedger {
    /// The ledger in the database `name` of a cluster; `secret_arn` names the secret with the user and the password.
    #[must_use]
    pub fn new(config: &SdkConfig, cluster_arn: &str, secret_arn: &str, name: &str) -> Arc<Self> {
        Self::with_settings(config, cluster_arn, secret_arn, name, Arc::default())
    }

    /// The same with other pages than the default's.
    #[must_use]
    pub fn with_settings(
        config: &SdkConfig,
        cluster_arn: &str,
        secret_arn: &str,
        name: &str,
        settings: Arc<LiveSettings>,
    ) -> Arc<Self> {
        let database = Database::new(config, cluster_arn, secret_arn, name, settings);
        Arc::new(Self { database, days: Days::default() })
    }

    /// Brings the schema up to this build's version; answers how many versions were missing. Commands that do so at the
    /// same time wait for each other, and the same again changes nothing.
    ///
    /// # Errors
    /// `Invalid` if the schema is newer than this build; otherwise bad luck of any kind, and the versions that were
    /// applied before stay.
    pub async fn migrate(&self) -> Result<usize, PortError> {
        migrations::migrate(&self.database).await
    }

    /// Checks that the schema has the version that this build needs.
    ///
    /// # Errors
    /// `Invalid` if it is older or newer, which the text says; otherwise bad luck of any kind.
    pub async fn check_schema(&self) -> Result<(), PortError> {
        migrations::check(&self.database).await
    }
}

#[async_trait]
impl Ledger for RdsLedger {
    async fn upsert_invocations(&self, rows: Vec<InvocationRow>) -> Result<Vec<Upserted>, PortError> {
        invocations::upsert(&self.database, &self.days, rows).await
    }

    async fn invocations(&self, ids: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError> {
        invocations::find(&self.database, ids).await
    }

    async fn count_invocations(
        &self,
        project: &ProjectId,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<u64, PortError> {
        invocations::count(&self.database, project, from, to).await
    }

    async fn upsert_dead_letters(&self, rows: Vec<DeadLetterRow>) -> Result<(), PortError> {
        dead_letters::upsert(&self.database, rows).await
    }

    async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetterRow>, PortError> {
        dead_letters::list(&self.database, filter, after, limit).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetterRow>, PortError> {
        dead_letters::find(&self.database, id).await
    }

    async fn resolve_dead_letters(&self, resolutions: Vec<Resolution>) -> Result<Vec<RemovedDeadLetter>, PortError> {
        dead_letters::resolve(&self.database, "ledger.resolve_dead_letters", resolutions).await
    }

    async fn expire_dead_letters(
        &self,
        before: TimestampMs,
        limit: usize,
    ) -> Result<Vec<RemovedDeadLetter>, PortError> {
        dead_letters::expire(&self.database, before, limit).await
    }

    async fn upsert_outages(&self, rows: Vec<OutageRow>) -> Result<(), PortError> {
        outages::upsert(&self.database, rows).await
    }

    async fn outage(&self, id: &str) -> Result<Option<OutageRow>, PortError> {
        outages::find(&self.database, id).await
    }

    async fn outages(&self, after: Option<&OutageRow>, limit: usize) -> Result<Vec<OutageRow>, PortError> {
        outages::list(&self.database, after, limit).await
    }

    async fn append_audit_events(&self, events: Vec<AuditEvent>) -> Result<(), PortError> {
        audit::append(&self.database, events).await
    }

    async fn audit_events(
        &self,
        project: Option<&ProjectId>,
        after: Option<&AuditEvent>,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, PortError> {
        audit::list(&self.database, project, after, limit).await
    }

    async fn insert_token(&self, row: TokenRow) -> Result<(), PortError> {
        tokens::insert(&self.database, row).await
    }

    async fn token(&self, id: &TokenId) -> Result<Option<TokenRow>, PortError> {
        tokens::find(&self.database, id).await
    }

    async fn tokens(
        &self,
        project: &ProjectId,
        after: Option<&TokenRow>,
        limit: usize,
    ) -> Result<Vec<TokenRow>, PortError> {
        tokens::list(&self.database, project, after, limit).await
    }
}

#[cfg(test)]
mod tests;
