//! The RDS Data API in front of a real PostgreSQL: its requests, its answers, its limits and its errors, and what a test
//! wants to go wrong.

mod error;
mod session;
mod sql;
mod value;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub use error::{ApiError, ERRORS};

use crate::postgres::{PASSWORD, Postgres, SUPERUSER};
use session::{Login, Sessions};
use value::Parameter;

/// The cluster that the gateway stands for.
pub const CLUSTER_ARN: &str = "arn:aws:rds:eu-west-1:123456789012:cluster:ledger";
/// The secret with the superuser's password.
pub const SECRET_ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ledger-a1b2c3";

/// Bytes of a request (Data API: 4 MiB).
const REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of an answer (Data API: 1 MiB).
const ANSWER_BYTES: usize = 1024 * 1024;
/// Bytes of a row of an answer (Data API: 64 KB).
const ROW_BYTES: usize = 64 * 1024;

/// What goes wrong with one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The error of this name, and nothing is done.
    Error(&'static str),
    /// The connection is closed before anything is done.
    DropBefore,
    /// The connection is closed after it took effect.
    DropAfter,
    /// It takes so much longer.
    Delay(Duration),
}

/// A call that came.
#[derive(Debug, Clone)]
pub struct Call {
    /// `Execute`, `BeginTransaction`, ...
    pub operation: String,
    /// The SQL, if it had some.
    pub sql: String,
    /// Bytes of the request's body.
    pub request_bytes: usize,
    /// Bytes of the answer's body; 0 if it was an error.
    pub answer_bytes: usize,
}

/// The gateway; ends when it is dropped.
#[derive(Debug)]
pub struct DataApi {
    /// Its address, for `AWS_ENDPOINT_URL_RDS_DATA`.
    pub endpoint: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    sessions: Sessions,
    /// User and password by secret.
    secrets: Mutex<HashMap<String, (String, String)>>,
    faults: Mutex<VecDeque<Fault>>,
    /// What calls with these access keys are answered.
    refused_keys: Mutex<HashMap<String, &'static str>>,
    calls: Mutex<Vec<Call>>,
}

impl DataApi {
    /// Starts a gateway to a PostgreSQL, on a port of the kernel's choice.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start(postgres: &Postgres) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("a bound address");
        let state = Arc::new(State {
            sessions: Sessions::new(postgres.socket_folder().to_owned()),
            secrets: Mutex::default(),
            faults: Mutex::default(),
            refused_keys: Mutex::default(),
            calls: Mutex::default(),
        });
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&serving)));
            }
        });
        let gateway = Self { endpoint: format!("http://{address}"), state, task };
        gateway.set_secret(SECRET_ARN, SUPERUSER, PASSWORD);
        gateway
    }

    /// Gives a secret a user and a password.
    pub fn set_secret(&self, arn: &str, user: &str, password: &str) {
        self.state.secrets.lock().unwrap().insert(arn.to_owned(), (user.to_owned(), password.to_owned()));
        self.state.sessions.close_idle();
    }

    /// Closes the connections that are in no transaction, as a gateway does from time to time.
    pub fn close_idle(&self) {
        self.state.sessions.close_idle();
    }

    /// What goes wrong with the next calls, one each.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.faults.lock().unwrap().extend(faults);
    }

    /// Lets nothing more go wrong.
    pub fn clear_faults(&self) {
        self.state.faults.lock().unwrap().clear();
    }

    /// Refuses calls that are signed with this access key, with the error of this name; accepts them again without one.
    pub fn refuse_key(&self, key: &str, error: Option<&'static str>) {
        let mut refused = self.state.refused_keys.lock().unwrap();
        match error {
            Some(error) => refused.insert(key.to_owned(), error),
            None => refused.remove(key),
        };
    }

    /// How long a statement may take.
    pub fn set_statement_timeout(&self, timeout: Duration) {
        *self.state.sessions.statement_timeout.lock().unwrap() = timeout;
        self.state.sessions.close_idle();
    }

    /// How long a transaction may wait for its next statement.
    pub fn set_idle_timeout(&self, timeout: Duration) {
        *self.state.sessions.idle_timeout.lock().unwrap() = timeout;
    }

    /// The calls since this was asked last, refused and dropped ones included.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.state.calls.lock().unwrap())
    }
}

impl Drop for DataApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request of any operation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    resource_arn: String,
    secret_arn: String,
    database: Option<String>,
    sql: Option<String>,
    #[serde(default)]
    parameters: Vec<Parameter>,
    #[serde(default)]
    parameter_sets: Vec<Vec<Parameter>>,
    transaction_id: Option<String>,
    #[serde(default)]
    include_result_metadata: bool,
    format_records_as: Option<String>,
}

async fn serve(socket: TcpStream, state: Arc<State>) {
    let answer = |request: Request<Incoming>| answer(Arc::clone(&state), request);
    // A client that goes away is a test's own affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer)).await;
}

