//! Settings of the local program and of the functions on AWS, out of variables that begin with `TRIBUTARY_`. Every problem
//! is reported at once.
//!
//! A lookup gives the values, so that flags can go before variables and tests need no environment:
//!
//! ```
//! use tributary_config::{LocalSettings, environment};
//!
//! let http_flag = Some("127.0.0.1:0".to_owned());
//! let lookup = |name: &str| match name {
//!     "TRIBUTARY_HTTP" => http_flag.clone().or_else(|| environment(name)),
//!     _ => environment(name),
//! };
//! let settings = LocalSettings::read(lookup)?;
//! assert_eq!(settings.http.port(), 0);
//! # Ok::<(), tributary_config::Problems>(())
//! ```

mod aws;
mod parse;
mod problem;
mod variable;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tributary_model::{Level, Region, Target, limits};

pub use aws::{
    Arn, Bucket, CollectorSettings, CustodianSettings, FUNCTION_VARIABLES, LedgerSettings, OperatorSettings,
    QuerySettings, ReplaySettings, SinkSettings, WorkerSettings,
};
use parse::{Reader, address, functions, level, path, region, size, span};
pub use problem::{Problem, Problems};
pub use variable::{AWS_VARIABLES, VARIABLES, Variable};

/// The functions that may run in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FunctionName {
    /// Takes reports in.
    Collector,
    /// Stores what the stream holds, in the search index and in the ledger.
    Worker,
    /// Answers the read API.
    Query,
    /// Reads the stream again, as operators ask.
    Replay,
}

impl FunctionName {
    /// All functions.
    pub const ALL: [Self; 4] = [Self::Collector, Self::Worker, Self::Query, Self::Replay];

    /// As it stands in `TRIBUTARY_ONLY`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Worker => "worker",
            Self::Query => "query",
            Self::Replay => "replay",
        }
    }
}

/// The settings of `tributary up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSettings {
    /// The data folder.
    pub data: PathBuf,
    /// Where to listen for HTTP; port 0 takes any free one.
    pub http: SocketAddr,
    /// Where to listen for HTTPS, if at all.
    pub https: Option<SocketAddr>,
    /// The functions to run; never empty.
    pub only: BTreeSet<FunctionName>,
    /// The region that this collector says it is in.
    pub region: Region,
    /// The level from which on log lines are written; none for no lines.
    pub log: Option<Level>,
    /// Shards of a new stream.
    pub stream_shards: u16,
    /// How long the stream keeps a record.
    pub stream_retention: Duration,
    /// The search index commits at least this often while documents wait.
    pub search_commit_interval: Duration,
    /// How long a dead letter is kept after it was last met.
    pub dead_letter_retention: Duration,
    /// How long a batch for the search index that is not full waits for more records.
    pub search_batch_window: Duration,
    /// How long a batch for the ledger that is not full waits for more records.
    pub ledger_batch_window: Duration,
}

impl LocalSettings {
    /// Reads all settings. A variable that is not set, or set to nothing, has its default.
    ///
    /// # Errors
    /// All problems there are.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&lookup);
        let r = &mut reader;
        let settings = Self {
            data: r.read(&variable::DATA, PathBuf::from("./.tributary"), path),
            http: r.read(&variable::HTTP, limits::HTTP_ADDRESS, address),
            https: r.read(&variable::HTTPS, None, |text| address(text).map(Some)),
            only: r.read(&variable::ONLY, BTreeSet::from(FunctionName::ALL), functions),
            region: r.read(&variable::REGION, Region::local(), region),
            log: r.read(&variable::LOG, Some(limits::LOG_LEVEL), level),
            stream_shards: r.read(&variable::STREAM_SHARDS, limits::STREAM_SHARDS, size(1..=limits::STREAM_SHARDS_MAX)),
            stream_retention: r.read(
                &variable::STREAM_RETENTION,
                limits::STREAM_RETENTION,
                span(limits::STREAM_RETENTION_MIN..=limits::STREAM_RETENTION_MAX),
            ),
            search_commit_interval: r.read(
                &variable::SEARCH_COMMIT_INTERVAL,
                limits::SEARCH_COMMIT_INTERVAL,
                span(Duration::ZERO..=limits::SEARCH_COMMIT_INTERVAL_MAX),
            ),
            dead_letter_retention: r.read(
                &variable::DEAD_LETTER_RETENTION,
                limits::DEAD_LETTER_RETENTION,
                span(limits::DEAD_LETTER_RETENTION_MIN..=limits::STREAM_RETENTION_MAX),
            ),
            search_batch_window: batch_window(r, &variable::SEARCH_BATCH_WINDOW),
            ledger_batch_window: batch_window(r, &variable::LEDGER_BATCH_WINDOW),
        };
        if settings.https == Some(settings.http) && settings.http.port() != 0 {
            reader.refuse(&variable::HTTPS, "is the address of TRIBUTARY_HTTP, too".to_owned());
        }
        reader.finish(settings)
    }

    /// How long a batch for this consumer that is not full waits for more records.
    #[must_use]
    pub const fn batch_window(&self, consumer: Target) -> Duration {
        match consumer {
            Target::Search => self.search_batch_window,
            Target::Ledger => self.ledger_batch_window,
        }
    }
}

fn batch_window(reader: &mut Reader<'_>, variable: &Variable) -> Duration {
    reader.read(variable, limits::BATCH_WINDOW, span(Duration::ZERO..=limits::BATCH_WINDOW_MAX))
}

/// The environment's value of a variable. What is not UTF-8 in it becomes the replacement character, which no setting
/// takes.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place that reads settings")]
pub fn environment(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(text) => Some(text),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(text)) => Some(text.to_string_lossy().into_owned()),
    }
}

#[cfg(test)]
mod tests;
