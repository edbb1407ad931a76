//! Functions as Lambda runs them: the real binaries as child processes, each on a Runtime API of its own.
//!
//! As on Lambda, a process gets one invocation at a time, a second one that comes meanwhile starts a second process, a
//! process that ended is followed by a new one, and one that takes longer than its timeout is killed.

mod environment;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tempfile::NamedTempFile;

use environment::Environment;

/// How long an invocation may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What the handler answered.
    Response(Bytes),
    /// A function error.
    Error(FunctionError),
}

/// How a function failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// The runtime's own word, or Lambda's: `Runtime.ExitError`, `Sandbox.Timedout`.
    pub kind: String,
    /// What the function said.
    pub message: String,
}

impl FunctionError {
    fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into() }
    }
}

impl Answer {
    /// The answer as JSON.
    ///
    /// # Panics
    /// If it is an error, or no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Response(body) => serde_json::from_slice(body).expect("an answer in JSON"),
            Self::Error(error) => panic!("a function error: {error:?}"),
        }
    }

    /// The error.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn error(&self) -> &FunctionError {
        match self {
            Self::Error(error) => error,
            Self::Response(body) => panic!("no error: {}", String::from_utf8_lossy(body)),
        }
    }
}

/// Says whether a process is killed while it handles this event, as one is that runs out of memory.
type Kills = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// A deployed function. Dropped, its processes are killed.
pub struct Function {
    binary: PathBuf,
    environment: Vec<(String, String)>,
    timeout: Duration,
    kills: Option<Kills>,
    idle: Mutex<Vec<Environment>>,
    log: NamedTempFile,
}

impl Function {
    /// A function that runs `binary` with these environment variables and those that Lambda sets; nothing is inherited.
    #[must_use]
    pub fn new(binary: &Path, environment: &[(&str, &str)]) -> Self {
        Self {
            binary: binary.to_owned(),
            environment: environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            timeout: TIMEOUT,
            kills: None,
            idle: Mutex::default(),
            log: log(),
        }
    }

    /// The same with another timeout.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same, its process killed while it handles an event for which `kills` is true.
    #[must_use]
    pub fn killed_by(self, kills: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self { kills: Some(Box::new(kills)), ..self }
    }

    /// Invokes it and waits for the answer.
    ///
    /// # Panics
    /// If the binary can't be started at all.
    pub async fn invoke(&self, event: impl Into<Bytes>) -> Answer {
        let event = event.into();
        let idle = self.idle.lock().expect("a lock").pop();
        let mut environment = match idle.and_then(Environment::if_alive) {
            Some(environment) => environment,
            None => self.start().await,
        };
        let killed = self.kills.as_ref().is_some_and(|kills| kills(&event));
        let answer = environment.invoke(event, killed, self.timeout).await;
        self.idle.lock().expect("a lock").extend(environment.if_alive());
        answer
    }

    /// Starts a process ahead of its first invocation and answers how long it took until its first `next`.
    ///
    /// # Panics
    /// If it does not get there.
    pub async fn warm_up(&self) -> Duration {
        let mut environment = self.start().await;
        let took = environment.ready().await;
        self.idle.lock().expect("a lock").push(environment);
        took
    }

    /// The processes that wait for an invocation.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn idle(&self) -> Vec<u32> {
        self.idle.lock().expect("a lock").iter().filter_map(Environment::process_id).collect()
    }

    /// Ends the processes that wait for an invocation, as Lambda does now and then.
    ///
    /// # Panics
    /// Never.
    pub fn recycle(&self) {
        self.idle.lock().expect("a lock").clear();
    }

    /// What all its processes wrote to stdout and stderr; before an answer is there, all that was written before it.
    ///
    /// # Panics
    /// If it can't be read.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log.path()).expect("the log")).into_owned()
    }

    async fn start(&self) -> Environment {
        Environment::start(&self.binary, &self.environment, self.log.as_file()).await
    }
}

/// An empty log that every handle writes to the end of.
fn log() -> NamedTempFile {
    tempfile::Builder::new().append(true).tempfile().expect("a temporary file")
}