/// An error here closes the connection without an answer.
async fn answer(state: Arc<State>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let operation = head.uri.path().trim_start_matches('/').to_owned();
    let asked: Result<Asked, _> = serde_json::from_slice(&body);
    let sql = asked.as_ref().ok().and_then(|asked| asked.sql.clone()).unwrap_or_default();
    let fault = state.faults.lock().unwrap().pop_front();
    let number = {
        let mut calls = state.calls.lock().unwrap();
        let call = Call { operation: operation.clone(), sql, request_bytes: body.len(), answer_bytes: 0 };
        calls.push(call);
        calls.len() - 1
    };
    let done = match fault {
        Some(Fault::DropBefore) => return Err(io::Error::other("dropped before")),
        Some(Fault::Error(name)) => Err(ApiError::new(name, "as the test wants it")),
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            state.run(&operation, &head.headers, asked, body.len()).await
        }
        Some(Fault::DropAfter) => {
            let _ = state.run(&operation, &head.headers, asked, body.len()).await;
            return Err(io::Error::other("dropped after"));
        }
        None => state.run(&operation, &head.headers, asked, body.len()).await,
    };
    let done = done.and_then(|answer| bounded(&answer));
    if let (Ok(body), Some(call)) = (&done, state.calls.lock().unwrap().get_mut(number)) {
        call.answer_bytes = body.len();
    }
    Ok(response(done))
}

fn bounded(answer: &Value) -> Result<String, ApiError> {
    let body = answer.to_string();
    if body.len() <= ANSWER_BYTES {
        return Ok(body);
    }
    Err(ApiError::bad_request("Database returned more than the allowed response size limit"))
}

fn response(done: Result<String, ApiError>) -> Response<Full<Bytes>> {
    let response = Response::builder().header("content-type", "application/json");
    let response = match done {
        Ok(body) => response.status(200).body(Full::new(body.into())),
        Err(error) => {
            let body = json!({ "message": error.message }).to_string();
            response.status(error.status).header("x-amzn-errortype", error.name).body(Full::new(body.into()))
        }
    };
    response.expect("a response")
}

impl State {
    async fn run(
        &self,
        operation: &str,
        headers: &HeaderMap,
        asked: Result<Asked, serde_json::Error>,
        bytes: usize,
    ) -> Result<Value, ApiError> {
        self.admit(headers)?;
        if bytes > REQUEST_BYTES {
            return Err(ApiError::bad_request("The request is larger than the allowed limit"));
        }
        let asked = asked.map_err(|error| ApiError::bad_request(error.to_string()))?;
        if asked.resource_arn != CLUSTER_ARN {
            return Err(ApiError::new("DatabaseNotFoundException", "DB cluster is not found"));
        }
        let login = self.login(&asked)?;
        let transaction = asked.transaction_id.as_deref();
        let needed = || transaction.ok_or_else(|| ApiError::bad_request("transactionId is missing"));
        let sql = || asked.sql.as_deref().ok_or_else(|| ApiError::bad_request("sql is missing"));
        match operation {
            "Execute" => {
                let sets = std::slice::from_ref(&asked.parameters);
                let mut answered = self.sessions.execute(&login, transaction, sql()?, sets).await?;
                let as_json = asked.format_records_as.as_deref() == Some("JSON");
                let only = answered.pop().expect("an answer a set");
                only.response(asked.include_result_metadata, as_json)
            }
            "BatchExecute" => {
                let answered = self.sessions.execute(&login, transaction, sql()?, &asked.parameter_sets).await?;
                let results: Vec<Value> = answered.iter().map(|_| json!({ "generatedFields": [] })).collect();
                Ok(json!({ "updateResults": results }))
            }
            "BeginTransaction" => Ok(json!({ "transactionId": self.sessions.begin(&login).await? })),
            "CommitTransaction" => {
                self.sessions.end(needed()?, "COMMIT").await?;
                Ok(json!({ "transactionStatus": "Transaction Committed" }))
            }
            "RollbackTransaction" => {
                self.sessions.end(needed()?, "ROLLBACK").await?;
                Ok(json!({ "transactionStatus": "Rollback Complete" }))
            }
            other => Err(ApiError::new("NotFoundException", format!("{other} is no operation"))),
        }
    }

    /// Looks at whose signature a request has; what is signed is not checked.
    fn admit(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let signature = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = signature.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
        let Some(key) = key else {
            return Err(ApiError::new("UnrecognizedClientException", "the request is not signed"));
        };
        match self.refused_keys.lock().unwrap().get(key) {
            Some(error) => Err(ApiError::new(error, "the key is refused")),
            None => Ok(()),
        }
    }

    fn login(&self, asked: &Asked) -> Result<Login, ApiError> {
        let secrets = self.secrets.lock().unwrap();
        let unknown = || ApiError::new("SecretsErrorException", "Secrets Manager can't find the specified secret");
        let (user, password) = secrets.get(&asked.secret_arn).ok_or_else(unknown)?.clone();
        let database = asked.database.clone().unwrap_or_else(|| "postgres".to_owned());
        Ok(Login { user, password, database })
    }
}
