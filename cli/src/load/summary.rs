//! What became of the reports.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use tributary_model::limits::LOAD_EXAMPLE_CHARACTERS_MAX;

use super::latency::{Histogram, Latencies};

/// Why a report that was sent is not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The connection broke before the answer was there.
    Connection,
    /// No answer within `LOAD_ANSWER_TIMEOUT`.
    Timeout,
    /// The answer is not HTTP/1.1, too long, or a 200 without an id.
    Unreadable,
    /// The answer has this status.
    Status(u16),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("connection"),
            Self::Timeout => f.write_str("timeout"),
            Self::Unreadable => f.write_str("unreadable"),
            Self::Status(status) => write!(f, "{status}"),
        }
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How many reports failed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// Reports.
    pub count: u64,
    /// What the first of them met, cut to `LOAD_EXAMPLE_CHARACTERS_MAX`.
    pub example: String,
}

/// Counts as they grow.
#[derive(Debug, Default)]
pub(super) struct Tally {
    acknowledged: u64,
    failures: BTreeMap<Failure, Failures>,
    latencies: Histogram,
    report_bytes: u64,
}

impl Tally {
    /// A report was acknowledged.
    pub(super) fn acknowledge(&mut self, latency: Duration, report_bytes: usize) {
        self.acknowledged += 1;
        self.report_bytes += report_bytes as u64;
        self.latencies.add(latency);
    }

    /// A report was sent and not acknowledged.
    pub(super) fn fail(&mut self, failure: Failure, detail: impl FnOnce() -> String) {
        let first = || Failures { count: 0, example: detail().chars().take(LOAD_EXAMPLE_CHARACTERS_MAX).collect() };
        self.failures.entry(failure).or_insert_with(first).count += 1;
    }

    pub(super) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().map(|failures| failures.count).sum()
    }

    pub(super) fn summary(&self, connections: u16, seed: u64, wall: Duration, stopped: Option<String>) -> Summary {
        let seconds = wall.as_secs_f64();
        Summary {
            sent: self.acknowledged + self.failed(),
            acknowledged: self.acknowledged,
            errors: self.failures.clone(),
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
            rate_per_s: if seconds > 0.0 { self.acknowledged as f64 / seconds } else { 0.0 },
            latency_ms: self.latencies.latencies(),
            report_bytes: self.report_bytes.checked_div(self.acknowledged).unwrap_or_default(),
            connections,
            seed,
            stopped,
        }
    }
}

/// What became of the reports of one run. `sent` is always `acknowledged` and all errors together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Reports of which at least the first byte was handed to a connection.
    pub sent: u64,
    /// Reports that were answered with 200 and an id.
    pub acknowledged: u64,
    /// The others, by `connection`, `timeout`, `unreadable` or the answer's status.
    pub errors: BTreeMap<Failure, Failures>,
    /// From the first report to the last answer.
    pub wall_ms: u64,
    /// Acknowledged reports per second of that time.
    pub rate_per_s: f64,
    /// Of the acknowledged reports: from when a report was sent, or should have been sent to hold the rate.
    pub latency_ms: Latencies,
    /// The average size of the acknowledged reports.
    pub report_bytes: u64,
    /// Connections that were used.
    pub connections: u16,
    /// What reports were drawn from: the same seed gives the same ones, apart from ids and times.
    pub seed: u64,
    /// Why the run ended before its time; none if it did not.
    pub stopped: Option<String>,
}

impl Summary {
    /// Why the command has to end with an error: it ended before its time, or not every report is acknowledged.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let failed = self.sent - self.acknowledged;
        let unacknowledged = || (failed > 0).then(|| format!("{failed} of {} reports are not acknowledged", self.sent));
        self.stopped.clone().or_else(unacknowledged)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latencies { p50, p95, p99, max } = self.latency_ms;
        let wall = Duration::from_millis(self.wall_ms).as_secs_f64();
        writeln!(f, "sent          {:>10}  of {} bytes on average", self.sent, self.report_bytes)?;
        writeln!(f, "acknowledged  {:>10}", self.acknowledged)?;
        writeln!(f, "errors        {:>10}", self.sent - self.acknowledged)?;
        for (failure, failures) in &self.errors {
            writeln!(f, "  {:<12}{:>10}  {}", failure.to_string(), failures.count, failures.example)?;
        }
        writeln!(f, "wall time     {wall:>10.2}  s, {} connections, seed {}", self.connections, self.seed)?;
        writeln!(f, "rate          {:>10.0}  acknowledged per second", self.rate_per_s)?;
        write!(f, "latency       {p50:>10.2}  ms p50, {p95:.2} p95, {p99:.2} p99, {max:.2} longest")?;
        self.stopped.iter().try_for_each(|stopped| write!(f, "\nstopped: {stopped}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(failing: u64, stopped: Option<&str>) -> Summary {
        let mut tally = Tally::default();
        (0..4).for_each(|_| tally.acknowledge(Duration::from_millis(2), 1000));
        for _ in 0..failing {
            tally.fail(Failure::Status(503), || "the stream is full".to_owned());
            tally.fail(Failure::Connection, || "x".repeat(1000));
        }
        tally.summary(16, 7, Duration::from_millis(500), stopped.map(str::to_owned))
    }

    #[test]
    fn a_table_shows_what_became_of_every_report() {
        let text = summary(1, Some("the collector is gone")).to_string();
        let text = text.replace(&"x".repeat(LOAD_EXAMPLE_CHARACTERS_MAX), "x...");
        let wanted = "\
sent                   6  of 1000 bytes on average
acknowledged           4
errors                 2
  connection           1  x...
  503                  1  the stream is full
wall time           0.50  s, 16 connections, seed 7
rate                   8  acknowledged per second
latency             2.00  ms p50, 2.00 p95, 2.00 p99, 2.00 longest
stopped: the collector is gone";
        assert_eq!(text, wanted);
    }

    #[test]
    fn json_has_the_errors_by_name() {
        let json = serde_json::to_value(summary(2, None)).expect("JSON");
        assert_eq!(json["errors"]["503"]["count"], 2);
        assert_eq!(json["errors"]["connection"]["count"], 2);
        assert_eq!((&json["sent"], &json["acknowledged"]), (&8.into(), &4.into()));
        assert_eq!((&json["rate_per_s"], &json["latency_ms"]["p99"]), (&8.0.into(), &2.0.into()));
    }

    #[test]
    fn only_a_whole_and_acknowledged_run_is_a_success() {
        assert_eq!(summary(0, None).problem(), None);
        assert_eq!(summary(1, None).problem().as_deref(), Some("2 of 6 reports are not acknowledged"));
        assert_eq!(summary(0, Some("interrupted")).problem().as_deref(), Some("interrupted"));
    }
}
