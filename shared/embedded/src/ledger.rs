//! The ledger in one SQLite file. What is acknowledged is on the disk (WAL, `synchronous=FULL`); a batch is one
//! transaction. Several processes may have it open: the command line reads and issues tokens while `tributary up` runs.

mod audit;
mod dead_letters;
mod error;
mod file;
mod invocations;
mod outages;
mod read;
mod tokens;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Transaction;
use tributary_model::limits::{LEDGER_LOCK_WAIT, LEDGER_PROBLEMS_MAX};
use tributary_model::{ProjectId, ReportId, TimestampMs, TokenId};
use tributary_ports::ledger::{
    AuditEvent, DeadLetterFilter, DeadLetterRow, InvocationRow, OutageRow, RemovedDeadLetter, Resolution, TokenRow,
};
use tributary_ports::{Ledger, PortError, Upserted};

use crate::blocking;
use file::File;

/// The ledger in a folder.
pub struct SqliteLedger {
    file: Arc<File>,
}

impl SqliteLedger {
    /// Opens the ledger in `folder`; makes both if they are not there.
    ///
    /// # Errors
    /// `Invalid` if the file is of a newer version or is no ledger; otherwise bad luck.
    pub fn open(folder: &Path) -> Result<Arc<Self>, PortError> {
        Ok(Arc::new(Self { file: Arc::new(File::open(folder, LEDGER_LOCK_WAIT)?) }))
    }

    /// What is wrong with the file, in SQLite's words; nothing if it is whole. Reads all of it.
    ///
    /// # Errors
    /// Bad luck of any kind; a file too damaged for the question is `Unavailable`.
    pub async fn check(&self) -> Result<Vec<String>, PortError> {
        let sql = format!("PRAGMA quick_check({LEDGER_PROBLEMS_MAX})");
        let check = move |transaction: &Transaction<'_>| {
            let mut statement = transaction.prepare(&sql)?;
            let lines: rusqlite::Result<Vec<String>> = statement.query_map([], |row| row.get(0))?.collect();
            lines
        };
        let lines = self.read("ledger.check", check).await?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let file = Arc::clone(&self.file);
        blocking::run(operation, move || file.write(operation, work)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let file = Arc::clone(&self.file);
        blocking::run(operation, move || file.read(operation, work)).await
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn upsert_invocations(&self, rows: Vec<InvocationRow>) -> Result<Vec<Upserted>, PortError> {
        self.write("ledger.upsert_invocations", move |transaction| invocations::upsert(transaction, &rows)).await
    }

    async fn invocations(&self, ids: &[ReportId]) -> Result<Vec<Option<InvocationRow>>, PortError> {
        let ids = ids.to_vec();
        self.read("ledger.invocations", move |transaction| invocations::find(transaction, &ids)).await
    }

    async fn count_invocations(
        &self,
        project: &ProjectId,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<u64, PortError> {
        let project = project.clone();
        let count = move |transaction: &Transaction<'_>| invocations::count(transaction, &project, from, to);
        self.read("ledger.count_invocations", count).await
    }

    async fn upsert_dead_letters(&self, rows: Vec<DeadLetterRow>) -> Result<(), PortError> {
        self.write("ledger.upsert_dead_letters", move |transaction| dead_letters::upsert(transaction, &rows)).await
    }

    async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetterRow>, PortError> {
        let (filter, after) = (filter.clone(), after.map(str::to_owned));
        let list =
            move |transaction: &Transaction<'_>| dead_letters::list(transaction, &filter, after.as_deref(), limit);
        self.read("ledger.dead_letters", list).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetterRow>, PortError> {
        let id = id.to_owned();
        self.read("ledger.dead_letter", move |transaction| dead_letters::find(transaction, &id)).await
    }

    async fn resolve_dead_letters(&self, resolutions: Vec<Resolution>) -> Result<Vec<RemovedDeadLetter>, PortError> {
        let resolve = move |transaction: &Transaction<'_>| dead_letters::resolve(transaction, &resolutions);
        self.write("ledger.resolve_dead_letters", resolve).await
    }

    async fn expire_dead_letters(
        &self,
        before: TimestampMs,
        limit: usize,
    ) -> Result<Vec<RemovedDeadLetter>, PortError> {
        let expire = move |transaction: &Transaction<'_>| dead_letters::expire(transaction, before, limit);
        self.write("ledger.expire_dead_letters", expire).await
    }

    async fn upsert_outages(&self, rows: Vec<OutageRow>) -> Result<(), PortError> {
        self.write("ledger.upsert_outages", move |transaction| outages::upsert(transaction, &rows)).await
    }

    async fn outage(&self, id: &str) -> Result<Option<OutageRow>, PortError> {
        let id = id.to_owned();
        self.read("ledger.outage", move |transaction| outages::find(transaction, &id)).await
    }

    async fn outages(&self, after: Option<&OutageRow>, limit: usize) -> Result<Vec<OutageRow>, PortError> {
        let after = after.cloned();
        let list = move |transaction: &Transaction<'_>| outages::list(transaction, after.as_ref(), limit);
        self.read("ledger.outages", list).await
    }

    async fn append_audit_events(&self, events: Vec<AuditEvent>) -> Result<(), PortError> {
        let detailed = |event: AuditEvent| event.detail_json().map(|detail| (event, detail));
        let events = events.into_iter().map(detailed).collect::<Result<Vec<_>, PortError>>()?;
        self.write("ledger.append_audit_events", move |transaction| audit::append(transaction, &events)).await
    }

    async fn audit_events(
        &self,
        project: Option<&ProjectId>,
        after: Option<&AuditEvent>,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, PortError> {
        let (project, after) = (project.cloned(), after.cloned());
        let list =
            move |transaction: &Transaction<'_>| audit::list(transaction, project.as_ref(), after.as_ref(), limit);
        self.read("ledger.audit_events", list).await
    }

    async fn insert_token(&self, row: TokenRow) -> Result<(), PortError> {
        self.write("ledger.insert_token", move |transaction| tokens::insert(transaction, &row)).await
    }

    async fn token(&self, id: &TokenId) -> Result<Option<TokenRow>, PortError> {
        let id = id.clone();
        self.read("ledger.token", move |transaction| tokens::find(transaction, &id)).await
    }

    async fn tokens(
        &self,
        project: &ProjectId,
        after: Option<&TokenRow>,
        limit: usize,
    ) -> Result<Vec<TokenRow>, PortError> {
        let (project, after) = (project.clone(), after.cloned());
        let list = move |transaction: &Transaction<'_>| tokens::list(transaction, &project, after.as_ref(), limit);
        self.read("ledger.tokens", list).await
    }
}

#[cfg(test)]
mod tests;
