//! One call of the Data API, and what its answers hold.

use std::error::Error;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::Builder;
use aws_sdk_rdsdata::types::{Field, SqlParameter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tributary_model::limits::LEDGER_PAGE_BYTES;
use tributary_ports::{LiveSettings, PortError, PortErrorKind};

use super::pages::pages;
use crate::error::port_error;

/// One row of an answer.
pub(super) type Record = Vec<Field>;

/// The database, and what it is reached by.
#[derive(Debug)]
pub(super) struct Database {
    client: Client,
    cluster_arn: String,
    secret_arn: String,
    name: String,
    settings: Arc<LiveSettings>,
}

/// What is asked: the port's call that asks it, the SQL, and its parameters.
pub(super) struct Statement<'a> {
    pub(super) operation: &'static str,
    pub(super) sql: &'a str,
    pub(super) parameters: Vec<SqlParameter>,
}

/// The first rows of a query, and whether there are more of them.
pub(super) struct Page<T> {
    pub(super) rows: Vec<T>,
    pub(super) more: bool,
}

impl Database {
    pub(super) fn new(
        config: &SdkConfig,
        cluster_arn: &str,
        secret_arn: &str,
        name: &str,
        settings: Arc<LiveSettings>,
    ) -> Self {
        Self {
            client: Client::new(config),
            cluster_arn: cluster_arn.to_owned(),
            secret_arn: secret_arn.to_owned(),
            name: name.to_owned(),
            settings,
        }
    }

    /// The rows in requests of the size that was chosen.
    pub(super) fn pages<T: Serialize>(&self, rows: &[T]) -> Vec<String> {
        pages(rows, self.settings.current().ledger_page_rows)
    }

    /// Runs a statement as a transaction of its own. Every statement here may run twice.
    pub(super) async fn execute(&self, statement: Statement<'_>) -> Result<Vec<Record>, PortError> {
        let Statement { operation, sql, parameters } = statement;
        let call = self.client.execute_statement();
        let call = call.resource_arn(&self.cluster_arn).secret_arn(&self.secret_arn).database(&self.name);
        let answer = call.sql(sql).set_parameters(Some(parameters)).send().await;
        Ok(answer.map_err(|error| port_error(operation, error))?.records.unwrap_or_default())
    }

    /// Runs a statement that takes rows as `:rows`, once for each page of them.
    pub(super) async fn write<T: Serialize>(
        &self,
        operation: &'static str,
        sql: &str,
        rows: &[T],
    ) -> Result<(), PortError> {
        for page in self.pages(rows) {
            let parameters = vec![text_parameter("rows", &page)];
            self.execute(Statement { operation, sql, parameters }).await?;
        }
        Ok(())
    }

    /// The first rows of `query` by their order, as many as one answer can hold.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        query: &str,
        parameters: Vec<SqlParameter>,
    ) -> Result<Page<T>, PortError> {
        let records = self.execute(Statement { operation, sql: &paged(query), parameters }).await?;
        let more = records.first().map_or(Ok(0), |first| number(operation, first, 1))?;
        let rows = records.iter().map(|record| read(operation, record)).collect::<Result<Vec<T>, PortError>>()?;
        let more = usize::try_from(more).is_ok_and(|more| more > rows.len());
        Ok(Page { rows, more })
    }

    /// The first `limit` rows of a query, in as many pages as they need. `parameters` tells those of the page behind a
    /// row, of so many rows.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        query: &str,
        limit: usize,
        parameters: impl Fn(Option<&T>, i64) -> Vec<SqlParameter>,
    ) -> Result<Vec<T>, PortError> {
        let mut rows: Vec<T> = Vec::new();
        while rows.len() < limit {
            let rest = i64::try_from(limit - rows.len()).unwrap_or(i64::MAX);
            let page = self.page(operation, query, parameters(rows.last(), rest)).await?;
            rows.extend(page.rows);
            if !page.more {
                break;
            }
        }
        Ok(rows)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, operation: &'static str) -> Result<Transaction<'_>, PortError> {
        let call = self.client.begin_transaction();
        let call = call.resource_arn(&self.cluster_arn).secret_arn(&self.secret_arn).database(&self.name);
        let begun = call.send().await.map_err(|error| port_error(operation, error))?;
        let id = begun.transaction_id.ok_or_else(|| unreadable(operation, "a transaction without an id"))?;
        Ok(Transaction { database: self, operation, id })
    }
}

/// Several statements that take effect together. One that is neither committed nor rolled back ends by itself after
/// three minutes, and with the first statement that fails.
pub(super) struct Transaction<'a> {
    database: &'a Database,
    operation: &'static str,
    id: String,
}

