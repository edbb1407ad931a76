//! What Tributary says about itself. A handler fills a struct of [`Facts`]; [`Telemetry::emit`] makes one JSON log line
//! and the metrics of it. There is no other way to a counter: what the log says and what is counted can't differ.
//!
//! A log line is `{"at", "level", "event", ...facts}`. Facts hold no tokens, keys or payloads.

mod embedded;
mod facts;
mod log;
mod metrics;

use std::io::Write;

use serde::Serialize;
use tributary_model::{Level, TimestampMs};

use embedded::Directive;

pub use embedded::{Embedded, Metric, Unit};
pub use facts::{CollectorFacts, CustodianFacts, QueryFacts, ReplayFacts, WorkerFacts};
pub use metrics::Metrics;

/// The media type of [`Telemetry::prometheus`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is worth knowing about one invocation of a handler.
pub trait Facts: Serialize {
    /// Names the kind of fact: `event` in the log line.
    const EVENT: &'static str;

    /// What CloudWatch makes of their log line; nothing unless told otherwise.
    const EMBEDDED: Option<Embedded> = None;

    /// How much these facts matter.
    fn level(&self) -> Level;

    /// Counts them.
    fn count(&self, metrics: &Metrics);
}

/// The log and the metrics of one process.
pub struct Telemetry {
    log: log::Log,
    metrics: Metrics,
    embeds_metrics: bool,
}

#[derive(Serialize)]
struct Line<'a, F> {
    at: TimestampMs,
    level: Level,
    event: &'static str,
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    directive: Option<Directive>,
    #[serde(flatten)]
    facts: &'a F,
}

impl Telemetry {
    /// Telemetry whose log lines of level `threshold` and above go to `out`; none at all without a threshold.
    ///
    /// Lines are buffered. Who makes this also calls [`Telemetry::flush`], every `LOG_FLUSH_INTERVAL` or at the end of
    /// each invocation.
    pub fn new(threshold: Option<Level>, out: Box<dyn Write + Send>) -> Self {
        let metrics = Metrics::new();
        Self { log: log::Log::new(threshold, out, metrics.log_lines_lost()), metrics, embeds_metrics: false }
    }

    /// The same, with metrics in its log lines: see [`Embedded`].
    #[must_use]
    pub fn with_embedded_metrics(self) -> Self {
        Self { embeds_metrics: true, ..self }
    }

    /// Counts `facts`, and logs them if their level is to be logged. `now` is when they were found.
    pub fn emit<F: Facts>(&self, now: TimestampMs, facts: &F) {
        facts.count(&self.metrics);
        let level = facts.level();
        if self.log.takes(level) {
            let embedded = F::EMBEDDED.filter(|_| self.embeds_metrics);
            let directive = embedded.map(|embedded| Directive { at: now, embedded });
            self.log.write(&Line { at: now, level, event: F::EVENT, directive, facts });
        }
    }

    /// Writes the buffered log lines. It blocks for as long as the output does.
    pub fn flush(&self) {
        self.log.flush();
    }

    /// The metrics, for the gauges that the wiring sets.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// All metrics, in the format [`METRICS_CONTENT_TYPE`], which Prometheus reads.
    #[must_use]
    pub fn prometheus(&self) -> String {
        self.metrics.encode()
    }
}

#[cfg(test)]
mod tests;
