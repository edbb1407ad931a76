//! Statements on PostgreSQL: on a connection of the pool, or on that of a transaction.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::error::ApiError;
use super::sql::numbered;
use super::value::{Field, Parameter, fields, plain};
use crate::postgres::{config, connect};

/// Who connects, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
}

/// The connections to one PostgreSQL.
#[derive(Debug)]
pub(super) struct Sessions {
    socket_folder: PathBuf,
    pub(super) statement_timeout: Mutex<Duration>,
    pub(super) idle_timeout: Mutex<Duration>,
    idle: Mutex<Vec<(Login, Client)>>,
    transactions: Mutex<HashMap<String, (Client, Instant)>>,
    begun: Mutex<u64>,
}

/// What a statement answered.
pub(super) struct Answered {
    pub(super) columns: Vec<(String, String)>,
    pub(super) records: Vec<Vec<Field>>,
    updated: u64,
}

impl Sessions {
    pub(super) fn new(socket_folder: PathBuf) -> Self {
        Self {
            socket_folder,
            statement_timeout: Mutex::new(Duration::from_secs(45)),
            idle_timeout: Mutex::new(Duration::from_secs(180)),
            idle: Mutex::default(),
            transactions: Mutex::default(),
            begun: Mutex::default(),
        }
    }

    /// Closes what is not in a transaction.
    pub(super) fn close_idle(&self) {
        self.idle.lock().unwrap().clear();
    }

    /// Runs a statement once for each set of parameters, all of them or none.
    pub(super) async fn execute(
        &self,
        login: &Login,
        transaction: Option<&str>,
        sql: &str,
        sets: &[Vec<Parameter>],
    ) -> Result<Vec<Answered>, ApiError> {
        match transaction {
            // A statement that fails ends its transaction: the connection is dropped with it.
            Some(id) => {
                let client = self.take(id)?;
                let answered = run(&client, sql, sets).await?;
                self.transactions.lock().unwrap().insert(id.to_owned(), (client, Instant::now()));
                Ok(answered)
            }
            None => {
                let client = self.client(login).await?;
                client.batch_execute("BEGIN").await?;
                let answered = run(&client, sql, sets).await?;
                client.batch_execute("COMMIT").await?;
                self.idle.lock().unwrap().push((login.clone(), client));
                Ok(answered)
            }
        }
    }

    /// Begins a transaction; answers its id.
    pub(super) async fn begin(&self, login: &Login) -> Result<String, ApiError> {
        let client = self.client(login).await?;
        client.batch_execute("BEGIN").await?;
        let id = {
            let mut begun = self.begun.lock().unwrap();
            *begun += 1;
            format!("transaction-{begun}")
        };
        self.transactions.lock().unwrap().insert(id.clone(), (client, Instant::now()));
        Ok(id)
    }

    /// Ends a transaction by `COMMIT` or `ROLLBACK`.
    pub(super) async fn end(&self, id: &str, how: &str) -> Result<(), ApiError> {
        let client = self.take(id)?;
        Ok(client.batch_execute(how).await?)
    }

    fn take(&self, id: &str) -> Result<Client, ApiError> {
        let found = self.transactions.lock().unwrap().remove(id);
        let idle_timeout = *self.idle_timeout.lock().unwrap();
        let living = found.filter(|(_, used)| used.elapsed() < idle_timeout).map(|(client, _)| client);
        living.ok_or_else(|| ApiError::new("TransactionNotFoundException", format!("Transaction {id} is not found")))
    }

    async fn client(&self, login: &Login) -> Result<Client, ApiError> {
        let kept = {
            let mut idle = self.idle.lock().unwrap();
            idle.retain(|(_, client)| !client.is_closed());
            idle.iter().position(|(whose, _)| whose == login).map(|at| idle.swap_remove(at).1)
        };
        if let Some(client) = kept {
            return Ok(client);
        }
        let config = config(&self.socket_folder, &login.user, &login.password, &login.database);
        let client = connect(&config).await?;
        let timeout = self.statement_timeout.lock().unwrap().as_millis();
        client.batch_execute(&format!("SET statement_timeout = {timeout}")).await?;
        Ok(client)
    }
}

async fn run(client: &Client, sql: &str, sets: &[Vec<Parameter>]) -> Result<Vec<Answered>, ApiError> {
    let (sql, names) = numbered(sql);
    let first = sets.first().map(Vec::as_slice).unwrap_or_default();
    let types = ordered(&names, first)?.into_iter().map(Parameter::postgres_type);
    let types = types.collect::<Result<Vec<Type>, ApiError>>()?;
    let statement = client.prepare_typed(&sql, &types).await?;
    let columns: Vec<(String, String)> =
        statement.columns().iter().map(|column| (column.name().to_owned(), column.type_().name().to_owned())).collect();
    let mut answered = Vec::new();
    for set in sets {
        let values: Vec<&(dyn ToSql + Sync)> =
            ordered(&names, set)?.into_iter().map(|parameter| &parameter.value as _).collect();
        let (records, updated) = if columns.is_empty() {
            (Vec::new(), client.execute(&statement, &values).await?)
        } else {
            let rows = client.query(&statement, &values).await?;
            (rows.iter().map(fields).collect::<Result<_, _>>()?, 0)
        };
        answered.push(Answered { columns: columns.clone(), records, updated });
    }
    Ok(answered)
}

/// The parameters in the order of their numbers. Each must be given, and each that is given must be used.
fn ordered<'a>(names: &[String], parameters: &'a [Parameter]) -> Result<Vec<&'a Parameter>, ApiError> {
    if let Some(unused) = parameters.iter().find(|parameter| !names.contains(&parameter.name)) {
        return Err(ApiError::bad_request(format!("Named parameter [{}] is not in the statement", unused.name)));
    }
    let find = |name: &String| {
        let missing = || ApiError::bad_request(format!("Cannot find parameter: {name}"));
        parameters.iter().find(|parameter| parameter.name == *name).ok_or_else(missing)
    };
    names.iter().map(find).collect()
}

impl Answered {
    /// As `ExecuteStatement` answers it.
    pub(super) fn response(self, with_metadata: bool, as_json: bool) -> Result<Value, ApiError> {
        let mut response = json!({ "numberOfRecordsUpdated": self.updated, "generatedFields": [] });
        if with_metadata {
            let metadata = |(name, kind): &(String, String)| json!({ "name": name, "label": name, "typeName": kind });
            response["columnMetadata"] = self.columns.iter().map(metadata).collect();
        }
        if self.columns.is_empty() {
            return Ok(response);
        }
        if as_json {
            let object = |record: &Vec<Field>| -> Value {
                self.columns.iter().map(|(name, _)| name.clone()).zip(record.iter().map(plain)).collect()
            };
            let objects: Vec<Value> = self.records.iter().map(object).collect();
            response["formattedRecords"] = Value::String(json!(objects).to_string());
            return Ok(response);
        }
        let records: Vec<Value> = self.records.iter().map(|record| json!(record)).collect();
        if records.iter().any(|record| record.to_string().len() > super::ROW_BYTES) {
            return Err(ApiError::bad_request("Database returned a row larger than the allowed limit"));
        }
        response["records"] = Value::Array(records);
        Ok(response)
    }
}