impl Transaction<'_> {
    /// Runs a statement, once: what was sent a second time would find what the first time did.
    pub(super) async fn execute(&self, sql: &str, parameters: Vec<SqlParameter>) -> Result<Vec<Record>, PortError> {
        let Database { client, cluster_arn, secret_arn, name, .. } = self.database;
        let call = client.execute_statement().resource_arn(cluster_arn).secret_arn(secret_arn).database(name);
        let call = call.transaction_id(&self.id).sql(sql).set_parameters(Some(parameters));
        let answer = call.customize().config_override(once()).send().await;
        Ok(answer.map_err(|error| self.failed(port_error(self.operation, error)))?.records.unwrap_or_default())
    }

    /// Makes everything durable. After a failure that left the transaction open, its locks must not stay for minutes.
    pub(super) async fn commit(self) -> Result<(), PortError> {
        let Database { client, cluster_arn, secret_arn, .. } = self.database;
        let call = client.commit_transaction().resource_arn(cluster_arn).secret_arn(secret_arn);
        match call.transaction_id(&self.id).customize().config_override(once()).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failed = self.failed(port_error(self.operation, error));
                self.roll_back().await;
                Err(failed)
            }
        }
    }

    /// Takes everything back. A failure only leaves that to the database, for later.
    pub(super) async fn roll_back(self) {
        let Database { client, cluster_arn, secret_arn, .. } = self.database;
        let call = client.rollback_transaction().resource_arn(cluster_arn).secret_arn(secret_arn);
        let _ = call.transaction_id(&self.id).customize().config_override(once()).send().await;
    }

    /// A transaction that is gone, after an idle time or a fail-over, is bad luck: the whole call may come again.
    fn failed(&self, error: PortError) -> PortError {
        if error.kind == PortErrorKind::NotFound {
            return PortError { kind: PortErrorKind::Unavailable, ..error };
        }
        error
    }
}

fn once() -> Builder {
    Builder::default().retry_config(RetryConfig::disabled())
}

/// `query`'s rows, each as the text of a JSON object beside the number of all of them, as far as [`LEDGER_PAGE_BYTES`]
/// reach. The first row always fits.
fn paged(query: &str) -> String {
    format!(
        "SELECT line, rows
        FROM (
            SELECT line, place, count(*) OVER () AS rows,
                sum(octet_length(line)) OVER (ORDER BY place) - octet_length(line) AS bytes_before
            FROM (
                SELECT row_number() OVER () AS place, CAST(row_to_json(ordered) AS text) AS line
                FROM ({query}) AS ordered
            ) AS lines
        ) AS page
        WHERE bytes_before < {LEDGER_PAGE_BYTES}
        ORDER BY place"
    )
}

/// The row that a record's first field holds as JSON.
fn read<T: DeserializeOwned>(operation: &'static str, record: &Record) -> Result<T, PortError> {
    let text = text(operation, record, 0)?;
    serde_json::from_str(text).map_err(|error| unreadable(operation, error))
}

/// A field that is a text.
pub(super) fn text<'a>(operation: &'static str, record: &'a Record, at: usize) -> Result<&'a str, PortError> {
    match record.get(at) {
        Some(Field::StringValue(text)) => Ok(text),
        _ => Err(unreadable(operation, "a field is no text")),
    }
}

/// A field that is a whole number.
pub(super) fn number(operation: &'static str, record: &Record, at: usize) -> Result<i64, PortError> {
    match record.get(at) {
        Some(Field::LongValue(number)) => Ok(*number),
        _ => Err(unreadable(operation, "a field is no whole number")),
    }
}

/// An answer with a value that no version of ours wrote, or of another form than the statement has.
pub(super) fn unreadable(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> PortError {
    PortError::new(PortErrorKind::Unavailable, operation, source)
}

/// The parameter `:name`.
fn parameter(name: &str, value: Field) -> SqlParameter {
    SqlParameter::builder().name(name).value(value).build()
}

/// The parameter `:name`, a text. It is bound as varchar, so SQL casts it to what it is.
pub(super) fn text_parameter(name: &str, text: &str) -> SqlParameter {
    parameter(name, Field::StringValue(text.to_owned()))
}

/// The parameter `:name`, a text or null.
pub(super) fn optional_text_parameter(name: &str, text: Option<&str>) -> SqlParameter {
    parameter(name, text.map_or(Field::IsNull(true), |text| Field::StringValue(text.to_owned())))
}

/// The parameter `:name`, a whole number.
pub(super) fn number_parameter(name: &str, number: i64) -> SqlParameter {
    parameter(name, Field::LongValue(number))
}

/// The parameter `:name`, a whole number or null.
pub(super) fn optional_number_parameter(name: &str, number: Option<i64>) -> SqlParameter {
    parameter(name, number.map_or(Field::IsNull(true), Field::LongValue))
}

/// The parameter `:name`, JSON as a text.
pub(super) fn json_parameter(name: &str, value: &impl Serialize) -> SqlParameter {
    // Texts, numbers and lists of them always serialise.
    text_parameter(name, &serde_json::to_string(value).unwrap_or_default())
}
