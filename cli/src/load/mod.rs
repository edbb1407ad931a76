//! `tributary load`: sends realistic reports and says what became of them.
//!
//! The reports are captured ones of the published agents (`report`), cut or filled to a size (`size`) and built into whole
//! requests once (`template`); what is sent is a copy in which ids and times are written anew (`source`). Connections are
//! plain HTTP/1.1 on one thread (`sender`), so that load takes little of the machine whose collector it measures.

mod draft;
mod endpoint;
mod latency;
mod pace;
mod progress;
mod receipts;
mod report;
mod response;
mod sender;
mod size;
mod source;
mod summary;
mod template;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;
use tributary_model::limits::{
    LOAD_ANSWER_TIMEOUT, LOAD_CONNECTIONS, LOAD_CONNECTIONS_MAX, LOAD_DURATION, LOAD_RATE_MAX, LOAD_REPORT_BYTES_MIN,
    REPORT_BYTES_MAX,
};
use tributary_model::{Rejection, TimestampMs, duration};

use self::endpoint::Endpoint;
use self::pace::Pace;
use self::receipts::Receipts;
use self::sender::Run;
use self::source::Source;
use self::summary::Tally;
use self::template::Template;
use crate::clock;

pub use self::latency::Latencies;
pub use self::summary::{Failure, Failures, Summary};

/// Sends realistic reports and says what became of them.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArguments {
    /// Reports per second over all connections; as many as the collector takes if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LOAD_RATE_MAX.into()))]
    pub rate: Option<u32>,
    /// Connections, each of which sends one report after the other
    #[arg(long, value_name = "N", default_value_t = LOAD_CONNECTIONS,
        value_parser = clap::value_parser!(u16).range(1..=LOAD_CONNECTIONS_MAX.into()))]
    pub connections: u16,
    /// Time after which no more is sent (500ms, 10s, 5m) [default: 10s, or none with --count]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// Reports after which no more is sent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Bytes of a report; 2,000 to 4,000, as agents send them, if not given
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(sizes()))]
    pub size: Option<u32>,
    /// Draws the same reports again, apart from ids and times; the summary names the seed
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// File to which the id of each acknowledged report is added as a line, at once
    #[arg(long, value_name = "FILE")]
    pub receipts: Option<PathBuf>,
}

/// What is sent, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// `http://HOST[:PORT][/PATH]`; `/v0/event` is appended.
    pub endpoint: String,
    /// A token with the scope `ingest`.
    pub token: String,
    /// How much.
    pub arguments: LoadArguments,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The endpoint can't be used.
    #[error("the endpoint {url:?} {problem}")]
    Endpoint {
        /// As it was given.
        url: String,
        /// The rest of a sentence.
        problem: &'static str,
    },
    /// The endpoint's host has no address.
    #[error("the host {host:?} has no address: {source}")]
    UnknownHost {
        /// Its name.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// The token can't stand in a header.
    #[error("the token is empty, too long, or has characters that no token has")]
    Token,
    /// The file of receipts can't be opened.
    #[error("the file of receipts {path:?}: {source}")]
    Receipts {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A capture can't be used; a bug.
    #[error(transparent)]
    Capture(#[from] Rejection),
    /// The runtime can't start.
    #[error("the system refuses what a runtime needs: {0}")]
    Runtime(io::Error),
}

/// Sends until the time is over, the count is reached, the collector is gone, or Ctrl-C; waits for the answers to what
/// was sent.
///
/// It has a runtime of its own, of one thread, and blocks its caller's; from within a runtime it is called by
/// `tokio::task::spawn_blocking`.
///
/// # Errors
/// If nothing could be sent. What happened to reports, the collector's end included, is in the summary
/// ([`Summary::problem`] says whether it is a success).
pub fn run(options: Options) -> Result<Summary, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LoadError::Runtime)?;
    runtime.block_on(send(options, clock::now(), interrupt()))
}

/// One report as they are sent, of an invocation that ended now, of about so many bytes.
///
/// # Errors
/// Never for the captures that are compiled in; tests hold that.
pub fn sample(bytes: usize, token: &str) -> Result<Vec<u8>, LoadError> {
    let mut random = StdRng::from_rng(&mut rand::rng());
    let template = Template::new("", &report::make(token, Some(bytes), &mut random)?)?;
    let mut request = Vec::new();
    template.fill(&mut request, clock::now(), &mut random);
    Ok(request.split_off(request.len() - template.body_bytes()))
}

/// Ends with Ctrl-C, or never if the system does not tell of it.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

async fn send(options: Options, now: TimestampMs, interrupt: impl Future<Output = ()>) -> Result<Summary, LoadError> {
    let begun = Instant::now();
    let Options { endpoint, token, arguments } = options;
    let endpoint = Endpoint::parse(&endpoint)?;
    let head = endpoint.head(&token)?;
    let addresses = endpoint.resolve().await?;
    let receipts = arguments.receipts.map(open_receipts).transpose()?;
    let size = arguments.size.and_then(|size| usize::try_from(size).ok());
    let seed = arguments.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let source = Source::new(&head, &token, size, seed, (begun, now))?;
    let duration = arguments.duration.or(arguments.count.is_none().then_some(LOAD_DURATION));
    let begun = Instant::now();
    let run = Rc::new(Run {
        addresses,
        pace: Pace::new(begun, arguments.rate, duration, arguments.count),
        source: RefCell::new(source),
        tally: RefCell::new(Tally::default()),
        receipts,
        answer_timeout: LOAD_ANSWER_TIMEOUT,
    });
    let ended = tokio::select! {
        ended = sender::send(&run, arguments.connections, interrupt) => ended,
        never = progress::show(&run) => match never {},
    };
    let stopped = ended.err().map(|stop| stop.to_string());
    let summary = run.tally.borrow().summary(arguments.connections, seed, begun.elapsed(), stopped);
    Ok(summary)
}

fn sizes() -> RangeInclusive<i64> {
    LOAD_REPORT_BYTES_MIN.into()..=i64::try_from(REPORT_BYTES_MAX).unwrap_or(i64::MAX)
}

fn open_receipts(path: PathBuf) -> Result<RefCell<Receipts>, LoadError> {
    Receipts::open(&path).map(RefCell::new).map_err(|source| LoadError::Receipts { path, source })
}
